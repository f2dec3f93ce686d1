//! Statistics of a whole tensor, which some recipes need before the first row is encoded.
//!
//! ```text
//! tensor scale (NVFP4)                    amax
//! one scale per matrix (fp8, int8-tensor) smallest and largest value;
//!                                         for percentile and mse also a histogram
//! other formats                           none
//! ```
//!
//! Statistics of parts can be merged in any order and division, since they are maxima and counts.

use lowbit_blocks::Values;
use lowbit_kernels::Kernels;

use crate::error::Error;
use crate::histogram::Histogram;

/// The number of values that are widened at a time.
const CHUNK: usize = 8192;

/// The extremes of a tensor, and its histogram if the recipe needs one.
///
/// ```
/// use lowbit_blocks::NVFP4;
/// use lowbit_calib::Recipe;
/// let recipe = Recipe::new(NVFP4)?;
/// let mut first = recipe.stats().expect("NVFP4 has a tensor scale");
/// let mut second = first.clone();
/// first.observe(&[1.0f32, -3.0])?;
/// second.observe(&[2.5f32])?;
/// second.merge(&first);
/// assert_eq!((second.amax(), second.range()), (3.0, (-3.0, 2.5)));
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct TensorStats {
    lo: f32,
    hi: f32,
    histogram: Option<Histogram>,
}

impl TensorStats {
    /// Statistics of no values.
    pub(crate) fn new(histogram: bool) -> Self {
        Self { lo: 0.0, hi: 0.0, histogram: histogram.then(Histogram::new) }
    }

    /// Statistics from a known largest magnitude, which is enough for a tensor scale.
    ///
    /// A quantizer refuses them ([`Error::Amax`]) if `amax` is NaN, infinite or negative.
    ///
    /// ```
    /// assert_eq!(lowbit_calib::TensorStats::from_amax(2.0).range(), (-2.0, 2.0));
    /// ```
    #[must_use]
    pub fn from_amax(amax: f32) -> Self {
        Self { lo: -amax, hi: amax, histogram: None }
    }

    /// Adds some of the values.
    ///
    /// # Errors
    /// [`Error::Observed`] at the first value that is NaN or infinite; the statistics are then
    /// invalid.
    pub fn observe<'x>(&mut self, values: impl Into<Values<'x>>) -> Result<(), Error> {
        let values = values.into();
        let kernels = Kernels::best();
        let mut buffer = match values {
            Values::F32(_) => Vec::new(),
            _ => vec![0.0; CHUNK.min(values.len())],
        };
        let (mut lo, mut hi) = ([0.0], [0.0]);
        for start in (0..values.len()).step_by(CHUNK) {
            let chunk = values.slice(start..values.len().min(start + CHUNK));
            let chunk = chunk.widened(&mut buffer);
            kernels.min_max(chunk, chunk.len(), &mut lo, &mut hi);
            // In the total order, infinities and NaN are the extremes.
            if !(lo[0].is_finite() && hi[0].is_finite())
                && let Some(at) = kernels.first_non_finite(chunk)
            {
                return Err(Error::Observed { index: start + at, value: chunk[at] });
            }
            self.lo = self.lo.min(lo[0]);
            self.hi = self.hi.max(hi[0]);
            if let Some(histogram) = &mut self.histogram {
                histogram.observe(chunk);
            }
        }
        Ok(())
    }

    /// Adds the statistics of another part, or of a matrix that shares the scale. A histogram is
    /// kept only if both have one.
    pub fn merge(&mut self, other: &Self) {
        self.lo = self.lo.min(other.lo);
        self.hi = self.hi.max(other.hi);
        match (&mut self.histogram, &other.histogram) {
            (Some(own), Some(other)) => own.merge(other),
            (own, _) => *own = None,
        }
    }

    /// The largest magnitude, 0 if nothing was observed.
    #[must_use]
    pub fn amax(&self) -> f32 {
        self.hi.max(-self.lo)
    }

    /// The smallest and the largest value; the range includes 0.
    #[must_use]
    pub const fn range(&self) -> (f32, f32) {
        (self.lo, self.hi)
    }

    pub(crate) const fn histogram(&self) -> Option<&Histogram> {
        self.histogram.as_ref()
    }
}
