//! A histogram of magnitudes of activations, with no range to choose in advance.
//!
//! ```text
//! bin = upper 20 bits of |x| as f32, without the sign: 8 of the exponent, 11 of the mantissa
//! a binade is allocated at its first value: 2048 counts, 16 KB; activations use 20 to 30 binades
//! ```
//!
//! The width of a bin is at most 2^-11 of its values, at any magnitude. With bins of equal width
//! over a growing range (TensorRT, ModelOpt), one outlier moves almost all values into the first
//! few bins, and the result depends on the order of observation. Here counts are added, in any
//! order.

use lowbit_kernels::Kernels;

use crate::error::Error;
use crate::histogram::rank;

/// The number of f32 bits below those of the bin.
const BELOW: u32 = 12;
/// The number of bins of a binade.
const BINS: usize = 1 << 11;
/// The number of binades of positive f32 numbers; subnormals are one of them.
const BINADES: usize = 1 << 8;

/// Counts of magnitudes, from which a static input scale is chosen.
///
/// ```
/// use lowbit_calib::Magnitudes;
/// let mut seen = Magnitudes::new();
/// seen.observe(&[1.0, -2.0, 0.5, -16.0])?;
/// assert_eq!((seen.count(), seen.amax()), (4, 16.0));
/// assert_eq!(seen.percentile(100.0), 16.0);
/// assert!((2.0..2.001).contains(&seen.percentile(75.0))); // the upper end of the bin of 2
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct Magnitudes {
    binades: Vec<Option<Box<[u64]>>>,
    amax: f32,
    count: u64,
}

impl Default for Magnitudes {
    fn default() -> Self {
        Self::new()
    }
}

impl Magnitudes {
    /// Counts of no values.
    #[must_use]
    pub fn new() -> Self {
        Self { binades: vec![None; BINADES], amax: 0.0, count: 0 }
    }

    /// Counts values, of any sign.
    ///
    /// # Errors
    /// [`Error::Observed`] at the first NaN or infinity. The counts are then unchanged.
    pub fn observe(&mut self, values: &[f32]) -> Result<(), Error> {
        if let Some(index) = Kernels::best().first_non_finite(values) {
            return Err(Error::Observed { index, value: values[index] });
        }
        for x in values {
            let bin = (x.abs().to_bits() >> BELOW) as usize;
            let binade = self.binades[bin / BINS].get_or_insert_with(|| vec![0; BINS].into());
            binade[bin % BINS] += 1;
            self.amax = self.amax.max(x.abs());
        }
        self.count += values.len() as u64;
        Ok(())
    }

    /// Adds the counts of other values.
    pub fn merge(&mut self, other: &Self) {
        for (own, other) in self.binades.iter_mut().zip(&other.binades) {
            match (&mut *own, other) {
                (Some(own), Some(other)) => own.iter_mut().zip(other).for_each(|(a, b)| *a += b),
                (None, Some(other)) => *own = Some(other.clone()),
                (_, None) => {}
            }
        }
        self.amax = self.amax.max(other.amax);
        self.count += other.count;
    }

    /// The number of counted values.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The exact largest magnitude; 0 if nothing was counted.
    #[must_use]
    pub const fn amax(&self) -> f32 {
        self.amax
    }

    /// The percentile by nearest rank: the upper end of its bin, at most [`amax`](Self::amax).
    #[must_use]
    pub fn percentile(&self, percent: f32) -> f32 {
        self.percentile_from(percent, 0.0)
    }

    /// The same percentile, among values from the bin of `least` on.
    pub(crate) fn percentile_from(&self, percent: f32, least: f32) -> f32 {
        let least = (least.to_bits() >> BELOW) as usize;
        let bins = || self.bins().filter(|(bin, _)| *bin >= least);
        let wanted = rank(bins().map(|(_, count)| count).sum(), percent);
        let mut below = 0;
        let found = bins().find(|(_, count)| {
            below += count;
            below >= wanted
        });
        let end = found.map_or(0, |(bin, _)| (bin as u32) << BELOW | ((1 << BELOW) - 1));
        f32::from_bits(end).min(self.amax)
    }

    /// The non-empty bins in ascending order, with their counts.
    fn bins(&self) -> impl Iterator<Item = (usize, u64)> {
        let binades = self.binades.iter().enumerate();
        let all = binades.filter_map(|(at, counts)| counts.as_ref().map(|counts| (at * BINS, counts)));
        let all =
            all.flat_map(|(first, counts)| counts.iter().enumerate().map(move |(i, &n)| (first + i, n)));
        all.filter(|(_, count)| *count > 0)
    }

    /// The middle of each non-empty bin, at most amax, and its count. Zeros are left out, since
    /// every element has them.
    pub(crate) fn values(&self) -> (Vec<f32>, Vec<f64>) {
        let bins = self.bins().filter(|(bin, _)| *bin > 0);
        bins.map(|(bin, count)| {
            let middle = f32::from_bits((bin as u32) << BELOW | 1 << (BELOW - 1));
            (middle.min(self.amax), count as f64)
        })
        .unzip()
    }

    /// The counts in `n` bins of equal width from 0 to amax. Each bin is spread evenly over the
    /// bins that it overlaps. Zeros are left out.
    pub(crate) fn linear(&self, n: usize) -> Vec<f64> {
        let width = f64::from(self.amax) / n as f64;
        let mut out = vec![0.0; n];
        for (bin, count) in self.bins().filter(|(bin, _)| *bin > 0) {
            let at = |bin: usize| f64::from(f32::from_bits((bin as u32) << BELOW).min(self.amax)) / width;
            let (from, to) = (at(bin), at(bin + 1));
            let (first, last) = ((from as usize).min(n - 1), (to as usize).min(n - 1));
            if first == last {
                out[first] += count as f64;
                continue;
            }
            for (i, out) in out.iter_mut().enumerate().take(last + 1).skip(first) {
                let overlap = to.min((i + 1) as f64) - from.max(i as f64);
                *out += count as f64 * (overlap / (to - from)).max(0.0);
            }
        }
        out
    }
}
