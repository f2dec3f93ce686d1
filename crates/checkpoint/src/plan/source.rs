//! The source of the rows of an output linear: a float tensor, or rows of quantized linears that
//! are split and joined.
//!
//! ```text
//! strips of one target matrix      gate_up [E, 2 I, H], rows interleaved     ->  gate [I, H]: rows 0, 2, 4 .. of matrix e
//!                                  experts.e.gate, experts.e.up [I, H]       ->  gate_up [E, 2 I, H]: two strips of each matrix
//! ```

use crate::arch::Expert;
use crate::layout::{Stored, Whole};
use crate::{Checkpoint, Result};
use lowbit_blocks::{QTensor, Shape};
use std::ops::Range;

/// The source of the rows of a linear.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Consecutive values of a float tensor, from index `first` on.
    Floats { tensor: String, first: u64 },
    /// Rows of quantized linears.
    Quantized(Vec<Strip>),
}

/// Rows of one matrix at a regular interval: row `first`, then every `step`th.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Comb {
    pub(crate) matrix: usize,
    pub(crate) first: usize,
    pub(crate) step: usize,
}

/// Rows of a quantized linear that become rows of the target.
#[derive(Clone, Debug)]
pub(crate) struct Strip {
    /// Index of the linear in the plan's list.
    pub(crate) linear: usize,
    pub(crate) from: Comb,
    pub(crate) to: Comb,
    pub(crate) rows: usize,
}

impl Strip {
    /// All rows of one matrix, at the same positions.
    pub(crate) const fn whole(linear: usize, matrix: usize, rows: usize) -> Self {
        let comb = Comb { matrix, first: 0, step: 1 };
        Self { linear, from: comb, to: comb, rows }
    }

    /// The rows of one expert of a stack.
    pub(super) const fn of_expert(linear: usize, expert: &Expert) -> Self {
        let from = Comb { matrix: expert.matrix, first: expert.first_row, step: expert.step };
        Self { linear, from, to: Comb { matrix: 0, first: 0, step: 1 }, rows: expert.rows }
    }

    /// Whether the strip is all rows of its source matrix, at the same positions.
    fn is_whole(&self, stored: &Stored, target: Shape) -> bool {
        (self.from.first, self.from.step, self.to.first, self.to.step) == (0, 1, 0, 1)
            && self.rows == target.rows
            && self.rows == stored.shape().rows
    }

    /// The range of its rows that lie in these rows of the target.
    fn inside(&self, matrix: usize, rows: &Range<usize>) -> Range<usize> {
        if self.to.matrix != matrix {
            return 0..0;
        }
        let count = |end: usize| end.saturating_sub(self.to.first).div_ceil(self.to.step).min(self.rows);
        count(rows.start)..count(rows.end)
    }

    /// The range of source rows from the first to the last of these strip rows, which must not be
    /// empty.
    const fn hull(&self, rows: &Range<usize>) -> Range<usize> {
        let Comb { first, step, .. } = self.from;
        first + rows.start * step..first + (rows.end - 1) * step + 1
    }
}

/// The quantized linears of a source, with the data that every row of each needs.
#[derive(Debug, Default)]
pub(crate) struct Linears {
    pub(crate) stored: Vec<Stored>,
    pub(crate) whole: Vec<Whole>,
}

impl Linears {
    /// Takes the linears of a reading, and reads their whole-tensor data.
    pub(crate) fn new(checkpoint: &Checkpoint, stored: Vec<Stored>) -> Result<Self> {
        let whole = stored.iter().map(|s| s.whole(checkpoint, true)).collect::<Result<_, _>>()?;
        Ok(Self { stored, whole })
    }

    /// The approximate size in bytes, in the source, of this number of target rows.
    pub(crate) fn bytes(&self, strips: &[Strip], target: Shape, rows: usize) -> u64 {
        let Some(strip) = strips.first() else { return 0 };
        let one = Shape::matrix(rows, target.cols);
        self.stored[strip.linear].format.size_bytes(one) as u64
    }

