//! Conversions between the arrangements of codes, scales and zero points in files and the single
//! arrangement in memory.
//!
//! In memory (`lowbit-blocks`) a row of codes is a dense bit stream: code `i` is in bits `i*b ..`,
//! starting at the least significant bit of byte 0, and the row is padded to a whole byte. Integer
//! zero points have one byte each. Scales and zero points are row-major over the block grid. Files
//! differ as follows:
//!
//! ```text
//! Words        rows of dense codes, padded to u32 words; signed codes are stored plus 2^(b-1)   compressed-tensors pack-quantized, weights; MLX
//! Down         each column a dense stream in u32 words, from row 0 down: word [w, j]            compressed-tensors pack-quantized, zero points
//!              has bits 32w .. 32w+31 of column j
//! RowPairs     byte [j, c] has code (2j, c) in the low nibble, code (2j+1, c) in the high       ModelOpt INT4
//! Across       the words of Words, transposed: [words of a row, rows]                           GPTQ, weights
//! Columns      each column a dense stream in words, one column after the other                  GPTQ, zero points
//! Interleaved  words of eight rows in the order 0 2 4 6 1 3 5 7, column by column               AWQ, weights and zero points
//! Planes       the words of Across, each 32 codes split into bit planes                         GPTQ planar, weights
//! PlaneColumns the words of Columns, each 32 values split into bit planes                       GPTQ planar, zero points
//! FourRows     four rows interleaved, 64 columns at a time, in a permuted order                 AWQ GEMV-fast, weights
//! Nibbles      rows of 4-bit values in u32 words, padded at the end                             AWQ GEMV, zero points
//! Wider        rows of elements, padded at the end                                              AWQ GEMV, scales
//! Transposed   elements of whole bytes, transposed: [cols, rows]                                GPTQ and AWQ, scales
//! Negated      floats with inverted signs                                                       quanto, shifts
//! Split        the matrix split into pieces, one in each bit field of bytes or words            HQQ and quanto, weights
//! Swizzled     one-byte scales in the 128x4 order of tensor cores                               torchao
//! HighFirst    the first of two 4-bit codes in the high nibble                                  bitsandbytes
//! Padded       rows of u32 words with 32/b whole codes each                                     compressed-tensors 0.17, weights
//! PaddedDown   the words of Padded down the columns                                             compressed-tensors 0.17, zero points
//! Wide         each code a byte of two's complement                                             compressed-tensors int-quantized, torchao
//! OneByte      each code a byte with zeros in the upper bits                                    torchao FP6
//! Lowered      each zero point a byte of two's complement                                       compressed-tensors, zero points
//! ```
//!
//! Packings that work on tiles of whole rows never need a whole tensor in memory;
//! [`Packing::quantum`] is the number of rows that a tile has to be a multiple of. Packings that
//! transpose need the whole matrix.

mod columns;
mod down;
mod four_rows;
mod interleaved;
mod padded;
mod pairs;
mod planes;
mod split;
mod transposed;
mod wide;
mod wider;
mod words;

use lowbit_blocks::{Shape, swizzle::Swizzle};

