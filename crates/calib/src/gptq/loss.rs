//! What errors do to the output.
//!
//! ```text
//! loss of a row = e H e^T        as sum_k e_k g_k, g = e H in f32, the sum over columns in f64
//! ```

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// g = e H for all rows: column-major `rows x n`, H row-major and symmetric.
pub(super) fn gradient(errors: &[f32], hessian: &[f32], n: usize) -> Vec<f32> {
    let rows = errors.len() / n.max(1);
    let mut gradient = vec![0.0; errors.len()];
    if n > 0 {
        matmul(
            MatMut::from_column_major_slice_mut(&mut gradient, rows, n),
            Accum::Replace,
            MatRef::from_column_major_slice(errors, rows, n),
            MatRef::from_row_major_slice(hessian, n, n),
            1.0f32,
            Par::Seq,
        );
    }
    gradient
}

/// The loss of each row.
pub(super) fn of_rows(errors: &[f32], gradient: &[f32], rows: usize) -> Vec<f64> {
    let mut losses = vec![0.0; rows];
    for (errors, gradient) in errors.chunks_exact(rows).zip(gradient.chunks_exact(rows)) {
        for ((loss, e), g) in losses.iter_mut().zip(errors).zip(gradient) {
            *loss += f64::from(*e) * f64::from(*g);
        }
    }
    losses
}
