//! Words with `32 / b` whole codes each, from the least significant bit on; the top bits are
//! unused. compressed-tensors 0.17 at 3, 5, 6 and 7 bits.
//!
//! ```text
//! across  code i of a row is in word i / (32/b), at bit i % (32/b) * b; codes that are signed in memory are stored plus 2^(b-1)
//! down    the same for each column, from row 0 down: word [w, j]
//! ```

use super::WORD;
use lowbit_scalar::pack::{pack_bits, unpack_bits};

/// The number of codes in a word.
pub(super) const fn per_word(bits: u32) -> usize {
    (32 / bits) as usize
}

pub(super) fn pack((bits, signed): (u32, bool), cols: usize, memory: &[u8], file: &mut [u8]) {
    let (width, words) = ((cols * bits as usize).div_ceil(8), cols.div_ceil(per_word(bits)));
    let mut codes = vec![0; cols];
    let rows = memory.chunks_exact(width.max(1)).zip(file.chunks_exact_mut((words * WORD).max(1)));
    for (from, to) in rows {
        unpack_bits(bits, from, &mut codes);
        for (codes, word) in codes.chunks(per_word(bits)).zip(to.as_chunks_mut::<WORD>().0) {
            let code = |code: &u8| u32::from(*code) ^ sign_bit(bits, signed);
            *word = codes.iter().rev().fold(0, |all, one| all << bits | code(one)).to_le_bytes();
        }
    }
}

pub(super) fn unpack((bits, signed): (u32, bool), cols: usize, file: &[u8], memory: &mut [u8]) {
    let (width, words) = ((cols * bits as usize).div_ceil(8), cols.div_ceil(per_word(bits)));
    let mut codes = vec![0; cols];
    let rows = memory.chunks_exact_mut(width.max(1)).zip(file.chunks_exact((words * WORD).max(1)));
    for (to, from) in rows {
        for (codes, word) in codes.chunks_mut(per_word(bits)).zip(from.as_chunks::<WORD>().0) {
            let word = u32::from_le_bytes(*word);
            for (at, code) in codes.iter_mut().enumerate() {
                *code = ((word >> (at as u32 * bits) ^ sign_bit(bits, signed)) & mask(bits)) as u8;
            }
        }
        pack_bits(bits, &codes, to);
    }
}

/// Packs values down the columns. In memory each value is a byte.
pub(super) fn pack_down(bits: u32, cols: usize, memory: &[u8], file: &mut [u8]) {
    file.fill(0);
    for (row, values) in memory.chunks_exact(cols.max(1)).enumerate() {
        let (word, shift) = (row / per_word(bits), (row % per_word(bits)) as u32 * bits);
        let words = file[word * cols * WORD..].as_chunks_mut::<WORD>().0;
        for (word, value) in words.iter_mut().zip(values) {
            *word = (u32::from_le_bytes(*word) | (u32::from(*value) & mask(bits)) << shift).to_le_bytes();
        }
    }
}

/// The inverse of [`pack_down`].
pub(super) fn unpack_down(bits: u32, cols: usize, file: &[u8], memory: &mut [u8]) {
    for (row, values) in memory.chunks_exact_mut(cols.max(1)).enumerate() {
        let (word, shift) = (row / per_word(bits), (row % per_word(bits)) as u32 * bits);
        let words = file[word * cols * WORD..].as_chunks::<WORD>().0;
        for (word, value) in words.iter().zip(values) {
            *value = (u32::from_le_bytes(*word) >> shift & mask(bits)) as u8;
        }
    }
}

const fn mask(bits: u32) -> u32 {
    (1 << bits) - 1
}

const fn sign_bit(bits: u32, signed: bool) -> u32 {
    if signed { 1 << (bits - 1) } else { 0 }
}
