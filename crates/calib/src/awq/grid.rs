//! Candidate scales of the search.
//!
//! ```text
//! x_c = mean_t |x_tc|          w_c = mean over rows of |w_rc| / (largest |w| of its group + 1e-6)
//! duo      s_c = x_c^a / (w_c^(1-a) + 1e-4)          plain   s_c = x_c^a          both at least 1e-4
//! then     s_c / sqrt(max s * min s); infinite or NaN becomes 1
//! ```
//!
//! At a = 0 duo scaling is 1 / w, not the identity. Candidates are computed in f64 and rounded
//! once.

use crate::error::Error;

/// The mean magnitude of each column, relative to the largest magnitude of its group, over the rows
/// of all linears that share the input.
///
/// `group` is the number of columns per group; the last group may be short.
///
/// ```
/// // One row, two groups: (1, 2) / 2 and (3, 4) / 4.
/// let w = lowbit_calib::awq::weight_mean(&[&[1.0, -2.0, 3.0, 4.0]], 4, 2)?;
/// assert!(w.iter().zip([0.5, 1.0, 0.75, 1.0]).all(|(a, b)| (a - b).abs() < 1e-6));
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tokens`] if a weight is not whole rows of `channels` values; [`Error::Option`] if
/// `group` is 0.
pub fn weight_mean(weights: &[&[f32]], channels: usize, group: usize) -> Result<Vec<f64>, Error> {
    if group == 0 {
        return Err(Error::Option { option: "group", value: 0.0, want: "at least 1" });
    }
    let (mut sums, mut rows) = (vec![0.0; channels], 0u64);
    for weight in weights {
        if channels == 0 || !weight.len().is_multiple_of(channels) {
            return Err(Error::Tokens { values: weight.len(), features: channels });
        }
        for row in weight.chunks_exact(channels) {
            for (sums, group) in sums.chunks_mut(group).zip(row.chunks(group)) {
                let largest = group.iter().fold(0.0f32, |max, w| max.max(w.abs()));
                let unit = f64::from(largest) + 1e-6;
                sums.iter_mut().zip(group).for_each(|(sum, w)| *sum += f64::from(w.abs()) / unit);
            }
            rows += 1;
        }
    }
    sums.iter_mut().for_each(|sum| *sum /= rows.max(1) as f64);
    Ok(sums)
}

/// The scales of one exponent. `weight_mean` is the result of [`weight_mean`] for duo scaling,
/// `None` for plain scaling.
///
/// ```
/// // sqrt of 4 and 16 is 2 and 4; over sqrt(2 * 4) that is sqrt(1/2) and sqrt(2).
/// let s = lowbit_calib::awq::candidate(&[4.0, 16.0], None, 0.5);
/// assert_eq!(s, [0.5f64.sqrt() as f32, 2f64.sqrt() as f32]);
/// ```
#[must_use]
pub fn candidate(mean_abs: &[f32], weight_mean: Option<&[f64]>, exponent: f64) -> Vec<f32> {
    const LEAST: f64 = 1e-4;
    let of = |(c, x): (usize, &f32)| {
        let s = f64::from(*x).powf(exponent);
        let s = weight_mean.map_or(s, |w| s / (w[c].powf(1.0 - exponent) + 1e-4));
        s.max(LEAST)
    };
    let mut scales: Vec<f64> = mean_abs.iter().enumerate().map(of).collect();
    let most = scales.iter().copied().fold(0.0, f64::max);
    let least = scales.iter().copied().fold(f64::INFINITY, f64::min);
    let unit = (most * least).sqrt();
    for s in &mut scales {
        *s /= unit;
    }
    let usable = |s: f64| (s as f32).is_finite() && s as f32 > 0.0;
    scales.into_iter().map(|s| if usable(s) { s as f32 } else { 1.0 }).collect()
}
