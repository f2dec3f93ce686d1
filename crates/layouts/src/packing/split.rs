//! Splits the codes of a matrix into as many pieces as fit into a byte or word, with one piece in
//! each bit field.
//!
//! ```text
//! memory  codes 0 .. n of the whole matrix, row by row
//! file    element p of P has the codes p, p + P, p + 2P ..; the first in the highest field (HQQ) or in the lowest (quanto)
//!         1, 2, 4, 8 bits: bytes without unused bits          3 bits: i32 words with ten codes, at bits 27, 24, .. 0
//! ```
//!
//! The matrix is split between rows of `width` codes. These are rows of groups and not of the
//! weight. If the rows do not divide evenly, the last piece is padded with zeros.

use lowbit_scalar::pack;

/// The number of codes in an element, and its length in bytes.
const fn fields(bits: u32) -> (usize, usize) {
    match bits {
        3 => (10, 4),
        _ => (8 / bits as usize, 1),
    }
}

/// The length in bytes of `codes` codes in rows of `width`.
pub(super) const fn packed_len(bits: u32, width: usize, codes: usize) -> usize {
    let (count, bytes) = fields(bits);
    // A width of 0 is treated as 1, to avoid a division by zero.
    let width = if width == 0 { 1 } else { width };
    codes.div_ceil(width).div_ceil(count) * width * bytes
}

pub(super) fn pack((bits, high_first): (u32, bool), cols: usize, memory: &[u8], file: &mut [u8]) {
    file.fill(0);
    each(bits, high_first, cols, memory.len(), file.len(), |row, code, at, shift| {
        let value = u16::from(pack::get(bits, &memory[row.clone()], code)) << shift;
        let [low, high] = value.to_le_bytes();
        file[at] |= low;
        if high != 0 {
            file[at + 1] |= high;
        }
    });
}

pub(super) fn unpack((bits, high_first): (u32, bool), cols: usize, file: &[u8], memory: &mut [u8]) {
    memory.fill(0);
    let len = memory.len();
    each(bits, high_first, cols, len, file.len(), |row, code, at, shift| {
        let high = if shift + bits > 8 { file[at + 1] } else { 0 };
        let value = u16::from_le_bytes([file[at], high]) >> shift;
        pack::set(bits, &mut memory[row], code, (value & 0xff >> (8 - bits)) as u8);
    });
}

/// Calls `visit(bytes of the row in memory, code in the row, byte in the file, lowest bit in that
/// byte)` for every code.
fn each(
    bits: u32,
    high_first: bool,
    cols: usize,
    memory: usize,
    file: usize,
    mut visit: impl FnMut(std::ops::Range<usize>, usize, usize, u32),
) {
    let width = (cols * bits as usize).div_ceil(8);
    let (count, bytes) = fields(bits);
    let elements = file / bytes;
    for row in 0..memory.checked_div(width).unwrap_or(0) {
        for col in 0..cols {
            let index = row * cols + col;
            let (field, element) = (index / elements, index % elements);
            let field = if high_first { count - 1 - field } else { field };
            let shift = field as u32 * bits;
            visit(row * width..(row + 1) * width, col, element * bytes + shift as usize / 8, shift % 8);
        }
    }
}