    /// The linear of which these strips are all rows, at the same positions; `None` if there is no
    /// such linear.
    pub(crate) fn direct(&self, strips: &[Strip], target: Shape) -> Option<&Stored> {
        let [first, ..] = strips else { return None };
        let stored = &self.stored[first.linear];
        let same = |strip: &Strip| {
            strip.linear == first.linear
                && strip.from.matrix == strip.to.matrix
                && strip.is_whole(stored, target)
        };
        (strips.iter().all(same) && strips.len() == target.matrices).then_some(stored)
    }

    /// Quantized rows of the target. All strips must have one format whose rows are separate.
    pub(crate) fn rows(
        &self,
        checkpoint: &Checkpoint,
        strips: &[Strip],
        target: Shape,
        matrix: usize,
        rows: Range<usize>,
    ) -> Result<QTensor<'static>> {
        if let Some(stored) = self.direct(strips, target) {
            return Ok(stored.rows(checkpoint, matrix, rows)?);
        }
        let format = self.stored[strips[0].linear].format;
        let shape = Shape::matrix(rows.len(), target.cols);
        let (mut codes, mut scales) = (vec![0; format.codes_len(shape)], vec![0; format.scales_len(shape)]);
        let mut zeros = vec![0; format.zeros_len(shape)];
        let mut tensor_scale = lowbit_blocks::TensorScale::None;
        for strip in strips {
            let inside = strip.inside(matrix, &rows);
            if inside.is_empty() {
                continue;
            }
            let hull = strip.hull(&inside);
            let stored = &self.stored[strip.linear];
            let tile = stored.tile(&hull);
            let first = hull.start - tile.start;
            let read = stored.rows(checkpoint, strip.from.matrix, tile)?;
            for (nth, at) in inside.enumerate() {
                let to = strip.to.first + at * strip.to.step - rows.start;
                let from = first + nth * strip.from.step;
                let row = read.rows(0, from..from + 1);
                codes[format.codes_range(shape, 0, to..to + 1)].copy_from_slice(row.codes());
                scales[format.scales_range(shape, 0, to..to + 1)].copy_from_slice(row.scales());
                zeros[format.zeros_range(shape, 0, to..to + 1)]
                    .copy_from_slice(row.zeros().unwrap_or_default());
            }
            tensor_scale = read.tensor_scale().clone();
        }
        let zeros = format.has_zeros().then_some(zeros.into());
        QTensor::new(format, shape, codes, scales, zeros, tensor_scale)
            .map_err(|e| crate::Error::tensor(checkpoint.dir(), "", e.to_string()))
    }

    /// Rows of the target as f32, with smoothing scales multiplied in and columns in the order of
    /// the input.
    pub(crate) fn values(
        &self,
        checkpoint: &Checkpoint,
        strips: &[Strip],
        target: Shape,
        matrix: usize,
        rows: Range<usize>,
        out: &mut [f32],
    ) -> Result<()> {
        let cols = target.cols;
        for strip in strips {
            let inside = strip.inside(matrix, &rows);
            if inside.is_empty() {
                continue;
            }
            let stored = &self.stored[strip.linear];
            let whole = &self.whole[strip.linear];
            let hull = strip.hull(&inside);
            if strip.from.step == 1 && strip.to.step == 1 {
                let to = strip.to.first + inside.start - rows.start;
                let out = &mut out[to * cols..][..inside.len() * cols];
                stored.values(checkpoint, whole, strip.from.matrix, hull, out)?;
                continue;
            }
            let mut values = vec![0.0; hull.len() * cols];
            stored.values(checkpoint, whole, strip.from.matrix, hull, &mut values)?;
            for (nth, at) in inside.enumerate() {
                let to = strip.to.first + at * strip.to.step - rows.start;
                out[to * cols..][..cols].copy_from_slice(&values[nth * strip.from.step * cols..][..cols]);
            }
        }
        Ok(())
    }
}
