//! The arrangements of codes and zero points that files use, to and from the one arrangement in memory.
//!
//! In memory (`lowbit-blocks`) a row of codes is a dense stream, code `i` in bits `i*b ..` from the least significant bit of byte 0 on, padded to a
//! whole byte; zero points are one byte each. Files differ like this:
//!
//! ```text
//! //! Words      rows padded to u32 words; signed codes carry an offset of 2^(b-1)           compressed-tensors pack-quantized, weights
//! Down       one stream per column, from row 0 down, in u32 words: word [w, j]           compressed-tensors pack-quantized, zero points
//!            holds bits 32w .. 32w+31 of column j
//! RowPairs   byte [j, c] = code (2j, c) in the low nibble, code (2j+1, c) in the high     ModelOpt INT4
//! ```
//!
//! All of them work on tiles of whole rows, so that no tensor need be in memory: [`Packing::quantum`] says how many rows go together.

/// How a file arranges codes or zero points, where that is not as in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packing {
    /// Rows of u32 words.
    Words {
        /// Bits of a code.
        bits: u32,
        /// Whether codes are two's complement in memory; the file stores them plus 2^(bits-1).
        signed: bool,
    },
    /// Columns of u32 words, of values that are one byte each in memory.
    Down {
        /// Bits of a value.
        bits: u32,
    },
    /// Two rows of 4-bit codes in one row of bytes. There must be an even number of rows and of columns.
    RowPairs,
}

impl Packing {
    /// Rows that go together: a tile starts at a multiple of it, and ends at one or at the last row.
    pub const fn quantum(self) -> usize {
        match self {
            Self::Words { .. } => 1,
            // 32 values of any width fill whole words.
            Self::Down { .. } => 32,
            Self::RowPairs => 2,
        }
    }

    /// Bytes in memory of a row of `cols` values.
    pub const fn row_bytes(self, cols: usize) -> usize {
        match self {
            Self::Words { bits, .. } => (cols * bits as usize).div_ceil(8),
            Self::Down { .. } => cols,
            Self::RowPairs => cols / 2,
        }
    }

    /// Bytes in the file of the first `rows` rows of `cols` values; it is also where row `rows` starts.
    ///
    /// ```
    /// use lowbit_checkpoint::layout::Packing;
    /// let int4 = Packing::Words { bits: 4, signed: true };
    /// assert_eq!(int4.packed_len(2, 12), 16); // 12 codes in 6 bytes become two words
    /// assert_eq!(Packing::Down { bits: 4 }.packed_len(40, 3), 5 * 3 * 4); // 40 nibbles down each of 3 columns
    /// assert_eq!(Packing::RowPairs.packed_len(4, 6), 12);
    /// ```
    pub const fn packed_len(self, rows: usize, cols: usize) -> usize {
        match self {
            Self::Words { .. } => rows * self.row_bytes(cols).next_multiple_of(WORD),
            Self::Down { bits } => (rows * bits as usize).div_ceil(32) * cols * WORD,
            Self::RowPairs => rows * self.row_bytes(cols),
        }
    }

    /// Arranges a tile of `rows` rows of `cols` values for the file.
    ///
    /// # Panics
    /// If `memory` or `file` is not as long as [`row_bytes`](Self::row_bytes) and [`packed_len`](Self::packed_len) say.
    pub fn pack(self, rows: usize, cols: usize, memory: &[u8], file: &mut [u8]) {
        let width = self.assert_lengths(rows, cols, memory.len(), file.len());
        match self {
            Self::Words { bits, signed } => {
                let mask = sign_bits(bits, signed);
                // The bits after the last code stay zero.
                let last = 0xff_u8 >> (8 * width - cols * bits as usize);
                let rows = memory
                    .chunks_exact(width.max(1))
                    .zip(file.chunks_exact_mut(width.next_multiple_of(WORD).max(1)));
                for (from, to) in rows {
                    let (to, padding) = to.split_at_mut(width);
                    flip(from, to, &mask[..bits as usize]);
                    to[width - 1] &= last;
                    padding.fill(0);
                }
            }
            Self::Down { bits } => {
                file.fill(0);
                each_in_column(bits, rows, cols, |at, shift, value, part| {
                    file[at] |= ((u16::from(memory[value]) << shift) >> (8 * part)) as u8;
                });
            }
            Self::RowPairs => {
                for (pair, to) in
                    memory.chunks_exact((2 * width).max(1)).zip(file.chunks_exact_mut(cols.max(1)))
                {
                    let (low, high) = pair.split_at(width);
                    for ((to, low), high) in to.chunks_exact_mut(2).zip(low).zip(high) {
                        to[0] = low & 15 | high << 4;
                        to[1] = low >> 4 | high & 0xf0;
                    }
                }
            }
        }
    }

