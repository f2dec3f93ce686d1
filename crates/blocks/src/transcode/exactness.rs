//! Exactness of a transcoding.

use core::fmt;

/// The relation of the result's values to those of the source. Its text is a line of a report.
///
/// ```
/// use lowbit_blocks::transcode::Exactness;
/// let rounded = Exactness::ScalesRounded { count: 3, of: 64, relative_error: 0.001953125 };
/// assert_eq!(rounded.to_string(), "exact codes, 3 of 64 scales rounded by up to 0.20 %");
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub enum Exactness {
    /// Every value is the same f32, including the signs of zeros. NaN stays NaN.
    Exact,
    /// Codes and block scales are the same. The tensor scale is rounded to the nearest reciprocal,
    /// because it multiplies in one format and divides in the other.
    TensorScaleRounded {
        /// The largest `|stored * reciprocal - 1|` of a matrix.
        relative_error: f64,
    },
    /// Codes have the same values; some block scales were rounded to the target's type.
    ScalesRounded {
        /// The number of rounded scales.
        count: usize,
        /// The number of all scales.
        of: usize,
        /// The largest `|stored / wanted - 1|` of a scale.
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
