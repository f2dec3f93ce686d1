//! Packs two 4-bit codes into a byte, paired differently from memory.
//!
//! ```text
//! row pairs    byte [j, c] is code (2j, c) in the low nibble and code (2j+1, c) in the high
//! high first   byte [i, j] is code (i, 2j+1) in the low nibble and code (i, 2j) in the high
//! ```

/// Combines two rows into one row of bytes. `width` is the length of a row in memory, in bytes.
pub(super) fn pack_rows(width: usize, memory: &[u8], file: &mut [u8]) {
    let pairs = memory.chunks_exact((2 * width).max(1)).zip(file.chunks_exact_mut((2 * width).max(1)));
    for (pair, to) in pairs {
        let (low, high) = pair.split_at(width);
        for ((to, low), high) in to.chunks_exact_mut(2).zip(low).zip(high) {
            to[0] = low & 15 | high << 4;
            to[1] = low >> 4 | high & 0xf0;
        }
    }
}

/// The inverse of [`pack_rows`].
pub(super) fn unpack_rows(width: usize, file: &[u8], memory: &mut [u8]) {
    let pairs = file.chunks_exact((2 * width).max(1)).zip(memory.chunks_exact_mut((2 * width).max(1)));
    for (from, pair) in pairs {
        let (low, high) = pair.split_at_mut(width);
        for ((from, low), high) in from.chunks_exact(2).zip(low).zip(high) {
            *low = from[0] & 15 | from[1] << 4;
            *high = from[0] >> 4 | from[1] & 0xf0;
        }
    }
}

/// Swaps the nibbles of each byte; its own inverse.
pub(super) fn swap(from: &[u8], to: &mut [u8]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = from.rotate_left(4));
}
