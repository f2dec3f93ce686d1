//! From counts of magnitudes to the amax that a static input scale is made of.
//!
//! ```text
//! max          max |x|
//! percentile   the magnitude that P percent do not exceed                                     default 99.99
//! mse          argmin_a  sum_x (x - Q_a(x))^2            Q_a: scale a / (largest value), rounded, saturated
//! entropy      argmin_a  KL(P_a || Q_a)                  P_a: counts below a, all above added to the last bin
//!                                                        Q_a: counts below a, each code's spread evenly over its bins that P_a fills
//! headroom     max(16384 * p1, p99.99) of block amaxes   NVFP4: room for block scales between 2^-14 of the largest and it
//! ```
//!
//! Sources: TensorRT's INT8 calibration (entropy; 2048 bins, from the 128th on), ModelOpt `calib/histogram.py` and `nvfp4_act_headroom`. Other than there, mse
//! and entropy round to the element asked for, FP8 included, by its own kernel; bins are fine wherever the values lie; the largest range wins ties; and zeros do
//! not count, since no range loses them.

use core::fmt;
use core::str::FromStr;

use lowbit_kernels::{Blocks, Element, Kernels};

use super::Magnitudes;
use crate::error::Error;

/// Bins of equal width in which distributions are compared.
const BINS: usize = 2048;
/// The first range that `entropy` tries, in bins.
const FIRST: usize = 128;
/// Candidates per binade of the first round of `mse`, and binades.
const PER_BINADE: usize = 16;
const BINADES: usize = 12;
/// How far NVFP4 block scales reach below the largest: `headroom` keeps the smallest blocks within.
const REACH: f32 = 16384.0;
/// Blocks this much smaller than the largest are not looked at by `headroom`.
const NEGLIGIBLE: f32 = 1e-6;

/// How the range of an input is chosen.
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
    /// (`max`) the largest magnitude: nothing that was observed is clipped.
    #[default]
    Max,
    /// (`percentile:99.99`) the magnitude that so many percent of the values do not exceed.
    Percentile(f32),
    /// (`mse`) the range with the least squared error.
    Mse,
    /// (`entropy`) the range whose rounded distribution diverges least from the one observed.
    Entropy,
    /// (`headroom`) for NVFP4, of the amaxes of blocks: the largest, or more where small blocks would otherwise need scales below E4M3's normal numbers.
    Headroom,
}

const RULES: [RangeRule; 5] =
    [RangeRule::Max, RangeRule::Percentile(99.99), RangeRule::Mse, RangeRule::Entropy, RangeRule::Headroom];

impl RangeRule {
    /// The amax that a value of the element's largest magnitude stands for: the scale is `amax / element.max()`, for NVFP4 `amax / 2688`.
    ///
    /// # Errors
    /// [`Error::NoTokens`] where nothing was counted, [`Error::Option`] for a percentile outside of (0, 100].
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

/// Codes and values of numbers under one range, in buffers that are kept.
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

/// Sixteen ranges to the binade, then the surroundings of the best by 2^-8. Factors are dyadic, so that no machine's logarithm has a say.
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
        // The largest of equals.
        if divergence <= best.1 {
            best = (amax, divergence);
        }
    }
    best.0
}

/// KL(P || Q) of counts whose bins have these rounded values, with `above` more in the last bin of P; infinite where Q has nothing and P has something.
fn divergence(counts: &[f64], above: f64, rounded: &[f32]) -> f64 {
    let last = counts.len() - 1;
    let p = |bin: usize| counts[bin] + if bin == last { above.max(0.0) } else { 0.0 };
    let below: f64 = counts.iter().sum();
    let (all, mut sum, mut start) = (below + above.max(0.0), 0.0, 0);
    // Runs of bins with the same rounded value: one code each.
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