/// The arrangement of codes, scales or zero points in a file, if it differs from that in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packing {
    /// Rows of dense codes, padded to u32 words.
    Words {
        /// Bits of a code.
        bits: u32,
        /// Whether codes are two's complement in memory. The file stores them plus 2^(bits-1).
        signed: bool,
    },
    /// Columns of dense values in u32 words. In memory each value is a byte.
    Down {
        /// Bits of a value.
        bits: u32,
    },
    /// Two rows of 4-bit codes combined into one row of bytes. Rows and columns have to be even.
    RowPairs,
    /// The words of [`Words`](Self::Words), transposed: column by column.
    Across {
        /// Bits of a code.
        bits: u32,
        /// Whether codes are two's complement in memory. The file stores them plus 2^(bits-1).
        signed: bool,
    },
    /// Each column as a stream of words, one column after the other. In memory each value is a
    /// byte.
    Columns {
        /// Bits of a value.
        bits: u32,
        /// Whether the file stores each value minus one, modulo 2^bits.
        less_one: bool,
    },
    /// The words of [`Across`](Self::Across), with each 32 codes split into bit planes. The number
    /// of columns has to be a multiple of 32.
    Planes {
        /// Bits of a code.
        bits: u32,
        /// Whether codes are two's complement in memory. The file stores them plus 2^(bits-1).
        signed: bool,
    },
    /// The words of [`Columns`](Self::Columns), with each 32 values split into bit planes. The
    /// number of rows has to be a multiple of 32.
    PlaneColumns {
        /// Bits of a value.
        bits: u32,
    },
    /// Four rows of 4-bit codes interleaved. Rows have to be a multiple of 4, columns of 64.
    FourRows,
    /// Rows of 4-bit values in u32 words, padded at the end. In memory each value is a byte.
    Nibbles {
        /// Words of a row, at least enough for its values.
        words: usize,
    },
    /// Rows of elements, padded at the end.
    Wider {
        /// Bytes of an element.
        bytes: usize,
        /// Elements of a row in the file, at least as many as in memory.
        cols: usize,
    },
    /// Words of 4-bit codes of eight rows, column by column. The number of rows has to be a
    /// multiple of 8.
    Interleaved {
        /// Whether codes are two's complement in memory. The file stores them plus 8.
        signed: bool,
    },
    /// The words of [`Interleaved`](Self::Interleaved) for zero points. In memory each is a byte.
    InterleavedZeros,
    /// Elements of `bytes` bytes, transposed.
    Transposed {
        /// Bytes of an element.
        bytes: usize,
    },
    /// Floats of `bytes` bytes with inverted signs.
    Negated {
        /// Bytes of a float.
        bytes: usize,
    },
    /// The matrix split into pieces, with one code of each piece in a byte; 3-bit codes in a word
    /// of four bytes.
    Split {
        /// Bits of a code: 1, 2, 3, 4 or 8.
        bits: u32,
        /// Codes in a row of the matrix that is split. This may differ from the rows in memory.
        width: usize,
        /// Whether the first piece is in the highest bits.
        high_first: bool,
    },
    /// Scales of one byte each in tiles of 128x4, padded with zeros.
    Swizzled,
    /// Bytes with swapped nibbles.
    HighFirst,
    /// Rows of u32 words with whole codes; the remaining top bits are unused.
    Padded {
        /// Bits of a code.
        bits: u32,
        /// Whether codes are two's complement in memory. The file stores them plus 2^(bits-1).
        signed: bool,
    },
    /// The words of [`Padded`](Self::Padded) down the columns. In memory each value is a byte.
    PaddedDown {
        /// Bits of a value.
        bits: u32,
    },
    /// One byte of two's complement for each code.
    Wide {
        /// Bits of a code.
        bits: u32,
        /// Whether codes are two's complement in memory too. Otherwise the file stores them minus
        /// 2^(bits-1).
        signed: bool,
    },
    /// One byte for each code, with zeros in the upper bits.
    OneByte {
        /// Bits of a code.
        bits: u32,
    },
    /// Values of one byte each. The file stores them minus 2^(bits-1).
    Lowered {
        /// Bits of a value.
        bits: u32,
    },
}

/// Bytes of a u32.
const WORD: usize = 4;

/// The quantum of a packing that only works on whole matrices.
const WHOLE: usize = usize::MAX;

impl Packing {
    /// The number of rows that a tile has to be a multiple of: it starts at a multiple of it, and
    /// ends at one or at the last row. `usize::MAX` means the whole matrix.
    pub const fn quantum(self) -> usize {
        match self {
            Self::Words { .. }
            | Self::HighFirst
            | Self::Nibbles { .. }
            | Self::Wider { .. }
            | Self::Padded { .. }
            | Self::Wide { .. }
            | Self::OneByte { .. }
            | Self::Negated { .. }
            | Self::Lowered { .. } => 1,
            // 32 values of any width fill whole words.
            Self::Down { .. } => 32,
            Self::RowPairs => 2,
            Self::FourRows => 4,
            Self::Across { .. }
            | Self::Columns { .. }
            | Self::Planes { .. }
            | Self::PlaneColumns { .. }
            | Self::Interleaved { .. }
            | Self::InterleavedZeros
            | Self::PaddedDown { .. }
            | Self::Split { .. }
            | Self::Swizzled
            | Self::Transposed { .. } => WHOLE,
        }
    }

