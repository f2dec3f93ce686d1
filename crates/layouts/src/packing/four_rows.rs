//! Interleaves four rows, 64 columns at a time, in the order that AWQ's GEMV-fast kernel unpacks
//! with few shifts.
//!
//! ```text
//! 64 columns of row 0, then of rows 1, 2, 3; then the next 64 columns. Each 32 of them are 16 bytes, low nibble first, in the order
//! 0 8 16 24  1 9 17 25  2 10 18 26  3 11 19 27  4 12 20 28  5 13 21 29  6 14 22 30  7 15 23 31
//! ```

/// Bytes of 32 codes, and of 64.
const HALF: usize = 16;
const WHOLE: usize = 2 * HALF;

/// `width` is the length of a row in memory, in bytes.
pub(super) fn pack(width: usize, memory: &[u8], file: &mut [u8]) {
    file.fill(0);
    each_nibble(width, memory.len(), |in_memory, in_file| {
        file[in_file / 2] |= (memory[in_memory / 2] >> (4 * (in_memory % 2)) & 15) << (4 * (in_file % 2));
    });
}

pub(super) fn unpack(width: usize, file: &[u8], memory: &mut [u8]) {
    memory.fill(0);
    each_nibble(width, memory.len(), |in_memory, in_file| {
        memory[in_memory / 2] |= (file[in_file / 2] >> (4 * (in_file % 2)) & 15) << (4 * (in_memory % 2));
    });
}

/// Calls `visit(nibble in memory, nibble in the file)` for every code of all complete groups of
/// four rows and 64 columns.
fn each_nibble(width: usize, bytes: usize, mut visit: impl FnMut(usize, usize)) {
    let rows = bytes.checked_div(width).unwrap_or(0);
    for row in 0..rows / 4 * 4 {
        for block in 0..width / WHOLE {
            let memory = 2 * (row * width + block * WHOLE);
            let file = 2 * (row / 4 * 4 * width + (block * 4 + row % 4) * WHOLE);
            for i in 0..2 * WHOLE {
                let (half, at) = (i / 32 * 32, i % 32);
                visit(memory + half + at % 4 * 8 + at / 4, file + i);
            }
        }
    }
}
