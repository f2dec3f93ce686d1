//! Coordinate descent on the output error: each code in turn becomes the best one, with all others
//! fixed.
//!
//! ```text
//! f(e) = e H e^T,   g = e H
//! changing q_j by -d changes f by d (2 g_j + d H_jj), least at q_j + g_j / H_jj:    q_j <- nearest(q_j + g_j / H_jj),   g += d H_j
//! ```
//!
//! The nearest code is the best one, since f is a parabola in the change. A change is made only if
//! it lowers f by more than rounding errors could (1e-5 d^2 H_jj), so f never rises. Columns are
//! visited in their stored order; channels that are always zero stay.

use super::lazy_updates::{LazyUpdates, Reach, add_columns};
use super::rows::Rows;

/// The least gain of a change, relative to `d^2 H_jj`.
const LEAST_GAIN: f32 = 1e-5;

/// One pass over all columns. Keeps `gradient` equal to e H. The result is the number of changed
/// codes.
pub(super) fn pass(
    rows: &mut Rows,
    hessian: &[f32],
    gradient: &mut [f32],
    block: usize,
    step: usize,
) -> usize {
    let (n, padded) = (rows.cols, rows.padded());
    let updates = LazyUpdates { matrix: hessian, cols: n, rows: padded, block, step, reach: Reach::All };
    let (mut slope, mut target) = (vec![0.0; padded], vec![0.0; padded]);
    let (mut values, mut decoded) = (vec![0.0; padded], vec![0.0; padded]);
    let mut total = 0;
    updates.run(gradient, |at, local, delta| {
        let within = at.within();
        let (first, own) = (within.start * padded, &mut delta[within.start * padded..within.end * padded]);
        let before = total;
        for (k, col) in at.cols.clone().enumerate() {
            let curvature = hessian[col * n + col];
            if curvature <= 0.0 {
                continue;
            }
            let (done, change) = own.split_at_mut(k * padded);
            slope.copy_from_slice(&local[first + k * padded..][..padded]);
            add_columns(&mut slope, done, (at.cols.start..col).map(|j| hessian[j * n + col]));
            let column = rows.column(col);
            let Rows { scales, values: own_values, decoded: own_decoded, .. } = rows;
            let (own_values, own_decoded) = (&mut own_values[column.clone()], &mut own_decoded[column]);
            let inverse = 1.0 / curvature;
            for ((target, q), slope) in target.iter_mut().zip(&*own_decoded).zip(&slope) {
                *target = q + slope * inverse;
            }
            scales.nearest(col, &target, &mut values, &mut decoded);
            // All slices have one length, so that the loop is vectorized.
            let (own_values, own_decoded) = (&mut own_values[..padded], &mut own_decoded[..padded]);
            let (values, decoded) = (&values[..padded], &decoded[..padded]);
            let (slope, change) = (&slope[..padded], &mut change[..padded]);
            for row in 0..padded {
                let d = own_decoded[row] - decoded[row];
                let gain = d * (2.0 * slope[row] + d * curvature);
                let better = gain < -LEAST_GAIN * (d * d * curvature);
                change[row] = if better { d } else { 0.0 };
                own_values[row] = if better { values[row] } else { own_values[row] };
                own_decoded[row] = if better { decoded[row] } else { own_decoded[row] };
                total += usize::from(better);
            }
        }
        total > before
    });
    total
}