    /// The inverse of [`pack`](Self::pack): fills `memory` with `rows` rows.
    ///
    /// # Panics
    /// If the lengths do not fit, as in [`pack`](Self::pack).
    pub fn unpack(self, rows: usize, cols: usize, file: &[u8], memory: &mut [u8]) {
        let width = self.assert_lengths(rows, cols, memory.len(), file.len());
        match self {
            Self::Words { bits, signed } => {
                let mask = sign_bits(bits, signed);
                let last = 0xff_u8 >> (8 * width - cols * bits as usize);
                let rows = memory
                    .chunks_exact_mut(width.max(1))
                    .zip(file.chunks_exact(width.next_multiple_of(WORD).max(1)));
                for (to, from) in rows {
                    flip(&from[..width], to, &mask[..bits as usize]);
                    to[width - 1] &= last;
                }
            }
            Self::Down { bits } => {
                memory.fill(0);
                let keep = 0xff_u8 >> (8 - bits);
                each_in_column(bits, rows, cols, |at, shift, value, part| {
                    memory[value] |= ((u16::from(file[at]) << (8 * part) >> shift) as u8) & keep;
                });
            }
            Self::RowPairs => {
                for (from, pair) in
                    file.chunks_exact(cols.max(1)).zip(memory.chunks_exact_mut((2 * width).max(1)))
                {
                    let (low, high) = pair.split_at_mut(width);
                    for ((from, low), high) in from.chunks_exact(2).zip(low).zip(high) {
                        *low = from[0] & 15 | from[1] << 4;
                        *high = from[0] >> 4 | from[1] & 0xf0;
                    }
                }
            }
        }
    }

    /// Checks lengths once for the loops; returns the bytes of a row in memory.
    fn assert_lengths(self, rows: usize, cols: usize, memory: usize, file: usize) -> usize {
        let width = self.row_bytes(cols);
        assert_eq!(
            (memory, file),
            (rows * width, self.packed_len(rows, cols)),
            "{self:?}: {rows} rows of {cols} values"
        );
        width
    }
}

/// Bytes of a u32.
const WORD: usize = 4;

/// The sign bits of eight consecutive codes, which fill `bits` whole bytes; nothing for unsigned codes. Adding 2^(bits-1) is flipping it.
fn sign_bits(bits: u32, signed: bool) -> [u8; 8] {
    let sign = if signed { 1u64 << (bits - 1) } else { 0 };
    (0..8).map(|code| sign << (code * bits)).fold(0, |all, one| all | one).to_le_bytes()
}

/// `to = from ^ mask`, the mask repeated.
fn flip(from: &[u8], to: &mut [u8], mask: &[u8]) {
    for (to, from) in to.chunks_mut(mask.len()).zip(from.chunks(mask.len())) {
        for ((to, from), mask) in to.iter_mut().zip(from).zip(mask) {
            *to = from ^ mask;
        }
    }
}

/// Calls `visit(byte in the file, bit in that byte, byte in memory, 0 or 1)` for every value of every column; 1 is the byte after, where a value
/// that crosses a byte end goes on.
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
