//! Columns packed into words, one column after the other. In memory each value is a byte. GPTQ's
//! `qzeros` `[groups, out * b / 32]`.
//!
//! ```text
//! memory  value (i, j), a byte         file  bits i*b .. of stream j; streams are padded to words
//! ```
//!
//! GPTQ version 1 stores each zero point minus one. Its tools subtract 1 from all fields of a word
//! at once, so a zero point of 0 borrows from the field above it. Adding 1 to all fields at once
//! restores every zero point. 3-bit fields cross word boundaries; they are treated separately,
//! modulo 8.

use super::WORD;
use lowbit_scalar::pack::{pack_bits, unpack_bits};

pub(super) fn pack((bits, less_one): (u32, bool), cols: usize, memory: &[u8], file: &mut [u8]) {
    let (rows, width) = sizes(cols, memory.len(), file.len());
    let mut column = vec![0; rows];
    for (col, words) in file.chunks_exact_mut(width.max(1)).enumerate().take(cols) {
        for (value, from) in column.iter_mut().zip(memory[col..].iter().step_by(cols)) {
            *value = if less_one && !divides(bits) { from.wrapping_sub(1) } else { *from };
        }
        let (stream, padding) = words.split_at_mut((rows * bits as usize).div_ceil(8));
        pack_bits(bits, &column, stream);
        padding.fill(0);
        if less_one && divides(bits) {
            each_word(words, |word| word.wrapping_sub(ones(bits)));
        }
    }
}

pub(super) fn unpack((bits, less_one): (u32, bool), cols: usize, file: &[u8], memory: &mut [u8]) {
    let (rows, width) = sizes(cols, memory.len(), file.len());
    let mask = 0xff_u8 >> (8 - bits);
    let (mut column, mut words) = (vec![0; rows], vec![0; width]);
    for (col, from) in file.chunks_exact(width.max(1)).enumerate().take(cols) {
        words.copy_from_slice(from);
        if less_one && divides(bits) {
            each_word(&mut words, |word| word.wrapping_add(ones(bits)));
        }
        unpack_bits(bits, &words[..(rows * bits as usize).div_ceil(8)], &mut column);
        for (value, to) in column.iter().zip(memory[col..].iter_mut().step_by(cols)) {
            *to = if less_one && !divides(bits) { value.wrapping_add(1) & mask } else { *value };
        }
    }
}

/// The number of values in a column, and the bytes of its words.
fn sizes(cols: usize, memory: usize, file: usize) -> (usize, usize) {
    (memory.checked_div(cols).unwrap_or(0), file.checked_div(cols).unwrap_or(0))
}

/// Whether no field crosses a word boundary.
const fn divides(bits: u32) -> bool {
    32 % bits == 0
}

/// A word with 1 in every field.
fn ones(bits: u32) -> u32 {
    (0..32 / bits).fold(0, |word, field| word | 1 << (field * bits))
}

fn each_word(words: &mut [u8], change: impl Fn(u32) -> u32) {
    for word in words.as_chunks_mut::<WORD>().0 {
        *word = change(u32::from_le_bytes(*word)).to_le_bytes();
    }
}
