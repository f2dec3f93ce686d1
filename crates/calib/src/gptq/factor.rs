//! The triangular factor by which the error of one column propagates to the columns after it.
//!
//! ```text
//! H + lambda I = M diag(d) M^T          M unit upper triangular, lambda = damping * mean(diag H)
//!
//! e (H + lambda I) e^T = sum_k d_k (e_k + sum_{j<k} e_j M_jk)^2          each column, given those before it, adds one square
//! ```
//!
//! So column k is best rounded at `w_k + sum_{j<k} e_j M_jk`. That is the weight that GPTQ's
//! updates leave there: with U the upper Cholesky factor of the inverse, `M = (sqrt(diag d) U)^-1`,
//! and no inverse is needed. The factorization is one f64 Cholesky of the matrix with rows and
//! columns reversed, on one thread.
//!
//! Channels that are always zero get a 1 on the diagonal and exchange no errors with others. The
//! mean is over all channels, where they count 0. If the factorization fails, the damping is
//! doubled, starting from at least 0.01, while it is at most 1.
//!
//! Sources: Frantar et al. 2022 (the updates); Chee et al. 2023, "QuIP", theorem 6 (the same
//! rounding without an inverse).

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::{MatMut, Par};

use crate::error::Error;

/// The first damping of a retry.
const RETRY: f64 = 0.01;
const MOST: f64 = 1.0;

/// M, row-major in f32, and the damping that was added.
pub(super) struct Factor {
    pub(super) upper: Vec<f32>,
    pub(super) damping: f64,
}

impl Factor {
    /// The factor of a symmetric row-major matrix, with columns visited in the order `perm`.
    /// Channels that are always zero count `dead` in the mean.
    pub(super) fn new(matrix: &[f64], perm: &[usize], damping: f64, dead: f64) -> Result<Self, Error> {
        let n = perm.len();
        let entry = |j: usize| Some(matrix[j * n + j]).filter(|entry| *entry > 0.0);
        let mean = (0..n).map(|j| entry(j).unwrap_or(dead)).sum::<f64>() / n.max(1) as f64;
        let mut damping = damping;
        loop {
            if let Some(upper) = factorize(matrix, perm, damping * mean) {
                return Ok(Self { upper, damping });
            }
            let next = (2.0 * damping).max(RETRY);
            if next > MOST || mean == 0.0 {
                return Err(Error::Factor { channels: n, damping });
            }
            damping = next;
        }
    }
}

fn factorize(matrix: &[f64], perm: &[usize], lambda: f64) -> Option<Vec<f32>> {
    let n = perm.len();
    // The lower triangle of the reversed matrix, column by column.
    let mut lower = vec![0.0f64; n * n];
    for (col, &j) in perm.iter().rev().enumerate() {
        let rows = perm.iter().rev().enumerate().skip(col);
        let source = &matrix[j * n..][..n];
        rows.for_each(|(row, &i)| lower[col * n + row] = source[i]);
        let diagonal = &mut lower[col * n + col];
        *diagonal = if *diagonal > 0.0 { *diagonal + lambda } else { 1.0 };
    }
    let view = MatMut::from_column_major_slice_mut(&mut lower, n, n);
    let mut memory =
        MemBuffer::try_new(cholesky_in_place_scratch::<f64>(n, Par::Seq, Default::default())).ok()?;
    let stack = MemStack::new(&mut memory);
    cholesky_in_place(view, Default::default(), Par::Seq, stack, Default::default()).ok()?;
    let pivot = |k: usize| lower[(n - 1 - k) * (n + 1)];
    if !(0..n).all(|k| pivot(k) > 0.0 && pivot(k).is_finite()) {
        return None;
    }
    let reciprocals: Vec<f64> = (0..n).map(|k| 1.0 / pivot(k)).collect();
    let mut upper = vec![0.0f32; n * n];
    // Row j of M comes from row n-1-j of the factor. Square tiles keep both in the cache.
    const SQUARE: usize = 32;
    for top in (0..n).step_by(SQUARE) {
        for left in (top..n).step_by(SQUARE) {
            for j in top..n.min(top + SQUARE) {
                for k in left.max(j)..n.min(left + SQUARE) {
                    upper[j * n + k] = (lower[(n - 1 - k) * n + n - 1 - j] * reciprocals[k]) as f32;
                }
            }
        }
    }
    Some(upper)
}
