//! GPTQ's column loop: each column is rounded after it has compensated for the errors of the
//! columns before it.
//!
//! ```text
//! for k in the order:   t = w_k + sum_{j<k} e_j M_jk      q_k = nearest(t)      e_k = w_k - q_k
//! ```
//!
//! A step is 32 columns, a block 128. Within a step, sums run over its columns one by one; the rest
//! are f32 matrix products.

use super::factor::Factor;
use super::lazy_updates::{LazyUpdates, Reach, Step, add_columns};
use super::rows::Rows;
use crate::error::Error;

/// Columns per step.
pub(super) const STEP: usize = 32;

/// Rounds the rows column by column in the order `perm`. `begin` may change the scales before the
/// columns of a step are visited.
///
/// # Errors
/// The first error of `begin`.
pub(super) fn solve(
    rows: &mut Rows,
    factor: &Factor,
    perm: &[usize],
    block: usize,
    step: usize,
    mut begin: impl FnMut(&mut Rows, &Step, &[f32]) -> Result<(), Error>,
) -> Result<(), Error> {
    let padded = rows.padded();
    let updates = LazyUpdates {
        matrix: &factor.upper,
        cols: perm.len(),
        rows: padded,
        block,
        step,
        reach: Reach::Behind,
    };
    let mut acc = Vec::with_capacity(rows.weights.len());
    perm.iter().for_each(|&col| acc.extend_from_slice(&rows.weights[rows.column(col)]));
    let mut target = vec![0.0; padded];
    let mut failed = None;
    updates.run(&mut acc, |at, local, delta| {
        if failed.is_some() {
            return false;
        }
        failed = begin(rows, at, local).err();
        let within = at.within();
        let (first, own) = (within.start * padded, &mut delta[within.start * padded..within.end * padded]);
        for (k, place) in at.cols.clone().enumerate() {
            let col = perm[place];
            let (done, error) = own.split_at_mut(k * padded);
            target.copy_from_slice(&local[first + k * padded..][..padded]);
            let weights = (at.cols.start..place).map(|j| factor.upper[j * perm.len() + place]);
            add_columns(&mut target, done, weights);
            let column = rows.column(col);
            let Rows { scales, weights, values, decoded, .. } = rows;
            let decoded = &mut decoded[column.clone()];
            scales.nearest(col, &target, &mut values[column.clone()], decoded);
            let pairs = weights[column].iter().zip(decoded.iter());
            error[..padded].iter_mut().zip(pairs).for_each(|(error, (w, q))| *error = w - q);
        }
        true
    });
    failed.map_or(Ok(()), Err)
}
