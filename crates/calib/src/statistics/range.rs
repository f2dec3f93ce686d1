//! Range rules: choose the amax of a static input scale from a histogram of magnitudes.
//!
//! ```text
//! max          max |x|
//! percentile   the magnitude that P percent do not exceed                      default 99.99
//! mse          argmin_a  sum_x (x - Q_a(x))^2       Q_a: scale a / (largest value), rounded, saturated
//! entropy      argmin_a  KL(P_a || Q_a)             P_a: counts below a, the last bin with all above
//!                                                   Q_a: counts below a, those of each code spread
//!                                                        evenly over its non-empty bins of P_a
//! headroom     max(16384 * p1, p99.99) of the amaxes of blocks
//!                                                   NVFP4: block scales down to 2^-14 of the largest
//! ```
//!
//! Sources: TensorRT's INT8 calibration (entropy; 2048 bins, from the 128th on), ModelOpt
//! `calib/histogram.py` and `nvfp4_act_headroom`. There are four differences. The rules mse and
//! entropy round to the given element with its own kernel, FP8 included. Bins are fine at any
//! magnitude. The largest range wins ties. Zeros do not count, since they have no error under any
//! range.

use core::fmt;
use core::str::FromStr;

use lowbit_kernels::{Blocks, Element, Kernels};

use super::Magnitudes;
use crate::error::Error;

/// The number of bins of equal width in which distributions are compared.
const BINS: usize = 2048;
/// The first range that `entropy` tries, in bins.
const FIRST: usize = 128;
/// The number of candidates per binade in the first round of `mse`; and the number of binades.
const PER_BINADE: usize = 16;
const BINADES: usize = 12;
/// The range of NVFP4 block scales below the largest, which `headroom` reserves for the smallest
/// blocks.
const REACH: f32 = 16384.0;
/// The relative amax below which `headroom` ignores blocks.
const NEGLIGIBLE: f32 = 1e-6;

/// The rule that chooses the range of an input.
///
/// ```
/// use lowbit_calib::{Magnitudes, RangeRule};
/// use lowbit_kernels::Element;
/// let mut seen = Magnitudes::new();
/// seen.observe(&vec![1.0; 999])?;
/// seen.observe(&[100.0])?;
/// let int8 = Element::Int { bits: 8 };
/// assert_eq!(RangeRule::Max.amax(&seen, int8)?, 100.0);
/// assert!("percentile:99.5".parse::<RangeRule>()?.amax(&seen, int8)? < 1.001);
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug, Default)]
#[non_exhaustive]
pub enum RangeRule {
    /// (`max`) the largest magnitude: no observed value is clipped.
    #[default]
    Max,
    /// (`percentile:99.99`) the magnitude that this percentage of the values does not exceed.
    Percentile(f32),
    /// (`mse`) the range of least squared error.
    Mse,
    /// (`entropy`) the range whose rounded distribution diverges least from the observed one.
    Entropy,
    /// (`headroom`) for NVFP4, from amaxes of blocks: their 99.99th percentile, or more if small
    /// blocks would otherwise need scales below E4M3's normal numbers.
    Headroom,
}

const RULES: [RangeRule; 5] =
    [RangeRule::Max, RangeRule::Percentile(99.99), RangeRule::Mse, RangeRule::Entropy, RangeRule::Headroom];

impl RangeRule {
    /// The amax that maps to the element's largest magnitude: the scale is `amax / element.max()`,
    /// for NVFP4 `amax / 2688`.
    ///
    /// # Errors
    /// [`Error::NoTokens`] if nothing was counted; [`Error::Option`] for a percentile outside of
    /// (0, 100].
    pub fn amax(self, seen: &Magnitudes, element: Element) -> Result<f32, Error> {
        if seen.count() == 0 {
            return Err(Error::NoTokens { what: "the range of an input" });
        }
        if seen.amax() == 0.0 {
            return Ok(0.0);
        }
        match self {
            Self::Max => Ok(seen.amax()),
            Self::Percentile(percent) if percent > 0.0 && percent <= 100.0 => Ok(seen.percentile(percent)),
            Self::Percentile(percent) => {
                let (option, want) = ("percentile", "above 0 and at most 100");
                Err(Error::Option { option, value: f64::from(percent), want })
            }
            Self::Mse => Ok(least_squares(seen, element)),
            Self::Entropy => Ok(least_divergence(seen, element)),
            Self::Headroom => {
                let upper = seen.percentile(99.99);
                let least = seen.percentile_from(1.0, upper * NEGLIGIBLE);
                Ok((REACH * least).max(upper))
            }
        }
    }
}

/// Rounds numbers under a range, with reusable buffers.
struct Rounding {
    element: Element,
    codes: Vec<u8>,
    values: Vec<f32>,
}

impl Rounding {
    fn new(element: Element, n: usize) -> Self {
        Self { element, codes: vec![0; element.packed_len(n)], values: vec![0.0; n] }
    }

