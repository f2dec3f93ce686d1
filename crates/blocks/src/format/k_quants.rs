//! The K-quants of ggml as rows: integers with two-level scales.
//!
//! ```text
//! row    codes   block  scale (and min)  super-block            value                     bits per weight
//! Q2_K   2 bits  16     uint4, uint4     f16 d, f16 dmin of 16  (d * sc) * q - dmin * m   2.625
//! Q3_K   3 bits  16     int6             f16 d of 16            (d * sc) * q              3.4375
//! Q4_K   4 bits  32     uint6, uint6     f16 d, f16 dmin of 8   (d * sc) * q - dmin * m   4.5
//! Q5_K   5 bits  32     uint6, uint6     f16 d, f16 dmin of 8   (d * sc) * q - dmin * m   5.5
//! Q6_K   6 bits  16     int8             f16 d of 16            (d * sc) * q              6.5625
//! ```
//!
//! A super-block is 256 values. Each product and each difference is one f32 operation, in this
//! order, as in `dequantize_row_q4_K` and its siblings. The codes and scales that ggml stores with
//! an offset (q - 4, q - 32, sc - 32) are two's complement here. The offset, and the order of codes
//! and scales within a super-block, are handled by the file layout.
//!
//! Source: ggml `ggml-quants.c`; `block_q4_K` and its siblings in `ggml-common.h`.

use lowbit_kernels::Element;

use super::{Block, Format, Zero};
use crate::levels::{Outer, Scale};
use crate::scale::ScaleKind;

/// The number of values of a super-block (`QK_K`).
const SUPER_BLOCK: usize = 256;

const fn k_quant(element: Element, block: usize, kind: ScaleKind, zero: Zero) -> Format {
    let outer = Outer::Blocks { count: SUPER_BLOCK / block, kind: ScaleKind::F16 };
    Format { element, block: Block::Group(block), scale: Scale { kind, outer }, zero }
}

const UINT4: ScaleKind = ScaleKind::Int { bits: 4, signed: false };
const UINT6: ScaleKind = ScaleKind::Int { bits: 6, signed: false };
const INT6: ScaleKind = ScaleKind::Int { bits: 6, signed: true };
const INT8: ScaleKind = ScaleKind::Int { bits: 8, signed: true };

/// 2-bit integers with minima, in blocks of 16; 4-bit scales and minima under f16 numbers per 256
/// values; 2.625 bits per weight.
pub const Q2_K: Format = k_quant(Element::Uint { bits: 2 }, 16, UINT4, Zero::Min);

/// 3-bit integers in blocks of 16; 6-bit scales under an f16 per 256 values; 3.4375 bits per
/// weight.
pub const Q3_K: Format = k_quant(Element::Int { bits: 3 }, 16, INT6, Zero::None);

/// 4-bit integers with minima, in blocks of 32; 6-bit scales and minima under f16 numbers per 256
/// values; 4.5 bits per weight.
///
/// ```
/// use lowbit_blocks::{Q4_K, Shape};
/// // 128 bytes of codes, 2 + 6 of scales, 2 + 6 of minima: 144 bytes, as a block of ggml has.
/// let shape = Shape::matrix(1, 256);
/// assert_eq!((Q4_K.codes_len(shape), Q4_K.scales_len(shape), Q4_K.zeros_len(shape)), (128, 8, 8));
/// assert_eq!(Q4_K.bits_per_weight(shape), 4.5);
/// ```
pub const Q4_K: Format = k_quant(Element::Uint { bits: 4 }, 32, UINT6, Zero::Min);

/// 5-bit integers with minima, in blocks of 32; scales as in [`Q4_K`]; 5.5 bits per weight.
pub const Q5_K: Format = k_quant(Element::Uint { bits: 5 }, 32, UINT6, Zero::Min);

/// 6-bit integers in blocks of 16; 8-bit scales under an f16 per 256 values; 6.5625 bits per
/// weight.
pub const Q6_K: Format = k_quant(Element::Int { bits: 6 }, 16, INT8, Zero::None);
