//! Obstacles of exact transcoding.

use lowbit_kernels::Element;

use crate::scale::ScaleKind;

/// The reason why a stored number cannot be represented exactly in the target format.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Obstacle {
    /// The target's element has no code of this value, under any power of two that its scale could
    /// absorb.
    #[error("no code of {to} is {value}, which {from} has")]
    Code {
        /// The value of the code, after its zero point.
        value: f32,
        /// The element of the source.
        from: Element,
        /// The element of the target.
        to: Element,
    },
    /// A zero point or bias cannot be represented in the target.
    #[error("zero point or bias {value} has no image")]
    Zero {
        /// The zero point or bias, as stored in the source.
        value: f32,
    },
    /// Blocks that share a block of the target have these different zero points.
    #[error("zero points {0} and {1} meet in one block")]
    Zeros(f32, f32),
    /// Blocks that share a block of the target have scales that differ by more than its codes can
    /// be shifted.
    #[error("scales that meet in one block span {binades} binades, more than codes can be shifted")]
    Span {
        /// The largest exponent minus the smallest.
        binades: u32,
    },
    /// Blocks that share a block of the target have scales whose ratio is not a power of two.
    #[error("scales that meet in one block differ by more than a power of two")]
    Quotient,
    /// A scale that is NaN, infinite or negative zero shares a block of the target with another
    /// scale.
    #[error("a scale that is no positive number meets another one in one block")]
    Special,
    /// A block whose scale is zero needs zeros of both signs, which the target does not have.
    #[error("a scale of zero has no image")]
    ZeroScale,
    /// A scale is out of range of the target's scale type.
    #[error("scale {value:e} is beyond {kind}")]
    Scale {
        /// The scale that would be stored.
        value: f32,
        /// The target's scale type.
        kind: ScaleKind,
    },
    /// Under no power of two as the tensor scale can the target's scale type represent all scales
    /// of the source.
    #[error(
        "scales up to {max:e}, down to a last bit of 2^{lowest}, of {digits} binary digits: more than {kind} holds"
    )]
    Reach {
        /// The largest scale.
        max: f32,
        /// The exponent of the lowest bit of any scale.
        lowest: i32,
        /// The largest number of binary digits of a scale.
        digits: u32,
        /// The target's scale type.
        kind: ScaleKind,
    },
    /// The tensor scale of a matrix has no reciprocal in f32.
    #[error("tensor scale {value:e} has no reciprocal")]
    TensorScale {
        /// The tensor scale, as stored in the source.
        value: f32,
    },
    /// Scales of super-blocks cannot be converted; they only transcode to the same scales.
    #[error("scales and minima of super-blocks have to stay as they are")]
    SuperBlocks,
    /// Both formats have tensor scales, and only one of them has a bias: products with the tensor
    /// scale are rounded, so the parts cannot be converted.
    #[error("tensor scales have to stay as they are where zero points change")]
    TwoLevels,
}
