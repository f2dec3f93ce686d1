//! The output error of quantized rows, and its gradient.
//!
//! ```text
//! loss of a row = e H e^T        as sum_k e_k g_k in f64 over the columns in their order
//!
//! g = e H in f32                                         where the gradient is needed
//! g_k = 2 sum_{j before} e_j H_jk + sum_{j in} e_j H_jk     without the gradient: half the work;
//!                                                           "in" are the 128 columns around k
//! ```

use core::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// Columns per step.
const STEP: usize = 128;

/// A product of errors and a part of H or M. `matrix` is row-major with `n` columns; `acc` is set
/// to `alpha e[from] A[from, to]`, or incremented by it. Matrices of rows are column-major; the
/// product runs on one thread.
pub(super) fn product(
    acc: &mut [f32],
    accum: Accum,
    alpha: f32,
    errors: &[f32],
    (matrix, n): (&[f32], usize),
    (from, to): (Range<usize>, Range<usize>),
) {
    if to.is_empty() || from.is_empty() {
        return;
    }
    let rows = acc.len() / to.len();
    let part = &matrix[from.start * n + to.start..(from.end - 1) * n + to.end];
    matmul(
        MatMut::from_column_major_slice_mut(acc, rows, to.len()),
        accum,
        MatRef::from_column_major_slice(errors, rows, from.len()),
        MatRef::from_row_major_slice_with_stride(part, from.len(), to.len(), n),
        alpha,
        Par::Seq,
    );
}

/// The gradient e H of all rows, column-major `rows x n`. H is row-major and symmetric.
pub(super) fn gradient(errors: &[f32], hessian: &[f32], n: usize) -> Vec<f32> {
    let mut gradient = vec![0.0; errors.len()];
    product(&mut gradient, Accum::Replace, 1.0, errors, (hessian, n), (0..n, 0..n));
    gradient
}

/// The loss of each row, from its gradient.
pub(super) fn of_rows(errors: &[f32], gradient: &[f32], rows: usize) -> Vec<f64> {
    let mut losses = vec![0.0; rows];
    add(&mut losses, errors, gradient);
    losses
}

/// The loss of each row. H is row-major and symmetric.
pub(super) fn without_gradient(errors: &[f32], hessian: &[f32], n: usize, rows: usize) -> Vec<f64> {
    let mut losses = vec![0.0; rows];
    let mut slope = vec![0.0; STEP.min(n) * rows];
    for first in (0..n).step_by(STEP) {
        let own = first..n.min(first + STEP);
        let slope = &mut slope[..own.len() * rows];
        let (before, rest) = errors.split_at(first * rows);
        let within = &rest[..slope.len()];
        product(slope, Accum::Replace, 1.0, within, (hessian, n), (own.clone(), own.clone()));
        product(slope, Accum::Add, 2.0, before, (hessian, n), (0..first, own));
        add(&mut losses, within, slope);
    }
    losses
}

/// Adds `e_k g_k` of some columns.
fn add(losses: &mut [f64], errors: &[f32], gradient: &[f32]) {
    let rows = losses.len().max(1);
    for (errors, gradient) in errors.chunks_exact(rows).zip(gradient.chunks_exact(rows)) {
        for ((loss, e), g) in losses.iter_mut().zip(errors).zip(gradient) {
            *loss += f64::from(*e) * f64::from(*g);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All entries are small integers, so that every sum is exact.
    #[test]
    fn losses_with_and_without_gradient_are_the_same() {
        let (n, rows) = (2 * STEP + 37, 5);
        let hessian: Vec<f32> = (0..n * n).map(|at| ((at / n + at % n) % 7) as f32).collect();
        let errors: Vec<f32> = (0..n * rows).map(|at| (at % 11) as f32 - 5.0).collect();
        let with = of_rows(&errors, &gradient(&errors, &hessian, n), rows);
        assert_eq!(without_gradient(&errors, &hessian, n, rows), with);
        let row = |k: usize| f64::from(errors[k * rows + 3]);
        let entry = |j: usize, k: usize| row(j) * f64::from(hessian[j * n + k]) * row(k);
        assert_eq!(with[3], (0..n).map(|j| (0..n).map(|k| entry(j, k)).sum::<f64>()).sum::<f64>());
    }
}
