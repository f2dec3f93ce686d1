//! What a transcoding keeps.

use core::fmt;

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
