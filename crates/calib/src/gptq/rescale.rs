//! Joint choice of the scale and the codes of a block, for the least error of the output.
//!
//! ```text
//! f as a function of one block, all others fixed:      (t - q) H_bb (t - q)^T + constant,     t = q + g_b H_bb^-1
//!
//! each candidate scale    codes by feedback within the block towards t,
//!                         with the factor H_bb + lambda I = M diag(d) M^T
//! kept                    the candidate of the lowest f, f changing by d (2 g_b + d H_bb)^T,
//!                         if it lowers f by more than rounding errors could
//! ```
//!
//! Candidates are E4M3 codes up to 4 away, E8M0 codes 1 away, other scales 2, 4 and 6 % away, and
//! the current scale. Zero points stay.

use core::ops::Range;

use lowbit_blocks::{ScaleKind, TensorScale};

use super::lazy_updates::{LazyUpdates, Reach, add_columns};
use super::rows::Rows;
use super::scale_columns::{Rounder, ScaleColumn};

/// The least gain of a change, relative to its quadratic term.
const LEAST_GAIN: f32 = 1e-5;
/// The damping of a diagonal block, relative to its mean, so that it can be factored.
const DAMPING: f64 = 1e-3;
/// The relative step between candidates of scales that are stored as floats.
const STEP: f32 = 0.02;
/// The longest block that is rescaled, in columns.
pub(super) const LONGEST: usize = 128;

/// The factor of one diagonal block: row-major M, and d.
struct Form {
    upper: Vec<f32>,
    weights: Vec<f32>,
}

/// The offsets of the candidates from the current scale, in steps.
const fn offsets(kind: ScaleKind) -> &'static [i8] {
    if kind.is_small_float() {
        &[0, -1, 1, -2, 2, -3, 3, -4, 4]
    } else if kind.is_power_of_two() {
        &[0, -1, 1]
    } else {
        &[0, -1, 1, -2, 2, -3, 3]
    }
}

/// The stored scale `offset` steps away; the same scale if there is none.
fn neighbour(kind: ScaleKind, stored: [u8; 4], offset: i8) -> [u8; 4] {
    /// The largest number of E8M0.
    const GREATEST: u8 = 254;
    match kind {
        _ if offset == 0 => stored,
        kind if kind.is_small_float() => {
            let top = kind.encode(kind.largest())[0];
            [stored[0].saturating_add_signed(offset).clamp(1, top), 0, 0, 0]
        }
        kind if kind.is_power_of_two() => [stored[0].saturating_add_signed(offset).min(GREATEST), 0, 0, 0],
        _ => {
            let mut scale = [0.0];
            kind.decode_into(&stored[..kind.bytes()], &mut scale);
            let moved = scale[0] * (1.0 + STEP * f32::from(offset));
            if moved.is_normal() { kind.encode(moved) } else { stored }
        }
    }
}

/// The factors of all diagonal blocks of `len` columns.
pub(super) struct Forms(Vec<Form>);

impl Forms {
    pub(super) fn new(matrix: &[f64], n: usize, len: usize) -> Self {
        Self((0..n).step_by(len).map(|first| Form::new(matrix, n, first..n.min(first + len))).collect())
    }
}

impl Form {
    /// Factors by elimination from the last column; blocks are small.
    fn new(matrix: &[f64], n: usize, cols: Range<usize>) -> Self {
        let len = cols.len();
        let mut a: Vec<f64> = cols.clone().flat_map(|row| matrix[row * n..][cols.clone()].to_vec()).collect();
        let mean = (0..len).map(|k| a[k * len + k]).sum::<f64>() / len as f64;
        for k in 0..len {
            let diagonal = &mut a[k * len + k];
            // A channel that is always zero stands alone.
            *diagonal =
                if *diagonal > 0.0 { *diagonal + DAMPING * mean } else { mean.max(f64::MIN_POSITIVE) };
        }
        let (mut upper, mut weights) = (vec![0.0f32; len * len], vec![0.0f32; len]);
        for k in (0..len).rev() {
            let d = a[k * len + k].max(DAMPING * mean).max(f64::MIN_POSITIVE);
            weights[k] = d as f32;
            let column: Vec<f64> = (0..k).map(|j| a[j * len + k] / d).collect();
            upper[k * len + k] = 1.0;
            for (i, m) in column.iter().enumerate() {
                upper[i * len + k] = *m as f32;
                for (j, other) in column.iter().enumerate() {
                    a[i * len + j] -= m * d * other;
                }
            }
        }
        Self { upper, weights }
    }

    /// `x <- x H_bb^-1` for all rows; `x` is column-major.
    fn solve(&self, x: &mut [f32], rows: usize) {
        let len = self.weights.len();
        // M z = x from the last column up, z over d, M^T y = z from the first down.
        for k in (0..len).rev() {
            let (front, behind) = x.split_at_mut((k + 1) * rows);
            add_columns(&mut front[k * rows..], behind, (k + 1..len).map(|j| -self.upper[k * len + j]));
        }
        for k in 0..len {
            let (done, rest) = x.split_at_mut(k * rows);
            let own = &mut rest[..rows];
            own.iter_mut().for_each(|x| *x /= self.weights[k]);
            add_columns(own, done, (0..k).map(|j| -self.upper[j * len + k]));
        }
    }
}

