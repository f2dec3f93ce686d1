//! Rows of a matrix as kernels take them: dense codes from a byte on, and scales of their own.
//!
//! ```text
//! grid of scales            rows of the matrix            what a kernel gets
//! g x wide                  each grid row for `high`      count x wide: a grid row once for each of its rows
//! ```
//!
//! Scales are decoded a band of rows at a time, so that they are in a cache when the kernel reads them. The next band's stored scales are asked
//! for then, and its codes follow those of the band, so that the kernel asks for them in time.

use alloc::vec::Vec;
use core::ops::Range;

use lowbit_kernels::{Blocks, Factor, Rows, ScaleType, StoredScales};

use crate::format::{Block, Format, Zero};
use crate::scale::{ScaleKind, TensorScale};
use crate::shape::Shape;
use crate::tensor::QTensor;

/// Scales in a band, about: 32 KiB of f32, which the second cache holds beside the codes. Each band costs a start; twice as many scales were not faster.
const BAND: usize = 8192;

/// How rows and blocks meet, where every row starts with a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    /// Values in a block.
    pub(super) block: usize,
    /// Rows that share scales.
    high: usize,
    /// Scales of a row.
    wide: usize,
}

impl Grid {
    /// The grid of matrices of this shape, or `None` if kernels cannot take their rows as they lie: a `Flat` row may start inside a block
    /// or a byte, and a bias that is added after scaling is not the kernels' zero point.
    pub(super) fn of(format: &Format, shape: Shape) -> Option<Self> {
        let Shape { rows, cols, .. } = shape;
        if cols == 0 || format.zero == Zero::Bias {
            return None;
        }
        let one = |high| Some(Self { block: cols, high, wide: 1 });
        match format.block {
            Block::Tensor => one(rows.max(1)),
            Block::Channel => one(1),
            Block::Group(block) => Some(Self { block, high: 1, wide: cols / block }),
            Block::Tile { rows: high, cols: block } => {
                Some(Self { block: block.min(cols), high, wide: cols.div_ceil(block) })
            }
            Block::Flat(_) if !(cols % 8 * format.element.bits() as usize).is_multiple_of(8) => None,
            Block::Flat(block) if cols.is_multiple_of(block) => {
                Some(Self { block, high: 1, wide: cols / block })
            }
            Block::Flat(block) if block.is_multiple_of(cols) => one(block / cols),
            Block::Flat(_) => None,
        }
    }

    /// Rows of a band.
    pub(super) fn band(&self) -> usize {
        (BAND / self.wide).max(1)
    }
}

/// Rows, their scales, and their zero points if there are any.
pub(super) type StoredRows<'a> = (Rows<'a>, StoredScales<'a>, Option<StoredScales<'a>>);

/// Some rows of one matrix with scales and zero points as stored, without the copy that [`Band`] has: for products in blocks where each row has scales of
/// its own, in fewer bits than an f32. Codes and scales go on to the end.
pub(super) fn stored_rows<'s>(
    tensor: &'s QTensor<'_>,
    grid: &Grid,
    matrix: usize,
    rows: Range<usize>,
) -> Option<StoredRows<'s>> {
    let (shape, format) = (tensor.shape(), tensor.format());
    let kind = match format.scale.kind {
        ScaleKind::F32 => return None,
        ScaleKind::F16 => ScaleType::F16,
        ScaleKind::Bf16 => ScaleType::Bf16,
        ScaleKind::E4m3 => ScaleType::E4m3,
        ScaleKind::E8m0 => ScaleType::E8m0,
    };
    if grid.high > 1 || grid.wide == 1 {
        return None;
    }
    let first = matrix * format.scales_per_matrix(shape) + rows.start * grid.wide;
    let factor = match tensor.tensor_scale() {
        TensorScale::None => Factor::None,
        TensorScale::Multiply(scales) => Factor::Multiply(scales[matrix]),
        TensorScale::Divide(scales) => Factor::Divide(scales[matrix]),
    };
    let bytes = format.row_bytes(shape.cols);
    let codes = &tensor.codes()[(matrix * shape.rows + rows.start) * bytes..];
    let blocks = Blocks { len: grid.block, scales: &[], zeros: None };
    let scales = StoredScales { kind, bytes: &tensor.scales()[first * kind.bytes()..], factor };
    let zeros = tensor.zeros().map(|bytes| {
        let kind = if format.zero == Zero::Int { ScaleType::U8 } else { kind };
        StoredScales { kind, bytes: &bytes[first * kind.bytes()..], factor: Factor::None }
    });
    Some((Rows { element: format.element, count: rows.len(), len: shape.cols, codes, blocks }, scales, zeros))
}

/// Effective scales and zero points of some rows; the buffers serve one band after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Band {
    scales: Vec<f32>,
    zeros: Vec<f32>,
    shared: Vec<f32>,
}

impl Band {
    /// Some rows of one matrix as a kernel takes them.
    pub(super) fn rows<'s>(
        &'s mut self,
        tensor: &'s QTensor<'_>,
        grid: &Grid,
        matrix: usize,
        rows: Range<usize>,
    ) -> Rows<'s> {
        let (stored, shape, format) = (tensor.stored(), tensor.shape(), tensor.format());
        let first = matrix * format.scales_per_matrix(shape);
        let (start, end) = (rows.start / grid.high, rows.end.div_ceil(grid.high));
        let blocks = first + start * grid.wide..first + end * grid.wide;
        let next = blocks.end..blocks.end + blocks.len();
        stored.scales_of(matrix, blocks.clone(), &mut self.scales);
        stored.zeros_of(blocks, &mut self.zeros);
        stored.prefetch(next);
        if grid.high > 1 {
            for list in [&mut self.scales, &mut self.zeros] {
                if !list.is_empty() {
                    core::mem::swap(list, &mut self.shared);
                    list.clear();
                    for row in rows.clone() {
                        list.extend_from_slice(
                            &self.shared[(row / grid.high - start) * grid.wide..][..grid.wide],
                        );
                    }
                }
            }
        }
        let bytes = format.row_bytes(shape.cols);
        // To the end, so that kernels can ask for what the next band reads.
        let codes = &tensor.codes()[(matrix * shape.rows + rows.start) * bytes..];
        let zeros = (format.zero != Zero::None).then_some(&self.zeros[..]);
        let blocks = Blocks { len: grid.block, scales: &self.scales, zeros };
        Rows { element: format.element, count: rows.len(), len: shape.cols, codes, blocks }
    }
}
