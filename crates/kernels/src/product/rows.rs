//! Rows of weights, as they are stored.

use crate::{Blocks, Element};

/// `count` rows of `len` codes, each of which starts on a byte and has blocks of its own.
///
/// ```
/// use lowbit_kernels::{Blocks, Element, Kernels, Rows};
/// // Two rows of three INT4 codes, two bytes each, low nibble first: (1, 2, 3) and (-1, -2, -3). Blocks of 2 values: 2 scales a row.
/// let rows = Rows {
///     element: Element::Int { bits: 4 },
///     count: 2,
///     len: 3,
///     codes: &[0x21, 0x03, 0xef, 0x0d],
///     blocks: Blocks { len: 2, scales: &[1.0, 10.0, 0.5, 2.0], zeros: None },
/// };
/// let mut out = [0.0; 2];
/// Kernels::best().dot(rows, &[1.0, 1.0, 1.0], &mut out);
/// assert_eq!(out, [33.0, -7.5]); // 1 + 2 + 30, -0.5 - 1 - 6
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rows<'a> {
    /// What a code stands for.
    pub element: Element,
    /// How many rows there are.
    pub count: usize,
    /// Values per row.
    pub len: usize,
    /// `count * element.packed_len(len)` bytes. What follows them, if more are given, is what the next call reads: it is prefetched, and
    /// changes no result.
    pub codes: &'a [u8],
    /// The blocks of a row, and the scales (and zero points) of all rows, `len.div_ceil(blocks.len)` for each.
    pub blocks: Blocks<'a>,
}

impl<'a> Rows<'a> {
    /// Blocks per row.
    pub(crate) fn blocks_per_row(&self) -> usize {
        self.len.div_ceil(self.blocks.len)
    }

    /// Bytes and scales from one row to the next.
    pub(crate) fn strides(&self) -> (usize, usize) {
        (self.element.packed_len(self.len), self.blocks_per_row())
    }

    /// The `count` rows from `first` on.
    pub(crate) fn some(self, first: usize, count: usize) -> Self {
        let (bytes, blocks) = (self.element.packed_len(self.len), self.blocks_per_row());
        // No scales are here where they are stored in another type.
        let of_rows =
            |all: &'a [f32]| if all.is_empty() { all } else { &all[first * blocks..][..count * blocks] };
        let Blocks { len, scales, zeros } = self.blocks;
        let blocks = Blocks { len, scales: of_rows(scales), zeros: zeros.map(of_rows) };
        Self { count, codes: &self.codes[first * bytes..][..count * bytes], blocks, ..self }
    }

    /// Codes and blocks of a row.
    pub(crate) fn row(self, row: usize) -> (&'a [u8], Blocks<'a>) {
        let Self { codes, blocks, .. } = self.some(row, 1);
        (codes, blocks)
    }

    /// Codes and blocks of one row after the other.
    pub(crate) fn iter(self) -> impl Iterator<Item = (&'a [u8], Blocks<'a>)> {
        (0..self.count).map(move |row| self.row(row))
    }

    /// Checks that there is a scale for each block.
    #[track_caller]
    pub(crate) fn check_scales(&self) {
        let Self { count, len, blocks: Blocks { len: block, scales, .. }, .. } = *self;
        assert!(block > 0, "blocks of no values");
        let (got, want) = (scales.len(), count * self.blocks_per_row());
        assert!(
            got == want,
            "{count} rows of {len} values in blocks of {block} need {want} scales, got {got}"
        );
    }

    /// Checks the other lengths, and returns how many columns `out` has room for.
    #[track_caller]
    pub(crate) fn check(&self, out: usize) -> usize {
        let Self { element, count, len, .. } = *self;
        assert!(self.blocks.len > 0, "blocks of no values");
        let (got, want) = (self.codes.len(), count * element.packed_len(len));
        assert!(got >= want, "{count} rows of {len} codes of {element} take {want} bytes, got {got}");
        let (block, want) = (self.blocks.len, count * self.blocks_per_row());
        if let Some(zeros) = self.blocks.zeros {
            let got = zeros.len();
            assert!(
                got == want,
                "{count} rows of {len} values in blocks of {block} need {want} zero points, got {got}"
            );
        }
        if count == 0 {
            assert!(out == 0, "no rows, but room for {out} results");
            return 0;
        }
        assert!(out.is_multiple_of(count), "{out} results do not divide into {count} rows");
        out / count
    }
}
