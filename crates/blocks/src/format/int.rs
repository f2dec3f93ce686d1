//! Integers of 1 to 8 bits, symmetric or with a zero point.
//!
//! ```text
//! codes   rows x ceil(cols*bits/8)   a dense stream per row: code i in bits i*bits .. of the row, least
//!                                    significant first, across byte ends; the last byte is padded
//!                                    with zero bits
//! scales  1 | rows | rows x cols/g   bf16 for groups, f32 otherwise, unless the file has another type
//! zeros   as many as scales          one byte each, only in asymmetric formats
//! ```
//!
//! Symmetric: two's complement codes, value = code * scale. Asymmetric: unsigned codes, value =
//! (code - zero) * scale. Some files store symmetric codes with an offset of 2^(bits-1) (GPTQ,
//! compressed-tensors `pack-quantized`). They are read as two's complement; the layout handles the
//! offset.

use lowbit_kernels::Element;

use super::{Block, Format, PLAIN, Zero};
use crate::levels::Scale;
use crate::scale::ScaleKind;

/// INT8, one f32 scale per row.
pub const INT8: Format = Format::int(8, Block::Channel);

/// INT8, one f32 scale per matrix.
pub const INT8_TENSOR: Format = Format::int(8, Block::Tensor);

/// Unsigned INT8 with zero points: one f32 scale and one zero-point byte per row.
pub const UINT8: Format = Format::uint(8, Block::Channel);

/// Unsigned INT8 with a zero point: one f32 scale and one zero-point byte per matrix.
pub const UINT8_TENSOR: Format = Format::uint(8, Block::Tensor);

impl Format {
    /// Symmetric integers: two's complement codes of `bits` bits, no zero point.
    ///
    /// ```
    /// use lowbit_blocks::{Block, Format, Shape};
    /// let int4 = Format::int(4, Block::Group(128));
    /// assert_eq!(int4.name(), "int4-g128");
    /// assert_eq!(int4.bits_per_weight(Shape::matrix(1, 128)), 4.0 + 16.0 / 128.0);
    /// ```
    #[must_use]
    pub const fn int(bits: u8, block: Block) -> Self {
        Self { element: Element::Int { bits }, block, scale: Scale::new(default_scale(block)), ..PLAIN }
    }

    /// Asymmetric integers: unsigned codes of `bits` bits, and a zero point of one byte for each
    /// scale.
    ///
    /// ```
    /// use lowbit_blocks::{Block, Format, Shape};
    /// let int4 = Format::uint(4, Block::Group(128));
    /// assert_eq!(int4.name(), "int4-g128-asym");
    /// assert_eq!(int4.bits_per_weight(Shape::matrix(1, 128)), 4.0 + 16.0 / 128.0 + 8.0 / 128.0);
    /// ```
    #[must_use]
    pub const fn uint(bits: u8, block: Block) -> Self {
        Self {
            element: Element::Uint { bits },
            block,
            scale: Scale::new(default_scale(block)),
            zero: Zero::Int,
            ..PLAIN
        }
    }
}

/// The default type of float scales. For groups bf16 takes half the space of f32 and has the same
/// range.
pub(super) const fn default_scale(block: Block) -> ScaleKind {
    match block {
        Block::Group(_) => ScaleKind::Bf16,
        _ => ScaleKind::F32,
    }
}
