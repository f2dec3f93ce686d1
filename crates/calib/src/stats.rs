//! What has to be known of a whole tensor before its first row can be encoded.
//!
//! ```text
//! tensor scale (NVFP4)                    amax
//! one scale per matrix (fp8, int8-tensor) smallest and largest value; for percentile and mse a histogram besides
//! everything else                         nothing
//! ```
//!
//! Statistics of parts merge into those of the whole, in any order and any division: they are maxima and counts.

use lowbit_blocks::Values;
use lowbit_kernels::Kernels;

use crate::error::Error;
use crate::histogram::Histogram;

/// Values that are widened at a time.
const CHUNK: usize = 8192;

/// Extremes of a tensor, and its histogram where the recipe asks for one.
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
    /// Statistics of nothing yet.
    pub(crate) fn new(histogram: bool) -> Self {
        Self { lo: 0.0, hi: 0.0, histogram: histogram.then(Histogram::new) }
    }

    /// Statistics of a tensor of which only the largest magnitude is known: all that a tensor scale needs.
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

    /// Takes in some of the values.
    ///
    /// # Errors
    /// [`Error::Observed`] at the first value that is NaN or infinite; the statistics are then of no use.
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
            // In their total order infinities and NaN are the ends.
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

    /// Adds statistics of another part, or of a matrix that shares the scale. A histogram stays only if both have one.
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

    /// The smallest and the largest value, 0 included.
    #[must_use]
    pub const fn range(&self) -> (f32, f32) {
        (self.lo, self.hi)
    }

    pub(crate) const fn histogram(&self) -> Option<&Histogram> {
        self.histogram.as_ref()
    }
}
