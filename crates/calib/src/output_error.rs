//! The output error of a linear with a changed weight.
//!
//! ```text
//! d = W - W^                                                   rows x n
//! Hessian         tr(d H d^T) / tokens        H = sum_t x_t x_t^T: the squared error of the output,
//!                                             summed over rows, mean over tokens
//! MeanSquare      sum_ij d_ij^2 E[x_j^2]      the same without correlations between channels
//! Rows            sum_t |d x_t|^2 / tokens    on samples: equal to the result of their Hessian
//! ```
//!
//! Sums are f64: within each row over j >= i in order (H is symmetric), then over rows in order.

use crate::error::Error;

/// Statistics or samples of a linear's inputs, to measure the effect of an error of its weight.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Inputs<'a> {
    /// E[x^2] of each channel.
    MeanSquare(&'a [f32]),
    /// f64 sums of x x^T over tokens: `n x n`, row-major.
    Hessian {
        /// The sums.
        sums: &'a [f64],
        /// The number of tokens.
        tokens: u64,
    },
    /// Samples: rows of `channels` values.
    Rows {
        /// The values.
        rows: &'a [f32],
        /// The number of channels.
        channels: usize,
    },
}

impl Inputs<'_> {
    /// Number of channels.
    #[must_use]
    pub const fn channels(&self) -> usize {
        match self {
            Self::MeanSquare(means) => means.len(),
            Self::Hessian { sums, .. } => sums.len().isqrt(),
            Self::Rows { channels, .. } => *channels,
        }
    }

    /// The squared output error of a linear with weight error `delta` (rows of one number per
    /// channel), summed over rows, mean over tokens.
    ///
    /// ```
    /// use lowbit_calib::Inputs;
    /// // The outputs of (1, 1) and (1, -1) have the errors 1.5 and -0.5.
    /// let rows = Inputs::Rows { rows: &[1.0, 1.0, 1.0, -1.0], channels: 2 };
    /// assert_eq!(rows.error(&[0.5, 1.0])?, 1.25);
    /// assert_eq!(Inputs::Hessian { sums: &[2.0, 0.0, 0.0, 2.0], tokens: 2 }.error(&[0.5, 1.0])?, 1.25);
    /// assert_eq!(Inputs::MeanSquare(&[1.0, 1.0]).error(&[0.5, 1.0])?, 1.25);
    /// # Ok::<(), lowbit_calib::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Tokens`] if `delta` or the samples are not whole rows; [`Error::NoTokens`] if there
    /// are none; [`Error::Channels`] if a Hessian is not square.
    pub fn error(&self, delta: &[f32]) -> Result<f64, Error> {
        match *self {
            Self::MeanSquare(means) => channel_error(delta, means),
            Self::Hessian { sums, tokens } => output_error(delta, sums, tokens),
            Self::Rows { rows, channels } => row_error(delta, rows, channels),
        }
    }

    /// The error from columns `at ..` of one row alone.
    pub(crate) fn part(&self, at: usize, delta: &[f32]) -> f64 {
        let wide = |x: &f32| f64::from(*x);
        match *self {
            Self::MeanSquare(means) => {
                delta.iter().zip(&means[at..]).map(|(d, m)| wide(d) * wide(d) * wide(m)).sum()
            }
            Self::Hessian { sums, tokens } => {
                let n = sums.len().isqrt();
                let row = |i: usize| &sums[(at + i) * n + at..][..delta.len()];
                let dot = |i: usize| delta.iter().zip(row(i)).map(|(d, h)| wide(d) * h).sum::<f64>();
                delta.iter().enumerate().map(|(i, d)| wide(d) * dot(i)).sum::<f64>() / tokens.max(1) as f64
            }
            Self::Rows { rows, channels } => {
                let output =
                    |x: &[f32]| delta.iter().zip(&x[at..]).map(|(d, x)| wide(d) * wide(x)).sum::<f64>();
                let squares = rows.chunks_exact(channels).map(|x| output(x).powi(2)).sum::<f64>();
                squares / (rows.len() / channels).max(1) as f64
            }
        }
    }
}

