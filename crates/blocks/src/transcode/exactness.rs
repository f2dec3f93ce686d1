//! What a transcoding keeps, and why there is none.

use core::fmt;

use lowbit_kernels::Element;

use crate::scale::ScaleKind;

/// How the values of the result relate to those of the source. Its text is a line of a report.
///
/// ```
/// use lowbit_blocks::transcode::Exactness;
/// let rounded = Exactness::ScalesRounded { count: 3, of: 64, relative_error: 0.001953125 };
/// assert_eq!(rounded.to_string(), "exact codes, 3 of 64 scales rounded by up to 0.20 %");
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub enum Exactness {
    /// Every value is the same f32, zeros with their signs; NaN stays NaN.
    Exact,
    /// Codes and block scales are the same; the tensor scale is the nearest reciprocal, because one side multiplies by it and the
    /// other divides.
    TensorScaleRounded {
        /// `|stored * reciprocal - 1|` of the matrix for which it is largest.
        relative_error: f64,
    },
    /// Codes say the same numbers; some block scales had to be rounded to the target's type.
    ScalesRounded {
        /// Scales of the target that are not what they should be.
        count: usize,
        /// All its scales.
        of: usize,
        /// `|stored / wanted - 1|` of the worst.
        relative_error: f64,
    },
}

impl fmt::Display for Exactness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact => f.write_str("exact"),
            Self::TensorScaleRounded { relative_error } => {
                write!(f, "exact codes, tensor scale rounded by {relative_error:.1e}")
            }
            Self::ScalesRounded { count, of, relative_error } => {
                let percent = 100.0 * relative_error;
                write!(f, "exact codes, {count} of {of} scales rounded by up to {percent:.2} %")
            }
        }
    }
}

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
    /// A tensor scale and another scale of blocks or zero points at once: the product is rounded, and its parts are not the same.
    #[error("tensor scales have to stay as they are where zero points change")]
    TwoLevels,
}
