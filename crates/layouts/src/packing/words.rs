//! Rows of u32 words, least significant bit first. Codes cross word boundaries; signed codes are
//! offset by 2^(b-1).
//!
//! ```text
//! memory  dense codes of a row, padded to a byte           file  the same bits (sign bits inverted), padded with zeros to a word
//! ```

use super::WORD;

/// The length of a row in memory, in bytes.
fn width(bits: u32, cols: usize) -> usize {
    (cols * bits as usize).div_ceil(8)
}

pub(super) fn pack((bits, signed): (u32, bool), cols: usize, memory: &[u8], file: &mut [u8]) {
    let (width, mask) = (width(bits, cols), sign_bits(bits, signed));
    // The bits after the last code stay zero.
    let last = 0xff_u8 >> (8 * width - cols * bits as usize);
    let rows =
        memory.chunks_exact(width.max(1)).zip(file.chunks_exact_mut(width.next_multiple_of(WORD).max(1)));
    for (from, to) in rows {
        let (to, padding) = to.split_at_mut(width);
        flip(from, to, &mask[..bits as usize]);
        to[width - 1] &= last;
        padding.fill(0);
    }
}

pub(super) fn unpack((bits, signed): (u32, bool), cols: usize, file: &[u8], memory: &mut [u8]) {
    let (width, mask) = (width(bits, cols), sign_bits(bits, signed));
    let last = 0xff_u8 >> (8 * width - cols * bits as usize);
    let rows =
        memory.chunks_exact_mut(width.max(1)).zip(file.chunks_exact(width.next_multiple_of(WORD).max(1)));
    for (to, from) in rows {
        flip(&from[..width], to, &mask[..bits as usize]);
        to[width - 1] &= last;
    }
}

/// The sign bits of eight consecutive codes, which have `bits` whole bytes; zeros for unsigned
/// codes. Adding 2^(bits-1) inverts the sign bit.
fn sign_bits(bits: u32, signed: bool) -> [u8; 8] {
    let sign = if signed { 1u64 << (bits - 1) } else { 0 };
    (0..8).map(|code| sign << (code * bits)).fold(0, |all, one| all | one).to_le_bytes()
}

/// Computes `to = from ^ mask`, with the mask repeated.
fn flip(from: &[u8], to: &mut [u8], mask: &[u8]) {
    for (to, from) in to.chunks_mut(mask.len()).zip(from.chunks(mask.len())) {
        for ((to, from), mask) in to.iter_mut().zip(from).zip(mask) {
            *to = from ^ mask;
        }
    }
}