fn row_error(delta: &[f32], rows: &[f32], channels: usize) -> Result<f64, Error> {
    check(delta, channels, rows.len() as u64)?;
    check(rows, channels, 1)?;
    let mut total = 0.0;
    for x in rows.chunks_exact(channels) {
        for d in delta.chunks_exact(channels) {
            total += d.iter().zip(x).map(|(d, x)| f64::from(*d) * f64::from(*x)).sum::<f64>().powi(2);
        }
    }
    Ok(total / (rows.len() / channels) as f64)
}

/// The mean squared norm of the output error, from the f64 sums of a Hessian (`n x n`, row-major;
/// only the upper triangle is read).
///
/// ```
/// // Two tokens, (1, 1) and (1, -1): H = diag(2, 2). An error of (0.5, 1) gives output errors of
/// // 1.5 and -0.5, whose squares have the mean 1.25.
/// assert_eq!(lowbit_calib::output_error(&[0.5, 1.0], &[2.0, 0.0, 0.0, 2.0], 2)?, 1.25);
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
///
/// # Errors
/// [`Error::Channels`] if `hessian` is not square; [`Error::Tokens`] if `delta` is not whole rows;
/// [`Error::NoTokens`] for no tokens.
pub fn output_error(delta: &[f32], hessian: &[f64], tokens: u64) -> Result<f64, Error> {
    /// Rows per pass over the Hessian.
    const ROWS: usize = 8;
    let n = hessian.len().isqrt();
    if n * n != hessian.len() {
        return Err(Error::Channels { got: hessian.len(), want: n * n });
    }
    check(delta, n, tokens)?;
    let mut total = 0.0;
    for rows in delta.chunks(ROWS * n.max(1)) {
        let rows: Vec<Vec<f64>> =
            rows.chunks_exact(n).map(|row| row.iter().map(|&d| f64::from(d)).collect()).collect();
        // sum_i d_i (H_ii d_i + 2 sum_{j>i} H_ij d_j), accumulated as sums over i of d_i H_ij.
        let mut gathered = vec![vec![0.0; n]; rows.len()];
        for (i, h) in hessian.chunks_exact(n).enumerate() {
            for (row, gathered) in rows.iter().zip(&mut gathered) {
                let d = row[i];
                gathered[i] += 0.5 * d * h[i];
                gathered[i + 1..].iter_mut().zip(&h[i + 1..]).for_each(|(sum, h)| *sum += d * h);
            }
        }
        for (row, gathered) in rows.iter().zip(&gathered) {
            total += 2.0 * row.iter().zip(gathered).map(|(d, g)| d * g).sum::<f64>();
        }
    }
    Ok(total / tokens as f64)
}

/// The mean squared norm of the output error, from the mean square of each channel alone.
///
/// ```
/// assert_eq!(lowbit_calib::channel_error(&[0.5, 1.0], &[1.0, 1.0])?, 1.25);
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tokens`] if `delta` is not whole rows.
pub fn channel_error(delta: &[f32], mean_square: &[f32]) -> Result<f64, Error> {
    check(delta, mean_square.len(), 1)?;
    let of = |(d, m): (&f32, &f32)| f64::from(*d) * f64::from(*d) * f64::from(*m);
    let rows = delta.chunks_exact(mean_square.len().max(1));
    Ok(rows.map(|row| row.iter().zip(mean_square).map(of).sum::<f64>()).sum())
}

fn check(delta: &[f32], features: usize, tokens: u64) -> Result<(), Error> {
    if tokens == 0 {
        return Err(Error::NoTokens { what: "the error of an output" });
    }
    if !delta.is_empty() && (features == 0 || !delta.len().is_multiple_of(features)) {
        return Err(Error::Tokens { values: delta.len(), features });
    }
    Ok(())
}
