//! Scales of a group that are chosen when its first column is visited, from the weights updated by
//! the feedback.
//!
//! ```text
//! updated weights of columns G, after the errors e_S of some columns S before them:     w_G + u (M_GG)^-1,   u = e_S M_SG
//!
//! Live     S = all columns before the group
//! Stale    S = the columns of earlier blocks only, as in the published loop,
//!          which updates its block in a copy
//! ```

use lowbit_blocks::{Block, Dtype, Shape, TensorScale, Values};
use lowbit_kernels::Kernels;

use super::factor::Factor;
use super::lazy_updates::{Step, add_columns};
use super::options::{Groups, Weighing};
use super::rows::Rows;
use crate::error::Error;
use crate::hessian::Hessian;
use crate::importance::Importance;
use crate::recipe::Recipe;
use crate::rows::Out;

/// The inputs of the choice of one group's scales.
pub(super) struct GroupScales<'a> {
    pub(super) groups: Groups,
    pub(super) recipe: &'a Recipe,
    pub(super) tensor_scale: &'a TensorScale,
    pub(super) weighing: Weighing,
    pub(super) hessian: &'a Hessian,
    pub(super) factor: &'a Factor,
    pub(super) perm: &'a [usize],
    pub(super) group: usize,
}

impl GroupScales<'_> {
    /// Chooses the scales of the group that begins with this step, if one does. `snapshot` holds
    /// the updated weights of the block for [`Groups::Stale`].
    pub(super) fn begin(
        &self,
        rows: &mut Rows,
        at: &Step,
        local: &[f32],
        snapshot: &mut Vec<f32>,
    ) -> Result<(), Error> {
        if self.groups == Groups::Stale && at.cols.start == at.block.start {
            *snapshot = self.updated(rows, at.block.clone(), local);
        }
        if !at.cols.start.is_multiple_of(self.group) {
            return Ok(());
        }
        let padded = rows.padded();
        let first = at.within().start * padded;
        let len = self.group * padded;
        let cols = at.cols.start..at.cols.start + self.group;
        let updated = match self.groups {
            Groups::Stale => snapshot[first..first + len].to_vec(),
            _ => self.updated(rows, cols.clone(), &local[first..first + len]),
        };
        self.choose(rows, cols, &updated)
    }

    /// The weights at these places, updated by the feedback, where `acc` is w + u.
    fn updated(&self, rows: &Rows, places: core::ops::Range<usize>, acc: &[f32]) -> Vec<f32> {
        let (n, padded) = (rows.cols, rows.padded());
        let mut change = Vec::with_capacity(acc.len());
        for (acc, &col) in acc.chunks_exact(padded).zip(&self.perm[places.clone()]) {
            change.extend(acc.iter().zip(&rows.weights[rows.column(col)]).map(|(acc, w)| acc - w));
        }
        for k in 0..places.len() {
            let (done, rest) = change.split_at_mut(k * padded);
            let entry = |j: usize| self.factor.upper[(places.start + j) * n + places.start + k];
            add_columns(&mut rest[..padded], done, (0..k).map(|j| -entry(j)));
        }
        for (change, &col) in change.chunks_exact_mut(padded).zip(&self.perm[places]) {
            change.iter_mut().zip(&rows.weights[rows.column(col)]).for_each(|(x, w)| *x += w);
        }
        change
    }

    fn choose(&self, rows: &mut Rows, places: core::ops::Range<usize>, updated: &[f32]) -> Result<(), Error> {
        let (padded, count, group) = (rows.padded(), rows.count, self.group);
        let index = self.perm[places.start] / group;
        // Columns in their stored order.
        let mut weight = vec![0.0; count * group];
        for (from, &col) in updated.chunks_exact(padded).zip(&self.perm[places]) {
            let to = col - index * group;
            (0..count).for_each(|row| weight[row * group + to] = from[row]);
        }
        let format = self.recipe.format.with_block(Block::Group(group));
        let recipe = Recipe { format, ..*self.recipe };
        let shape = Shape::matrix(count, group);
        let part = self.hessian.part(index * group..(index + 1) * group);
        let mean_square = part.mean_square();
        let quantizer =
            recipe.quantizer_or_plain(shape, self.tensor_scale)?.with_importance(match self.weighing {
                Weighing::Uniform => Importance::Uniform,
                Weighing::Diagonal => Importance::Channels(&mean_square),
                Weighing::Blocks => Importance::Hessian(&part),
            })?;
        let mut codes = vec![0; format.codes_len(shape)];
        let mut scales = vec![0; format.scales_len(shape)];
        let mut zeros = vec![0; format.zeros_len(shape)];
        let out = Out { codes: &mut codes, scales: &mut scales, zeros: &mut zeros };
        quantizer.quantize_rows(0, 0, Values::F32(&weight), out)?;
        let bytes = format.scale.kind.bytes();
        let column = &mut rows.scales.columns[index];
        let padding = column.stored[count..].to_vec();
        let stored = scales.chunks_exact(bytes).map(|from| {
            let mut stored = [0; 4];
            stored[..bytes].copy_from_slice(from);
            stored
        });
        column.store(format.scale.kind, self.tensor_scale, stored.chain(padding));
        column.zeros.iter_mut().zip(zeros).for_each(|(own, zero)| *own = f32::from(zero));
        Ok(())
    }
}

impl Recipe {
    /// A quantizer of f32 rows, with the tensor scale if the recipe has one.
    fn quantizer_or_plain(
        &self,
        shape: Shape,
        scale: &TensorScale,
    ) -> Result<crate::quantizer::Quantizer, Error> {
        match scale {
            TensorScale::None => self.quantizer(shape, Dtype::F32, &[], Kernels::best()),
            _ => self.quantizer_with_tensor_scale(shape, Dtype::F32, scale, Kernels::best()),
        }
    }
}
