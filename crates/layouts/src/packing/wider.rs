//! Rows that are longer in the file than in memory, padded with zeros: AWQ GEMV's zero points
//! `[out, w]` and scales `[out, 8 w]`.
//!
//! ```text
//! zero points  memory: one byte each     file: u32 words with 8 nibbles each, the first in the lowest
//! scales       memory: [N, G]            file: [N, more than G]
//! ```

/// Packs zero points into rows of `words` words.
pub(super) fn pack_nibbles(words: usize, cols: usize, memory: &[u8], file: &mut [u8]) {
    file.fill(0);
    for (from, to) in
        memory.chunks_exact(cols.max(1)).zip(file.chunks_exact_mut((words * super::WORD).max(1)))
    {
        from.iter().enumerate().for_each(|(i, zero)| to[i / 2] |= (zero & 15) << (4 * (i % 2)));
    }
}

pub(super) fn unpack_nibbles(words: usize, cols: usize, file: &[u8], memory: &mut [u8]) {
    for (to, from) in
        memory.chunks_exact_mut(cols.max(1)).zip(file.chunks_exact((words * super::WORD).max(1)))
    {
        to.iter_mut().enumerate().for_each(|(i, zero)| *zero = from[i / 2] >> (4 * (i % 2)) & 15);
    }
}

/// Pads rows of `width` bytes to `long` bytes.
pub(super) fn pack(width: usize, long: usize, memory: &[u8], file: &mut [u8]) {
    for (from, to) in memory.chunks_exact(width.max(1)).zip(file.chunks_exact_mut(long.max(1))) {
        let (start, rest) = to.split_at_mut(width);
        start.copy_from_slice(from);
        rest.fill(0);
    }
}

pub(super) fn unpack(width: usize, long: usize, file: &[u8], memory: &mut [u8]) {
    for (to, from) in memory.chunks_exact_mut(width.max(1)).zip(file.chunks_exact(long.max(1))) {
        to.copy_from_slice(&from[..width]);
    }
}
