//! Columns of activations that were quantized, in the form that products read.
//!
//! A column of integers is stored twice, each time padded with zeros to a multiple of 256 values:
//!
//! ```text
//! in order         v0 v1 v2 v3 …                                                for codes that are bytes
//! halves apart     v0 v2 … v126, v1 v3 … v127, v128 v130 …                      for codes that are nibbles: a byte holds v0 and v1
//! ```
//!
//! In the second order, 64 values lie as the low nibbles of 64 bytes do, and 64 as the high ones. Sums within a block are exact, so their order is free.

use crate::Element;

/// Columns are padded to a multiple of this.
pub(crate) const PAD: usize = 256;
/// Values per entry of `sums`.
pub(crate) const SUM: usize = 16;

/// Columns of activations, one after the other, with a scale per block.
///
/// ```
/// use lowbit_kernels::{Blocks, Element, Kernels, Prepared, Rows, Values};
/// let kernels = Kernels::best();
/// // Four activations, in blocks of two, to int8: scales 127 / 127 and 254 / 127.
/// let (mut int8, mut scales) = ([0; 4], [0.0; 2]);
/// kernels.quantize_int8(&[127.0, -3.0, 254.0, 2.0], 2, &mut int8, &mut scales);
/// assert_eq!((int8, scales), ([127, 0xfd, 127, 1], [1.0, 2.0]));
///
/// // The form that products read.
/// let element = Element::Int { bits: 8 };
/// let (mut codes, mut sums) = ([0; Values::codes_len(4)], [0; Values::sums_len(4)]);
/// kernels.expand(element, &int8, 4, &mut codes, &mut sums);
/// let x = Prepared { len: 4, block: 2, values: Values::Int { codes: &codes, sums: &sums, step: 1.0 }, scales: &scales };
///
/// // One row of E2M1: (1, 1, 6, -0.5) in one block of scale 0.5.
/// let rows = Rows { element: Element::E2m1, count: 1, len: 4, codes: &[0x22, 0x97], blocks: Blocks::whole(&0.5) };
/// let mut out = [0.0];
/// kernels.dot_prepared(rows, x, &mut out);
/// assert_eq!(out, [823.5]); // (127 - 3) * 0.5 * 1 + (6 * 127 - 0.5 * 1) * 0.5 * 2
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prepared<'a> {
    /// Values per column.
    pub len: usize,
    /// Values per block, the last of which may be short. Anything from the length on means one block.
    pub block: usize,
    /// The values before scaling.
    pub values: Values<'a>,
    /// `len.div_ceil(block)` scales per column.
    pub scales: &'a [f32],
}

/// The unscaled values of [`Prepared`] columns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Values<'a> {
    /// Whole numbers of steps, as [`Kernels::expand`](crate::Kernels::expand) writes them.
    Int {
        /// [`codes_len`](Values::codes_len) per column, in an order of our own.
        codes: &'a [i8],
        /// [`sums_len`](Values::sums_len) per column.
        sums: &'a [i32],
        /// What a code of 1 is worth: [`Element::step`].
        step: f32,
    },
    /// The values themselves, `len` per column: for elements that are not whole numbers of steps, [`Kernels::decode`](crate::Kernels::decode)d
    /// with a scale of 1.
    Float(&'a [f32]),
}

impl Values<'_> {
    /// Codes of a column of `len` integers, padding and both orders included.
    pub const fn codes_len(len: usize) -> usize {
        2 * len.next_multiple_of(PAD)
    }

    /// Sums of a column of `len` integers.
    pub const fn sums_len(len: usize) -> usize {
        len.next_multiple_of(PAD) / SUM
    }
}

impl<'a> Prepared<'a> {
    /// Checks lengths against rows of `len` values in blocks of `block`.
    #[track_caller]
    pub(crate) fn check(&self, len: usize, block: usize, columns: usize) {
        assert!(self.len == len, "rows of {len} values and columns of {}", self.len);
        assert!(self.block > 0, "blocks of no values");
        let (least, most) = (block.min(self.block), block.max(self.block));
        assert!(
            most >= len || most.is_multiple_of(least),
            "blocks of {block} weights and of {} activations do not divide one another",
            self.block
        );
        let (got, want) = (self.scales.len(), columns * self.blocks_per_column());
        assert!(
            got == want,
            "{columns} columns of {len} values in blocks of {} need {want} scales, got {got}",
            self.block
        );
        match self.values {
            Values::Int { codes, sums, step } => {
                let (got, want) = (codes.len(), columns * Values::codes_len(len));
                assert!(got == want, "{columns} columns of {len} integers take {want} codes, got {got}");
                let (got, want) = (sums.len(), columns * Values::sums_len(len));
                assert!(got == want, "{columns} columns of {len} integers take {want} sums, got {got}");
                assert!(step > 0.0, "a step of {step}");
            }
            Values::Float(values) => {
                let (got, want) = (values.len(), columns * len);
                assert!(got == want, "{columns} columns of {len} values take {want} values, got {got}");
            }
        }
    }

    fn blocks_per_column(&self) -> usize {
        self.len.div_ceil(self.block)
    }

    /// One column.
    pub(crate) fn column(self, column: usize) -> Prepared<'a> {
        fn nth<T>(all: &[T], len: usize, column: usize) -> &[T] {
            &all[column * len..][..len]
        }
        let values = match self.values {
            Values::Int { codes, sums, step } => Values::Int {
                codes: nth(codes, Values::codes_len(self.len), column),
                sums: nth(sums, Values::sums_len(self.len), column),
                step,
            },
            Values::Float(values) => Values::Float(nth(values, self.len, column)),
        };
        Prepared { values, scales: nth(self.scales, self.blocks_per_column(), column), ..self }
    }
}

/// The step of an element that fits a signed byte.
#[track_caller]
pub(crate) fn check_expand(e: Element, values: usize, codes: usize, out: usize, sums: usize) {
    crate::kernels::check_codes(e, values, codes);
    assert!(
        e.step().is_some() && e != (Element::Uint { bits: 8 }),
        "values of {e} are not whole numbers of steps in a signed byte"
    );
    let want = Values::codes_len(values);
    assert!(out == want, "{values} integers take {want} codes, got {out}");
    let want = Values::sums_len(values);
    assert!(sums == want, "{values} integers take {want} sums, got {sums}");
}
