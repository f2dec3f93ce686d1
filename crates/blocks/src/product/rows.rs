//! Rows of a matrix in the layout of kernels: dense codes that start on a byte, and separate scales
//! for each row.
//!
//! ```text
//! grid of blocks            rows of the matrix                 input of the kernel
//! g x across                each grid row has `high` rows      count x across: grid rows repeated for
//!                                                              each of their rows
//! ```
//!
//! Scales are decoded for some rows at a time, so that they are cached when the kernel reads them.
//! The stored scales of the following rows are prefetched. Slices of codes extend to the end of the
//! tensor, so that the kernel can prefetch beyond its rows.

use alloc::vec::Vec;
use core::ops::Range;

use lowbit_kernels::{Blocks, Factor, Rows, ScaleType, StoredScales};

use crate::format::Zero;
use crate::grid::{Grid, Rectangles};
use crate::scale::{ScaleKind, TensorScale};
use crate::tensor::QTensor;

/// The approximate number of scales that are decoded at a time: 32 KiB of f32, which fit the
/// second-level cache beside the codes. Every batch has a start-up cost; batches of twice the size
/// were not faster.
const SCALES: usize = 8192;

/// The grid of a tensor whose rows kernels can read directly: each starts on a byte and with a
/// block.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowGrid {
    grid: Grid,
    /// The number of values of a block.
    pub(super) block: usize,
    /// The number of rows that share scales.
    high: usize,
    /// The number of scales of a row.
    across: usize,
}

impl RowGrid {
    /// The grid of a tensor; `None` if its rows cannot be read directly, or if a bias is added
    /// after scaling, which kernels do not support as a zero point.
    pub(super) fn of(tensor: &QTensor<'_>) -> Option<Self> {
        let grid = tensor.grid();
        if tensor.shape().cols == 0 || tensor.format().zero.is_added() {
            return None;
        }
        let Rectangles { rows: high, cols: block, across } = grid.rectangles()?;
        Some(Self { grid, block, high, across })
    }

    /// The number of rows whose scales are decoded at a time.
    pub(super) fn step(&self) -> usize {
        (SCALES / self.across).max(1)
    }

    /// The codes from a row to the end of the tensor, so that kernels can prefetch.
    fn codes<'s>(&self, tensor: &'s QTensor<'_>, matrix: usize, row: usize) -> &'s [u8] {
        &tensor.codes()[self.grid.bytes(matrix, row..row).start..]
    }
}

/// Rows, their scales, and their zero points if there are any.
pub(super) type StoredRows<'a> = (Rows<'a>, StoredScales<'a>, Option<StoredScales<'a>>);

/// Some rows of one matrix with scales and zero points as stored, without the decoded copy of
/// [`RowScales`]. It is for block products if each row has its own scales, in fewer bits than an
/// f32. Slices of codes and scales extend to the end of the tensor.
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

/// Effective scales and zero points of some rows, in reusable buffers.
#[derive(Clone, Debug, Default)]
pub(super) struct RowScales {
    scales: Vec<f32>,
    zeros: Vec<f32>,
    shared: Vec<f32>,
}

impl RowScales {
    /// Some rows of one matrix in the layout of kernels.
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
