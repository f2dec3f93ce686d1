//! Why a stored number has no image in another format.

use lowbit_kernels::Element;

use crate::scale::ScaleKind;

/// Why stored numbers have no image in the target.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Obstacle {
    /// A code's value does not exist in the target's element, whatever the power of two that its scale could take over.
    #[error("no code of {to} is {value}, which {from} has")]
    Code {
        /// The value, after its zero point.
        value: f32,
        /// Element of the source.
        from: Element,
        /// Element of the target.
        to: Element,
    },
    /// A zero point or bias cannot be said in the target.
    #[error("zero point or bias {value} has no image")]
    Zero {
        /// As stored in the source.
        value: f32,
    },
    /// Blocks of different zero points share a block of the target.
    #[error("zero points {0} and {1} meet in one block")]
    Zeros(f32, f32),
    /// Blocks that share a block of the target have scales further apart than its codes can be shifted.
    #[error("scales that meet in one block span {binades} binades, more than codes can be shifted")]
    Span {
        /// Largest exponent less the smallest.
        binades: u32,
    },
    /// Blocks that share a block of the target have scales whose quotient is no power of two.
    #[error("scales that meet in one block differ by more than a power of two")]
    Quotient,
    /// A scale that is NaN, infinite or minus zero shares a block of the target with another.
    #[error("a scale that is no positive number meets another one in one block")]
    Special,
    /// A block whose scale is zero needs zeros of both signs, which the target lacks.
    #[error("a scale of zero has no image")]
    ZeroScale,
    /// A scale beyond what the target's type can hold.
    #[error("scale {value:e} is beyond {kind}")]
    Scale {
        /// What would have to be stored.
        value: f32,
        /// The type of scales.
        kind: ScaleKind,
    },
    /// No power of two as the tensor scale lets the target's block scales hold all of the source's.
    #[error(
        "scales up to {max:e}, down to a last bit of 2^{lowest}, of {digits} binary digits: more than {kind} holds"
    )]
    Reach {
        /// Largest scale.
        max: f32,
        /// Exponent of the lowest bit that any scale has.
        lowest: i32,
        /// Digits from the first to the last bit of the longest.
        digits: u32,
        /// The type of scales.
        kind: ScaleKind,
    },
    /// The tensor scale of a matrix has no reciprocal in f32.
    #[error("tensor scale {value:e} has no reciprocal")]
    TensorScale {
        /// As stored in the source.
        value: f32,
    },
    /// Scales with super-blocks stay as they are or have no image.
    #[error("scales and minima of super-blocks have to stay as they are")]
    SuperBlocks,
    /// A tensor scale and another scale of blocks or zero points at once: the product is rounded, and its parts are not the same.
    #[error("tensor scales have to stay as they are where zero points change")]
    TwoLevels,
}
