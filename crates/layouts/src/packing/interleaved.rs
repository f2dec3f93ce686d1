//! AWQ's words of eight rows, in the order in which its kernel unpacks them in pairs. Words are
//! stored column by column.
//!
//! ```text
//! memory  codes: nibbles [N, K]        zero points: bytes [N, G]
//! file    word [k, n / 8]              nibble i is row n + ORDER[i], column k
//! ```

use super::WORD;

/// The row of each nibble in a word, of eight rows.
const ORDER: [usize; 8] = [0, 2, 4, 6, 1, 3, 5, 7];

/// The number of columns that are packed together, so that both sides stay in the cache.
const EDGE: usize = 32;

/// The arrangement of values in memory.
#[derive(Clone, Copy)]
pub(super) enum Values {
    /// Two values per byte, with rows padded to bytes. The mask is combined by XOR: 8 for two's
    /// complement.
    Nibbles(u8),
    /// One value per byte.
    Bytes,
}

impl Values {
    const fn width(self, cols: usize) -> usize {
        match self {
            Self::Nibbles(_) => cols.div_ceil(2),
            Self::Bytes => cols,
        }
    }

    fn get(self, row: &[u8], col: usize) -> u8 {
        match self {
            Self::Nibbles(mask) => row[col / 2] >> (4 * (col % 2)) & 15 ^ mask,
            Self::Bytes => row[col] & 15,
        }
    }

    /// Sets a value that is still zero.
    fn set(self, row: &mut [u8], col: usize, value: u8) {
        match self {
            Self::Nibbles(mask) => row[col / 2] |= (value ^ mask) << (4 * (col % 2)),
            Self::Bytes => row[col] = value,
        }
    }
}

pub(super) fn pack(values: Values, (rows, cols): (usize, usize), memory: &[u8], file: &mut [u8]) {
    let width = values.width(cols);
    each_word(rows, cols, |at, row, col| {
        let nibble = |i: usize| {
            let row = &memory[(row + ORDER[i]) * width..][..width];
            u32::from(values.get(row, col)) << (4 * i)
        };
        let word: u32 = (0..8).map(nibble).sum();
        file[at..at + WORD].copy_from_slice(&word.to_le_bytes());
    });
}

pub(super) fn unpack(values: Values, (rows, cols): (usize, usize), file: &[u8], memory: &mut [u8]) {
    let width = values.width(cols);
    memory.fill(0);
    each_word(rows, cols, |at, row, col| {
        for (i, place) in ORDER.iter().enumerate() {
            let value = file[at + i / 2] >> (4 * (i % 2)) & 15;
            values.set(&mut memory[(row + place) * width..][..width], col, value);
        }
    });
}

/// Calls `visit(byte in the file, first row, column)` for every word.
fn each_word(rows: usize, cols: usize, mut visit: impl FnMut(usize, usize, usize)) {
    let words = rows / 8;
    for left in (0..cols).step_by(EDGE) {
        for word in 0..words {
            for col in left..cols.min(left + EDGE) {
                visit((col * words + word) * WORD, 8 * word, col);
            }
        }
    }
}
