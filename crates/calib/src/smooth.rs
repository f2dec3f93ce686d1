//! SmoothQuant: smoothing scales move outliers from activations into weights.
//!
//! ```text
//! s_c = absmax(x_c)^a / absmax(W_c)^(1-a)             x / s, W diag(s)
//! a = 0.5: input and weight get the same absmax; ModelOpt's default is 1
//! s in [1e-4, 1e4]; 1 for dead channels (absmax(x_c) at most 2^-31); absmax(W_c) at least 1e-5
//! ```
//!
//! Sources: Xiao et al., SmoothQuant (arXiv 2211.10438); ModelOpt `model_calib.py`, whose
//! pre_quant_scale is 1 / s. There the scale of a dead channel is usually clamped, instead of 1.

use crate::error::Error;

/// The largest absmax of a dead channel.
const DEAD: f32 = f32::from_bits((127 - 31) << 23);
const LEAST_WEIGHT: f64 = 1e-5;
const LEAST: f64 = 1e-4;
const MOST: f64 = 1e4;

/// The largest magnitude of each column, over all linears that read the same input.
///
/// ```
/// assert_eq!(lowbit_calib::smooth::weight_absmax(&[&[1.0, -2.0, 3.0, 0.5], &[0.0, 4.0]], 2)?, [3.0, 4.0]);
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tokens`] if a weight is not whole rows of `channels` values.
pub fn weight_absmax(weights: &[&[f32]], channels: usize) -> Result<Vec<f32>, Error> {
    let mut absmax = vec![0.0f32; channels];
    for weight in weights {
        if channels == 0 || !weight.len().is_multiple_of(channels) {
            return Err(Error::Tokens { values: weight.len(), features: channels });
        }
        for row in weight.chunks_exact(channels) {
            absmax.iter_mut().zip(row).for_each(|(max, w)| *max = max.max(w.abs()));
        }
    }
    Ok(absmax)
}

/// The smoothing scales: columns of weights are multiplied by them, input channels divided.
///
/// ```
/// // sqrt(16 / 4) and sqrt(1 / 4); the third channel was never loud.
/// let s = lowbit_calib::smooth::scales(&[16.0, 1.0, 0.0], &[4.0, 4.0, 4.0], 0.5)?;
/// assert_eq!(s, [2.0, 0.5, 1.0]);
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
///
/// # Errors
/// [`Error::Channels`] if the two differ in length; [`Error::Observed`] for a number that is
/// negative, NaN or infinite; [`Error::Option`] for an exponent outside of 0 to 1.
pub fn scales(input_absmax: &[f32], weight_absmax: &[f32], exponent: f64) -> Result<Vec<f32>, Error> {
    if input_absmax.len() != weight_absmax.len() {
        return Err(Error::Channels { got: weight_absmax.len(), want: input_absmax.len() });
    }
    if !(0.0..=1.0).contains(&exponent) {
        return Err(Error::Option { option: "exponent", value: exponent, want: "between 0 and 1" });
    }
    check(input_absmax)?;
    check(weight_absmax)?;
    let of = |(&x, &w): (&f32, &f32)| {
        let s = f64::from(x).powf(exponent) / f64::from(w).max(LEAST_WEIGHT).powf(1.0 - exponent);
        if x <= DEAD { 1.0 } else { s.clamp(LEAST, MOST) as f32 }
    };
    Ok(input_absmax.iter().zip(weight_absmax).map(of).collect())
}

/// Checks that all numbers are finite and not negative.
pub(crate) fn check(magnitudes: &[f32]) -> Result<(), Error> {
    match magnitudes.iter().enumerate().find(|(_, x)| !(x.is_finite() && **x >= 0.0)) {
        Some((index, &value)) => Err(Error::Observed { index, value }),
        None => Ok(()),
    }
}

/// The weight with its columns multiplied by the scales.
pub(crate) fn scaled(weight: &[f32], scales: &[f32]) -> Vec<f32> {
    let rows = weight.chunks(scales.len().max(1));
    rows.flat_map(|row| row.iter().zip(scales).map(|(w, s)| w * s)).collect()
}
