//! How much a linear's output changes when its weight does.
//!
//! ```text
//! d = W - W^                                                   rows x n
//! output_error    tr(d H d^T) / tokens        H = sum_t x_t x_t^T: the squared error of the output, summed over rows, mean over tokens
//! channel_error   sum_ij d_ij^2 E[x_j^2]      the same without what channels have in common
//! ```
//!
//! Sums are f64: of each row over j >= i in order (H is symmetric), then over rows in order.

use crate::error::Error;

/// The mean squared norm of the output's error, by the Hessian's f64 sums (`n x n`, row-major, only the upper triangle is read).
///
/// ```
/// // Two tokens, (1, 1) and (1, -1): H = diag(2, 2). An error of (0.5, 1) gives outputs 1.5 and -0.5, whose squares have the mean 1.25.
/// assert_eq!(lowbit_calib::mixed::output_error(&[0.5, 1.0], &[2.0, 0.0, 0.0, 2.0], 2)?, 1.25);
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
///
/// # Errors
/// [`Error::Channels`] where `hessian` is not square; [`Error::Tokens`] where `delta` is not whole rows; [`Error::NoTokens`] for no tokens.
pub fn output_error(delta: &[f32], hessian: &[f64], tokens: u64) -> Result<f64, Error> {
    /// Rows that share a pass over the Hessian.
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
        // sum_i d_i (H_ii d_i + 2 sum_{j>i} H_ij d_j), gathered as sums over i of d_i H_ij.
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

/// The same by the mean square of each channel alone.
///
/// ```
/// assert_eq!(lowbit_calib::mixed::channel_error(&[0.5, 1.0], &[1.0, 1.0])?, 1.25);
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tokens`] where `delta` is not whole rows.
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
