//! Error statistics of quantization: the sums, and the figures that follow from them.
//!
//! ```text
//! MSE        sum (x - y)^2 / n
//! SQNR       10 log10( sum x^2 / sum (x - y)^2 )  dB      infinite without error
//! max error  max |x - y|
//! cosine     sum x y / sqrt( sum x^2 * sum y^2 )
//! ```
//!
//! Sums are f64, in the order of the values within a row, and of rows as they are merged. So a
//! report does not depend on threads. Square root and logarithm come from `libm`, so it does not
//! depend on the platform either.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Sums over pairs of original and restored values.
///
/// Observe row by row: the sums of one call start from zero and are then added to the total. f64
/// addition is not associative, so other divisions may give other results.
///
/// ```
/// use lowbit_blocks::ErrorStats;
/// let mut stats = ErrorStats::default();
/// stats.observe(&[3.0, 4.0], &[3.0, 3.0]);
/// let report = stats.report();
/// assert_eq!((report.mse, report.max_error), (0.5, 1.0));
/// assert_eq!(report.cosine, 21.0 / (5.0 * 18f64.sqrt())); // 3*3 + 4*3, |(3, 4)| = 5, |(3, 3)| = sqrt 18
/// ```
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct ErrorStats {
    count: u64,
    /// Sum of (x - y)^2.
    error: f64,
    /// Sum of x^2.
    original: f64,
    /// Sum of y^2.
    restored: f64,
    /// Sum of x y.
    product: f64,
    max_error: f64,
}

impl ErrorStats {
    /// Adds pairs of original and restored values.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn observe(&mut self, original: &[f32], restored: &[f32]) {
        assert_eq!(original.len(), restored.len(), "original and restored values");
        let mut row = Self { count: original.len() as u64, ..Self::default() };
        for (&x, &y) in original.iter().zip(restored) {
            let (x, y) = (f64::from(x), f64::from(y));
            let error = x - y;
            row.error += error * error;
            row.original += x * x;
            row.restored += y * y;
            row.product += x * y;
            row.max_error = larger(row.max_error, error.abs());
        }
        self.merge(&row);
    }

    /// Adds the sums of another.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.error += other.error;
        self.original += other.original;
        self.restored += other.restored;
        self.product += other.product;
        self.max_error = larger(self.max_error, other.max_error);
    }

    /// The report of these sums. Without values, the error is 0 and the cosine 1.
    #[must_use]
    pub fn report(&self) -> ErrorReport {
        let norms = libm::sqrt(self.original) * libm::sqrt(self.restored);
        ErrorReport {
            count: self.count,
            mse: if self.count == 0 { 0.0 } else { self.error / self.count as f64 },
            sqnr_db: if self.error == 0.0 {
                f64::INFINITY
            } else {
                10.0 * libm::log10(self.original / self.error)
            },
            max_error: self.max_error,
            cosine: match (self.original == 0.0, self.restored == 0.0) {
                (true, true) => 1.0,
                (true, false) | (false, true) => 0.0,
                (false, false) => self.product / norms,
            },
        }
    }
}

/// The larger magnitude. NaN counts as the largest.
fn larger(a: f64, b: f64) -> f64 {
    if b > a || b.is_nan() { b } else { a }
}

/// The error of quantization.
///
/// If a restored value is NaN or infinite, every figure shows it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct ErrorReport {
    /// The number of values.
    pub count: u64,
    /// The mean squared error.
    pub mse: f64,
    /// The signal-to-quantization-noise ratio in dB; infinite without error.
    pub sqnr_db: f64,
    /// The largest absolute error.
    pub max_error: f64,
    /// The cosine of the angle between original and restored values; 1 if both are all zeros, 0 if
    /// only one is.
    pub cosine: f64,
}

impl fmt::Display for ErrorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mse, sqnr_db, max_error, cosine, .. } = self;
        write!(f, "MSE {mse:.4e}, SQNR {sqnr_db:.2} dB, max error {max_error:.4e}, cosine {cosine:.6}")
    }
}
