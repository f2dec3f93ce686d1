//! Rows of a matrix as kernels take them: dense codes from a byte on, and scales of their own.
//!
//! ```text
//! grid of blocks            rows of the matrix            what a kernel gets
//! g x across                each grid row for `high`      count x across: a grid row once for each of its rows
//! ```
//!
//! Scales of some rows are decoded at a time, so that they are in a cache when the kernel reads them. The stored scales of the rows
//! after these are asked for then, and codes go on to the end, so that the kernel asks for them in time.

use alloc::vec::Vec;
use core::ops::Range;

use lowbit_kernels::{Blocks, Factor, Rows, ScaleType, StoredScales};

use crate::format::Zero;
use crate::grid::{Grid, Rectangles};
use crate::scale::{ScaleKind, TensorScale};
use crate::tensor::QTensor;

/// Scales that are decoded at a time, about: 32 KiB of f32, which the second cache holds beside the codes. Each time costs a start;
/// twice as many scales were not faster.
const SCALES: usize = 8192;

/// The grid of a tensor whose rows kernels can take as they lie: each starts on a byte and with a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowGrid {
    grid: Grid,
    /// Values in a block.
    pub(super) block: usize,
    /// Rows that share scales.
    high: usize,
    /// Scales of a row.
    across: usize,
}

impl RowGrid {
    /// `None` for other tensors, and where a bias is added after scaling, which is not the kernels' zero point.
    pub(super) fn of(tensor: &QTensor<'_>) -> Option<Self> {
        let grid = tensor.grid();
        if tensor.shape().cols == 0 || tensor.format().zero.is_added() {
            return None;
        }
        let Rectangles { rows: high, cols: block, across } = grid.rectangles()?;
        Some(Self { grid, block, high, across })
    }

    /// Rows whose scales are decoded at a time.
    pub(super) fn step(&self) -> usize {
        (SCALES / self.across).max(1)
    }

    /// Codes from a row on, to the end, so that kernels can ask for what they read next.
    fn codes<'s>(&self, tensor: &'s QTensor<'_>, matrix: usize, row: usize) -> &'s [u8] {
        &tensor.codes()[self.grid.bytes(matrix, row..row).start..]
    }
}

/// Rows, their scales, and their zero points if there are any.
pub(super) type StoredRows<'a> = (Rows<'a>, StoredScales<'a>, Option<StoredScales<'a>>);

/// Some rows of one matrix with scales and zero points as stored, without the copy that [`RowScales`] has: for products in blocks where each row has scales of
/// its own, in fewer bits than an f32. Codes and scales go on to the end.
pub(super) fn stored_rows<'s>(
    tensor: &'s QTensor<'_>,
    grid: &RowGrid,
    matrix: usize,
    rows: Range<usize>,
) -> Option<StoredRows<'s>> {
    let (shape, format) = (tensor.shape(), tensor.format());
    let kind = match format.scale.kind {
        _ if format.scale.outer.count().is_some() => return None,
        ScaleKind::F32 | ScaleKind::Ue5m3 | ScaleKind::Int { .. } => return None,
        ScaleKind::F16 => ScaleType::F16,
        ScaleKind::Bf16 => ScaleType::Bf16,
        ScaleKind::E4m3 => ScaleType::E4m3,
        ScaleKind::E8m0 => ScaleType::E8m0,
    };
    if grid.high > 1 || grid.across == 1 {
        return None;
    }
    let first = grid.grid.blocks(matrix, rows.clone()).start;
    let factor = match tensor.tensor_scale() {
        TensorScale::None => Factor::None,
        TensorScale::Multiply(scales) => Factor::Multiply(scales[matrix]),
        TensorScale::Divide(scales) => Factor::Divide(scales[matrix]),
    };
    let codes = grid.codes(tensor, matrix, rows.start);
    let blocks = Blocks { len: grid.block, scales: &[], zeros: None };
    let scales = StoredScales { kind, bytes: &tensor.scales()[first * kind.bytes()..], factor };
    let zeros = tensor.zeros().map(|bytes| {
        let kind = if format.zero == Zero::Int { ScaleType::U8 } else { kind };
        StoredScales { kind, bytes: &bytes[first * kind.bytes()..], factor: Factor::None }
    });
    Some((Rows { element: format.element, count: rows.len(), len: shape.cols, codes, blocks }, scales, zeros))
}

/// Effective scales and zero points of some rows; the buffers serve again and again.
#[derive(Clone, Debug, Default)]
pub(super) struct RowScales {
    scales: Vec<f32>,
    zeros: Vec<f32>,
    shared: Vec<f32>,
}

impl RowScales {
    /// Some rows of one matrix as a kernel takes them.
    pub(super) fn rows<'s>(
        &'s mut self,
        tensor: &'s QTensor<'_>,
        grid: &RowGrid,
        matrix: usize,
        rows: Range<usize>,
    ) -> Rows<'s> {
        let (stored, shape, format) = (tensor.stored(), tensor.shape(), tensor.format());
        let blocks = grid.grid.blocks(matrix, rows.clone());
        let next = blocks.end..blocks.end + blocks.len();
        stored.scales_of(matrix, blocks.clone(), &mut self.scales);
        stored.zeros_of(matrix, blocks, &mut self.zeros);
        stored.prefetch(next);
        if grid.high > 1 {
            for list in [&mut self.scales, &mut self.zeros] {
                if !list.is_empty() {
                    core::mem::swap(list, &mut self.shared);
                    list.clear();
                    for row in rows.clone() {
                        let first = (row / grid.high - rows.start / grid.high) * grid.across;
                        list.extend_from_slice(&self.shared[first..][..grid.across]);
                    }
                }
            }
        }
        let codes = grid.codes(tensor, matrix, rows.start);
        let zeros = (format.zero != Zero::None).then_some(&self.zeros[..]);
        let blocks = Blocks { len: grid.block, scales: &self.scales, zeros };
        Rows { element: format.element, count: rows.len(), len: shape.cols, codes, blocks }
    }
}