    /// Length in memory of a row of `cols` values, in bytes.
    pub const fn row_bytes(self, cols: usize) -> usize {
        match self {
            Self::Words { bits, .. }
            | Self::Across { bits, .. }
            | Self::Planes { bits, .. }
            | Self::Padded { bits, .. }
            | Self::Wide { bits, .. }
            | Self::OneByte { bits }
            | Self::Split { bits, .. } => (cols * bits as usize).div_ceil(8),
            Self::Down { .. }
            | Self::Columns { .. }
            | Self::PlaneColumns { .. }
            | Self::Nibbles { .. }
            | Self::InterleavedZeros
            | Self::PaddedDown { .. }
            | Self::Swizzled
            | Self::Lowered { .. } => cols,
            Self::RowPairs | Self::FourRows | Self::HighFirst | Self::Interleaved { .. } => cols.div_ceil(2),
            Self::Transposed { bytes } | Self::Negated { bytes } | Self::Wider { bytes, .. } => cols * bytes,
        }
    }

    /// Length in the file of the first `rows` rows of `cols` values, in bytes. If rows can be read
    /// separately, this is also the offset of row `rows`.
    ///
    /// ```
    /// use lowbit_layouts::Packing;
    /// let int4 = Packing::Words { bits: 4, signed: true };
    /// assert_eq!(int4.packed_len(2, 12), 16); // 12 codes in 6 bytes become two words
    /// assert_eq!(Packing::Down { bits: 4 }.packed_len(40, 3), 5 * 3 * 4); // 40 nibbles down each of 3 columns
    /// assert_eq!(Packing::RowPairs.packed_len(4, 6), 12);
    /// ```
    pub const fn packed_len(self, rows: usize, cols: usize) -> usize {
        match self {
            Self::Words { .. } | Self::Across { .. } | Self::Planes { .. } => {
                rows * self.row_bytes(cols).next_multiple_of(WORD)
            }
            Self::Nibbles { words } => rows * words * WORD,
            Self::Wider { bytes, cols } => rows * cols * bytes,
            Self::Down { bits } | Self::Columns { bits, .. } | Self::PlaneColumns { bits } => {
                (rows * bits as usize).div_ceil(32) * cols * WORD
            }
            Self::Interleaved { .. } | Self::InterleavedZeros => rows / 8 * cols * WORD,
            Self::Padded { bits, .. } => rows * cols.div_ceil(padded::per_word(bits)) * WORD,
            Self::PaddedDown { bits } => rows.div_ceil(padded::per_word(bits)) * cols * WORD,
            Self::Wide { .. } | Self::OneByte { .. } => rows * cols,
            Self::Split { bits, width, .. } => split::packed_len(bits, width, rows * cols),
            Self::Swizzled => Swizzle::Rows128.padded_len(Shape::matrix(rows, cols)),
            Self::RowPairs
            | Self::FourRows
            | Self::Transposed { .. }
            | Self::HighFirst
            | Self::Negated { .. }
            | Self::Lowered { .. } => rows * self.row_bytes(cols),
        }
    }

    /// Packs a tile of `rows` rows of `cols` values for the file.
    ///
    /// # Panics
    /// If the lengths of `memory` and `file` are not those of [`row_bytes`](Self::row_bytes) and
    /// [`packed_len`](Self::packed_len).
    pub fn pack(self, rows: usize, cols: usize, memory: &[u8], file: &mut [u8]) {
        let width = self.assert_lengths(rows, cols, memory.len(), file.len());
        match self {
            Self::Words { bits, signed } => words::pack((bits, signed), cols, memory, file),
            Self::Down { bits } => down::pack(bits, rows, cols, memory, file),
            Self::RowPairs => pairs::pack_rows(width, memory, file),
            Self::Across { bits, signed } => transposed::pack_words((bits, signed), rows, cols, memory, file),
            Self::Planes { bits, signed } => planes::pack((bits, signed), rows, cols, memory, file),
            Self::PlaneColumns { bits } => planes::pack_columns(bits, cols, memory, file),
            Self::FourRows => four_rows::pack(width, memory, file),
            Self::Nibbles { words } => wider::pack_nibbles(words, cols, memory, file),
            Self::Wider { bytes, cols } => wider::pack(width, cols * bytes, memory, file),
            Self::Columns { bits, less_one } => columns::pack((bits, less_one), cols, memory, file),
            Self::Interleaved { signed } => {
                let values = interleaved::Values::Nibbles(if signed { 8 } else { 0 });
                interleaved::pack(values, (rows, cols), memory, file);
            }
            Self::InterleavedZeros => {
                interleaved::pack(interleaved::Values::Bytes, (rows, cols), memory, file);
            }
            Self::Transposed { bytes } => transposed::transpose((rows, cols), bytes, memory, file),
            Self::Negated { bytes } => negate(bytes, memory, file),
            Self::Split { bits, high_first, .. } => split::pack((bits, high_first), cols, memory, file),
            Self::Swizzled => Swizzle::Rows128.swizzle(Shape::matrix(rows, cols), memory, file),
            Self::HighFirst => pairs::swap(memory, file),
            Self::Padded { bits, signed } => padded::pack((bits, signed), cols, memory, file),
            Self::PaddedDown { bits } => padded::pack_down(bits, cols, memory, file),
            Self::OneByte { bits } => wide::pack_unsigned(bits, cols, memory, file),
            Self::Wide { bits, signed } => wide::pack((bits, signed), cols, memory, file),
            Self::Lowered { bits } => {
                file.iter_mut().zip(memory).for_each(|(to, from)| *to = wide::lower(bits, *from));
            }
        }
    }

