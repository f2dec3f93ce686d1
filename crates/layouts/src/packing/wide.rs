//! Codes with a whole byte each in the file, in two's complement. Codes that are unsigned in memory
//! are stored minus 2^(b-1).
//!
//! ```text
//! memory  Int 4    1111 0010         two codes, 2 and -1          file  02 ff
//! memory  Uint 4   0111 1010         two codes, 10 and 7          file  02 ff
//! ```

use lowbit_scalar::pack::{pack_bits, unpack_bits};

pub(super) fn pack((bits, signed): (u32, bool), cols: usize, memory: &[u8], file: &mut [u8]) {
    let width = (cols * bits as usize).div_ceil(8);
    for (from, to) in memory.chunks_exact(width.max(1)).zip(file.chunks_exact_mut(cols.max(1))) {
        unpack_bits(bits, from, to);
        to.iter_mut().for_each(|code| *code = if signed { extend(bits, *code) } else { lower(bits, *code) });
    }
}

/// Packs each code into a byte with zeros in the upper bits. The inverse is [`unpack`] for signed
/// codes.
pub(super) fn pack_unsigned(bits: u32, cols: usize, memory: &[u8], file: &mut [u8]) {
    let width = (cols * bits as usize).div_ceil(8);
    let rows = memory.chunks_exact(width.max(1)).zip(file.chunks_exact_mut(cols.max(1)));
    rows.for_each(|(from, to)| unpack_bits(bits, from, to));
}

/// Unpacks codes and drops the upper bits. Readers refuse bytes out of range before.
pub(super) fn unpack((bits, signed): (u32, bool), cols: usize, file: &[u8], memory: &mut [u8]) {
    let width = (cols * bits as usize).div_ceil(8);
    let mut codes = vec![0; cols];
    for (to, from) in memory.chunks_exact_mut(width.max(1)).zip(file.chunks_exact(cols.max(1))) {
        for (code, byte) in codes.iter_mut().zip(from) {
            *code = (if signed { *byte } else { raise(bits, *byte) }) & (0xff >> (8 - bits));
        }
        pack_bits(bits, &codes, to);
    }
}

/// The byte of an unsigned value minus 2^(bits-1).
pub(super) const fn lower(bits: u32, value: u8) -> u8 {
    value.wrapping_sub(1 << (bits - 1))
}

/// The inverse of [`lower`].
pub(super) const fn raise(bits: u32, byte: u8) -> u8 {
    byte.wrapping_add(1 << (bits - 1))
}

/// Sign-extends a code to a byte.
const fn extend(bits: u32, code: u8) -> u8 {
    ((code << (8 - bits)) as i8 >> (8 - bits)) as u8
}