    fn of(&mut self, x: &[f32], amax: f32) -> &[f32] {
        let scale = amax / self.element.max();
        let codes = &mut self.codes[..self.element.packed_len(x.len())];
        let kernels = Kernels::best();
        kernels.encode(self.element, x, Blocks::whole(&scale), codes);
        kernels.decode(self.element, codes, Blocks::whole(&scale), &mut self.values[..x.len()]);
        &self.values[..x.len()]
    }
}

/// Tries sixteen ranges per binade, then refines around the best to 2^-8. Factors are dyadic, so
/// that results do not depend on a machine's logarithm.
fn least_squares(seen: &Magnitudes, element: Element) -> f32 {
    let (values, counts) = seen.values();
    let mut rounding = Rounding::new(element, values.len());
    let mut best = (f32::MAX, f64::INFINITY);
    let mut try_range = |amax: f32, best: &mut (f32, f64)| {
        if amax / element.max() < f32::MIN_POSITIVE {
            return;
        }
        let rounded = rounding.of(&values, amax);
        let errors = values.iter().zip(rounded).zip(&counts);
        let error = errors.map(|((x, q), n)| n * f64::from(x - q) * f64::from(x - q)).sum::<f64>();
        if error < best.1 {
            *best = (amax, error);
        }
    };
    try_range(seen.amax(), &mut best);
    for step in 0..PER_BINADE * BINADES {
        let fraction = (2 * PER_BINADE - 1 - step % PER_BINADE) as f32 / (2 * PER_BINADE) as f32;
        let binade = f32::from_bits((127 - (step / PER_BINADE) as u32) << 23);
        try_range(seen.amax() * (fraction * binade), &mut best);
    }
    let middle = best.0;
    for step in (-15..=15).rev().filter(|step| *step != 0) {
        let amax = middle * (1.0 + step as f32 / 256.0);
        if amax <= seen.amax() {
            try_range(amax, &mut best);
        }
    }
    if best.1.is_finite() { best.0 } else { seen.amax() }
}

fn least_divergence(seen: &Magnitudes, element: Element) -> f32 {
    let counts = seen.linear(BINS);
    let width = seen.amax() / BINS as f32;
    let centres: Vec<f32> = (0..BINS).map(|bin| (bin as f32 + 0.5) * width).collect();
    let mut rounding = Rounding::new(element, BINS);
    let total: f64 = counts.iter().sum();
    let mut below: f64 = counts[..FIRST - 1].iter().sum();
    let mut best = (seen.amax(), f64::INFINITY);
    for end in FIRST..=BINS {
        below += counts[end - 1];
        let amax = if end == BINS { seen.amax() } else { end as f32 * width };
        if amax / element.max() < f32::MIN_POSITIVE {
            continue;
        }
        let codes = rounding.of(&centres[..end], amax);
        let divergence = divergence(&counts[..end], total - below, codes);
        // The largest range wins ties.
        if divergence <= best.1 {
            best = (amax, divergence);
        }
    }
    best.0
}

/// KL(P || Q) of counts in bins with these rounded values. P has `above` more in the last bin. The
/// result is infinite if Q is zero where P is not.
fn divergence(counts: &[f64], above: f64, rounded: &[f32]) -> f64 {
    let last = counts.len() - 1;
    let p = |bin: usize| counts[bin] + if bin == last { above.max(0.0) } else { 0.0 };
    let below: f64 = counts.iter().sum();
    let (all, mut sum, mut start) = (below + above.max(0.0), 0.0, 0);
    // A run of bins with the same rounded value is one code.
    while start <= last {
        let run = rounded[start..].iter().take_while(|x| **x == rounded[start]).count();
        let cell = start..start + run;
        let filled = cell.clone().filter(|&bin| p(bin) > 0.0).count();
        let q = counts[cell.clone()].iter().sum::<f64>() / filled.max(1) as f64 / below;
        for bin in cell {
            let p = p(bin) / all;
            if p > 0.0 && q == 0.0 {
                return f64::INFINITY;
            }
            if p > 0.0 {
                sum += p * (p / q).ln();
            }
        }
        start += run;
    }
    sum
}

impl fmt::Display for RangeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Max => "max",
            Self::Percentile(percent) => return write!(f, "percentile:{percent}"),
            Self::Mse => "mse",
            Self::Entropy => "entropy",
            Self::Headroom => "headroom",
        })
    }
}

impl FromStr for RangeRule {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let percentile = name.strip_prefix("percentile:").and_then(|percent| percent.parse().ok());
        if let Some(percent) = percentile.filter(|percent| *percent > 0.0 && *percent <= 100.0) {
            return Ok(Self::Percentile(percent));
        }
        let stem = |rule: Self| rule.to_string().split(':').next().unwrap_or_default().to_owned();
        RULES.into_iter().find(|rule| stem(*rule) == name).ok_or_else(|| Error::UnknownRange {
            name: name.to_owned(),
            known: RULES.map(|rule| rule.to_string()).join(", "),
        })
    }
}
