//! LLM.int8: columns with outliers are multiplied in full precision, all others in eight bits.
//!
//! ```text
//! weight    codes = RNE(w * (127 / absmax of the row))
//! token     outliers |a| >= 6 are left out of the absmax; codes = RNE(a * (127 / absmax))
//!           with several tokens, a column with an outlier in any token has codes 0 in all
//! product   y_tr = int32(sum_c codes_tc codes_rc) * absmax_t * absmax_r / 127^2
//!                  + sum over outlier columns of a_tc * (codes_rc * absmax_r / 127)
//! ```
//!
//! bitsandbytes multiplies by 6.200124e-5 (on CUDA 6.200012e-5) where 1 / 127^2 is 6.2000124e-5,
//! and rounds weights, activations and results to f16. Here all numbers are f32 and the factor is
//! exact. A row of zeros has codes 0, not 0 times infinity.
//!
//! Sources: Dettmers et al., LLM.int8() (arXiv 2208.07339); bitsandbytes `backends/default/ops.py`.

use crate::error::Error;
use lowbit_kernels::Kernels;

/// The least magnitude of an outlier, as in the paper.
pub const OUTLIER: f32 = 6.0;

/// Rows of 8-bit codes, with the absmax of each row.
#[derive(Clone, PartialEq, Debug)]
pub struct Int8Rows {
    /// Codes, row-major.
    pub codes: Vec<i8>,
    /// The largest magnitude of each row: value = code * absmax / 127.
    pub absmax: Vec<f32>,
}

impl Int8Rows {
    /// Quantizes the rows of a weight with this number of columns.
    ///
    /// ```
    /// let rows = lowbit_calib::outliers::Int8Rows::new(&[1.27, -0.5, 0.0, 0.0], 2)?;
    /// assert_eq!((&rows.codes[..], &rows.absmax[..]), (&[127, -50, 0, 0][..], &[1.27, 0.0][..]));
    /// # Ok::<(), lowbit_calib::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Tokens`] if the values are not whole rows; [`Error::Observed`] at the first NaN or
    /// infinity.
    pub fn new(weight: &[f32], columns: usize) -> Result<Self, Error> {
        check(weight, columns)?;
        let rows = || weight.chunks_exact(columns);
        let absmax: Vec<f32> = rows().map(|row| row.iter().fold(0.0, |m: f32, x| m.max(x.abs()))).collect();
        let codes = rows()
            .zip(&absmax)
            .flat_map(|(row, &absmax)| row.iter().map(move |&x| code(x, absmax)))
            .collect();
        Ok(Self { codes, absmax })
    }
}

fn code(x: f32, absmax: f32) -> i8 {
    if absmax == 0.0 { 0 } else { (x * (127.0 / absmax)).round_ties_even() as i8 }
}

fn check(values: &[f32], columns: usize) -> Result<(), Error> {
    if columns == 0 || !values.len().is_multiple_of(columns) {
        return Err(Error::Tokens { values: values.len(), features: columns });
    }
    match Kernels::best().first_non_finite(values) {
        Some(index) => Err(Error::Observed { index, value: values[index] }),
        None => Ok(()),
    }
}

/// The columns in which any token has a magnitude of at least `threshold`, in ascending order. A
/// threshold of 0 turns the decomposition off: no columns.
///
/// ```
/// assert_eq!(lowbit_calib::outliers::columns(&[1.0, -6.0, 0.0, 7.0, 0.0, 5.9], 3, 6.0), [0, 1]);
/// ```
#[must_use]
pub fn columns(tokens: &[f32], columns: usize, threshold: f32) -> Vec<usize> {
    let has =
        |c: &usize| threshold > 0.0 && tokens.iter().skip(*c).step_by(columns).any(|x| x.abs() >= threshold);
    (0..columns).filter(has).collect()
}

/// The product of tokens with a quantized weight, one row of outputs per token. Each token has as
/// many values as the weight has columns.
///
/// ```
/// use lowbit_calib::outliers::{Int8Rows, OUTLIER, product};
/// let weight = Int8Rows::new(&[1.27, 1.0], 2)?;
/// // 100 is an outlier, multiplied in f32 with the weight's code 127. 0.5 becomes code 127 of its
/// // token, multiplied with code 100.
/// let y = product(&[100.0, 0.5], &weight, 2, OUTLIER)?;
/// assert!((y[0] - (127.0 + 0.5)).abs() < 1e-4);
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tokens`] if tokens or codes are not whole rows; [`Error::Observed`] at the first NaN or
/// infinity.
pub fn product(tokens: &[f32], weight: &Int8Rows, columns: usize, threshold: f32) -> Result<Vec<f32>, Error> {
    check(tokens, columns)?;
    if weight.codes.len() != weight.absmax.len() * columns {
        return Err(Error::Tokens { values: weight.codes.len(), features: columns });
    }
    let outliers = self::columns(tokens, columns, threshold);
    let several = tokens.len() > columns;
    let inlier = |x: f32| threshold <= 0.0 || x.abs() < threshold;
    let mut out = Vec::with_capacity(tokens.len() / columns * weight.absmax.len());
    for token in tokens.chunks_exact(columns) {
        let absmax = token.iter().filter(|x| inlier(**x)).fold(0.0f32, |m, x| m.max(x.abs()));
        let mut codes: Vec<i8> = token.iter().map(|&x| if inlier(x) { code(x, absmax) } else { 0 }).collect();
        if several {
            outliers.iter().for_each(|&c| codes[c] = 0);
        }
        for (row, &row_absmax) in weight.codes.chunks_exact(columns).zip(&weight.absmax) {
            let sum: i64 = row.iter().zip(&codes).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum();
            let inner = sum as f32 * absmax * row_absmax / (127.0 * 127.0);
            // A single token keeps its codes; those of its outliers are already 0.
            let outer: f32 =
                outliers.iter().map(|&c| token[c] * (f32::from(row[c]) * row_absmax / 127.0)).sum();
            out.push(inner + outer);
        }
    }
    Ok(out)
}