    /// Unpacks a tile of `rows` rows into `memory`. The inverse of [`pack`](Self::pack).
    ///
    /// # Panics
    /// If the lengths do not match, as in [`pack`](Self::pack).
    pub fn unpack(self, rows: usize, cols: usize, file: &[u8], memory: &mut [u8]) {
        let width = self.assert_lengths(rows, cols, memory.len(), file.len());
        match self {
            Self::Words { bits, signed } => words::unpack((bits, signed), cols, file, memory),
            Self::Down { bits } => down::unpack(bits, rows, cols, file, memory),
            Self::RowPairs => pairs::unpack_rows(width, file, memory),
            Self::Across { bits, signed } => {
                transposed::unpack_words((bits, signed), rows, cols, file, memory)
            }
            Self::Planes { bits, signed } => planes::unpack((bits, signed), rows, cols, file, memory),
            Self::PlaneColumns { bits } => planes::unpack_columns(bits, cols, file, memory),
            Self::FourRows => four_rows::unpack(width, file, memory),
            Self::Nibbles { words } => wider::unpack_nibbles(words, cols, file, memory),
            Self::Wider { bytes, cols } => wider::unpack(width, cols * bytes, file, memory),
            Self::Columns { bits, less_one } => columns::unpack((bits, less_one), cols, file, memory),
            Self::Interleaved { signed } => {
                let values = interleaved::Values::Nibbles(if signed { 8 } else { 0 });
                interleaved::unpack(values, (rows, cols), file, memory);
            }
            Self::InterleavedZeros => {
                interleaved::unpack(interleaved::Values::Bytes, (rows, cols), file, memory);
            }
            Self::Transposed { bytes } => transposed::transpose((cols, rows), bytes, file, memory),
            Self::Negated { bytes } => negate(bytes, file, memory),
            Self::Split { bits, high_first, .. } => split::unpack((bits, high_first), cols, file, memory),
            Self::Swizzled => Swizzle::Rows128.unswizzle(Shape::matrix(rows, cols), file, memory),
            Self::HighFirst => pairs::swap(file, memory),
            Self::Padded { bits, signed } => padded::unpack((bits, signed), cols, file, memory),
            Self::PaddedDown { bits } => padded::unpack_down(bits, cols, file, memory),
            Self::OneByte { bits } => wide::unpack((bits, true), cols, file, memory),
            Self::Wide { bits, signed } => wide::unpack((bits, signed), cols, file, memory),
            Self::Lowered { bits } => {
                memory.iter_mut().zip(file).for_each(|(to, from)| *to = wide::raise(bits, *from));
            }
        }
    }

    /// Checks the lengths once for all loops. The result is the length of a row in memory, in
    /// bytes.
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

/// Inverts the signs of floats: the top bit of the last byte, in little-endian order.
fn negate(bytes: usize, from: &[u8], to: &mut [u8]) {
    for (at, (to, from)) in to.iter_mut().zip(from).enumerate() {
        *to = if at % bytes == bytes - 1 { from ^ 0x80 } else { *from };
    }
}