/// One block of columns under candidate scales.
#[derive(Default)]
struct Trial {
    values: Vec<f32>,
    decoded: Vec<f32>,
    errors: Vec<f32>,
    /// The change of f, in each row.
    changes: Vec<f32>,
    /// The quadratic term of that change.
    squares: Vec<f32>,
}

/// The current state of a block: its columns, their decoded values, and their part of the gradient.
struct Now<'a> {
    cols: Range<usize>,
    decoded: &'a [f32],
    gradient: &'a [f32],
    hessian: &'a [f32],
    n: usize,
}

impl Trial {
    fn new(len: usize, padded: usize) -> Self {
        let of = |len| vec![0.0; len];
        Self { values: of(len), decoded: of(len), errors: of(len), changes: of(padded), squares: of(padded) }
    }

    /// Chooses codes by feedback towards `target` within the block, and computes the change of f.
    fn solve(
        &mut self,
        rounder: &mut Rounder,
        column: &ScaleColumn,
        form: &Form,
        target: &[f32],
        now: &Now<'_>,
    ) {
        let (padded, len) = (self.changes.len(), form.weights.len());
        let mut sum = vec![0.0; padded];
        for k in 0..len {
            let own = k * padded..(k + 1) * padded;
            let (done, error) = self.errors.split_at_mut(own.start);
            sum.copy_from_slice(&target[own.clone()]);
            add_columns(&mut sum, done, (0..k).map(|j| form.upper[j * len + k]));
            let (values, decoded) = (&mut self.values[own.clone()], &mut self.decoded[own.clone()]);
            rounder.nearest(column, &sum, values, decoded);
            let pairs = target[own].iter().zip(decoded.iter());
            error[..padded].iter_mut().zip(pairs).for_each(|(error, (t, q))| *error = t - q);
        }
        // From here on `errors` is the change of the errors: d (2 g + d H_bb).
        let pairs = now.decoded.iter().zip(&self.decoded);
        self.errors.iter_mut().zip(pairs).for_each(|(d, (old, new))| *d = old - new);
        self.changes.fill(0.0);
        self.squares.fill(0.0);
        for (k, col) in now.cols.clone().enumerate() {
            let own = k * padded..(k + 1) * padded;
            sum.fill(0.0);
            add_columns(&mut sum, &self.errors, now.cols.clone().map(|j| now.hessian[j * now.n + col]));
            let (d, gradient) = (&self.errors[own.clone()], &now.gradient[own]);
            for row in 0..padded {
                let square = d[row] * sum[row];
                self.squares[row] += square;
                self.changes[row] += square + 2.0 * d[row] * gradient[row];
            }
        }
    }
}

/// One pass over all blocks. Keeps `gradient` equal to e H. The result is the number of changed
/// blocks.
pub(super) fn pass(
    rows: &mut Rows,
    hessian: &[f32],
    forms: &Forms,
    gradient: &mut [f32],
    block: usize,
    kind: ScaleKind,
    tensor_scale: &TensorScale,
) -> usize {
    let (n, padded, width) = (rows.cols, rows.padded(), rows.scales.width);
    let updates = LazyUpdates {
        matrix: hessian,
        cols: n,
        rows: padded,
        block: block.next_multiple_of(width),
        step: width,
        reach: Reach::All,
    };
    let mut total = 0;
    updates.run(gradient, |at, local, delta| {
        let within = at.within();
        let local = &local[within.start * padded..within.end * padded];
        let delta = &mut delta[within.start * padded..within.end * padded];
        let (index, own) = (at.cols.start / width, at.cols.start * padded..at.cols.end * padded);
        let form = &forms.0[index];
        let mut target = local.to_vec();
        form.solve(&mut target, padded);
        let Rows { scales, values, decoded, count, .. } = rows;
        let (values, decoded) = (&mut values[own.clone()], &mut decoded[own]);
        target.iter_mut().zip(&*decoded).for_each(|(x, q)| *x += q);
        let (before, start) = (decoded.to_vec(), scales.columns[index].clone());
        let now = Now { cols: at.cols.clone(), decoded: &before, gradient: local, hessian, n };
        let (mut chosen, mut candidate) = (start.clone(), start.clone());
        let mut best = vec![0.0; *count];
        let mut trial = Trial::new(target.len(), padded);
        for &offset in offsets(kind) {
            let stored = start.stored.iter().map(|stored| neighbour(kind, *stored, offset));
            candidate.store(kind, tensor_scale, stored);
            trial.solve(&mut scales.rounder, &candidate, form, &target, &now);
            for (row, best) in best.iter_mut().enumerate() {
                // False if the change is NaN.
                if trial.changes[row] < *best && trial.changes[row] < -LEAST_GAIN * trial.squares[row] {
                    *best = trial.changes[row];
                    for at in (row..target.len()).step_by(padded) {
                        values[at] = trial.values[at];
                        decoded[at] = trial.decoded[at];
                    }
                    chosen.set(row, candidate.stored[row], candidate.scales[row]);
                }
            }
        }
        let changed = best.iter().filter(|change| **change < 0.0).count();
        if changed > 0 {
            let pairs = before.iter().zip(&*decoded);
            delta.iter_mut().zip(pairs).for_each(|(delta, (old, new))| *delta = old - new);
            scales.columns[index] = chosen;
            total += changed;
        }
        changed > 0
    });
    total
}
