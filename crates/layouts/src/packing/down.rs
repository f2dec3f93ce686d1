//! Columns packed into u32 words. Value (i, j), a byte in memory, is in bits `i*b ..` of the stream
//! of column j. Word [w, j] has bits 32w .. 32w+31 of that stream.

use super::WORD;

pub(super) fn pack(bits: u32, rows: usize, cols: usize, memory: &[u8], file: &mut [u8]) {
    file.fill(0);
    each_in_column(bits, rows, cols, |at, shift, value, part| {
        file[at] |= ((u16::from(memory[value]) << shift) >> (8 * part)) as u8;
    });
}

pub(super) fn unpack(bits: u32, rows: usize, cols: usize, file: &[u8], memory: &mut [u8]) {
    memory.fill(0);
    let keep = 0xff_u8 >> (8 - bits);
    each_in_column(bits, rows, cols, |at, shift, value, part| {
        memory[value] |= ((u16::from(file[at]) << (8 * part) >> shift) as u8) & keep;
    });
}

/// Calls `visit(byte in the file, bit in that byte, byte in memory, part)` for every value of every
/// column. Part 1 is the following byte, for values that cross a byte boundary.
fn each_in_column(bits: u32, rows: usize, cols: usize, mut visit: impl FnMut(usize, usize, usize, usize)) {
    for row in 0..rows {
        let (first, shift) = (row * bits as usize / 8, row * bits as usize % 8);
        for part in 0..=usize::from(shift + bits as usize > 8) {
            let (word, byte) = ((first + part) / WORD, (first + part) % WORD);
            for col in 0..cols {
                visit((word * cols + col) * WORD + byte, shift, row * cols + col, part);
            }
        }
    }
}
