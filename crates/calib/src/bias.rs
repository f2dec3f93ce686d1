//! Bias correction: the bias of a linear absorbs the mean output error of its quantized weight.
//!
//! ```text
//! b'_r = b_r + sum_c (W_rc - W^_rc) E[x_c]           so that E[W^ x + b'] = E[W x + b]
//! ```
//!
//! Source: Nagel et al., Data-Free Quantization (arXiv 1906.04721). It needs a linear with a bias,
//! or a format that can store one.

use crate::error::Error;

/// The correction to add to the bias, one number per row. `mean` is the signed mean E\[x\] of each
/// channel.
///
/// ```
/// // Inputs have the mean (1, 2). The first weight is 0.5 too small, the second 0.125 too large.
/// let correction = lowbit_calib::bias_correction(&[1.0, 1.0], &[0.5, 1.125], &[1.0, 2.0])?;
/// assert_eq!(correction, [0.25]);
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
///
/// # Errors
/// [`Error::Channels`] if the weights differ in length; [`Error::Tokens`] if they are not whole
/// rows of as many columns as there are means.
pub fn bias_correction(weight: &[f32], restored: &[f32], mean: &[f32]) -> Result<Vec<f32>, Error> {
    if weight.len() != restored.len() {
        return Err(Error::Channels { got: restored.len(), want: weight.len() });
    }
    let channels = mean.len();
    if channels == 0 || !weight.len().is_multiple_of(channels) {
        return Err(Error::Tokens { values: weight.len(), features: channels });
    }
    let rows = weight.chunks_exact(channels).zip(restored.chunks_exact(channels));
    let of = |(w, q): (&[f32], &[f32])| {
        let terms = w.iter().zip(q).zip(mean);
        terms.map(|((w, q), m)| (f64::from(*w) - f64::from(*q)) * f64::from(*m)).sum::<f64>() as f32
    };
    Ok(rows.map(of).collect())
}
