//! Scans of quantized linears by tiles: scales, codes and zero points as they are in memory, for
//! any layout.

use super::counts::{Count, Linear, Numbers, bad_codes, count_codes, count_outside};
use crate::layout::Stored;
use crate::{Checkpoint, Result};
use lowbit_blocks::{Outer, QTensor, ScaleKind, Shape, TensorScale, Zero};
use lowbit_kernels::Element;
use std::borrow::Cow;
use std::ops::Range;

/// Number of values of a tile.
const TILE: usize = 1 << 20;

/// A layer whose largest weight is below this is useless: its scales are exponents by mistake.
const TINY: f64 = 1.0 / (1u64 << 60) as f64;

/// The tiles of a linear: index of the matrix, and rows.
pub(super) fn tiles(stored: &Stored) -> impl Iterator<Item = (usize, Range<usize>)> + use<> {
    let (shape, quantum) = (stored.shape(), stored.quantum().max(1));
    // A file may declare any number of rows of length zero.
    let (matrices, rows) = if shape.is_empty() { (0, 0) } else { (shape.matrices, shape.rows) };
    let step = (TILE / shape.cols.max(1)).max(1).next_multiple_of(quantum);
    (0..matrices).flat_map(move |m| (0..rows).step_by(step).map(move |at| (m, at..rows.min(at + step))))
}

/// Scans one tile. With `dead`, also finds out whether any of its weights is not zero.
pub(super) fn scan(
    checkpoint: &Checkpoint,
    stored: &Stored,
    (matrix, rows): (usize, Range<usize>),
    dead: bool,
) -> Result<Linear> {
    let tile = stored.rows(checkpoint, matrix, rows.clone())?;
    let (format, shape) = (stored.format, stored.shape());
    let mut seen = Linear::default();
    let scales = tile.block_scales(0);
    let first = format.blocks_range(shape, matrix, rows.clone()).start as u64;
    scales.iter().zip(first..).for_each(|(&scale, at)| seen.scales.observe(at, scale.into()));
    seen.scales.zero = Count::default();
    lost_blocks(&tile, &scales).for_each(|block| seen.scales.zero.saw(first + block as u64, 0.0));
    if let Some(&scale) = tile.tensor_scale().stored().first() {
        seen.tensor_scales.observe(matrix as u64, scale.into());
    }
    seen.reach = f64::from(largest(format.element)) * effective(seen.scales.largest, tile.tensor_scale());
    if seen.reach < TINY {
        seen.codes = any_code(&tile);
    }
    let codes = format.codes_range(shape, matrix, rows.clone()).start as u64;
    if let Some(bad) = bad_codes(format.element) {
        seen.bad_codes = count_codes(&bad, tile.codes(), codes);
    }
    let zeros = tile.zeros().unwrap_or_default();
    match format.zero {
        Zero::Int => seen.bad_zeros = count_outside(largest(format.element) as u8, zeros, first),
        Zero::None => {}
        _ => {
            let numbers = tile.block_zeros(0);
            let mut all = Numbers::default();
            numbers.iter().zip(first..).for_each(|(n, at)| all.observe(at, (*n).into()));
            seen.bad_zeros = all.nan;
            seen.bad_zeros.merge(&all.infinite);
        }
    }
    seen.alive = dead && decoded(&tile).any(|v| v != 0.0);
    Ok(seen)
}

/// The largest magnitude of a code.
fn largest(element: Element) -> f32 {
    element.max().max(-element.min())
}

/// A block scale combined with the tensor scale.
fn effective(scale: f64, tensor: &TensorScale) -> f64 {
    match tensor {
        TensorScale::None => scale,
        TensorScale::Multiply(by) => scale * by.first().map_or(1.0, |&t| f64::from(t.abs())),
        TensorScale::Divide(by) => scale / by.first().map_or(1.0, |&t| f64::from(t.abs())),
    }
}

/// The weights of a tile, row by row.
fn decoded(tile: &QTensor<'_>) -> impl Iterator<Item = f32> {
    let cols = tile.shape().cols;
    let mut row = vec![0f32; cols];
    (0..tile.shape().rows).flat_map(move |at| {
        tile.dequantize_rows(0, at..at + 1, &mut row);
        row.clone()
    })
}

/// The tile with all scales set to one: its codes, less their zero points, as numbers.
fn unscaled(tile: &QTensor<'_>) -> Option<QTensor<'static>> {
    let mut format = tile.format().with_outer(Outer::None);
    if tile.format().scale.outer.count().is_some() {
        // With super-blocks, only integer zero points are in units of codes; others are dropped.
        let zero = if format.zero == Zero::Int { Zero::Int } else { Zero::None };
        format = format.with_scale(ScaleKind::F32).with_zero(zero);
    }
    let one = format.scale.kind.encode(1.0);
    let blocks = format.scales_per_matrix(tile.shape());
    let scales = one[..format.scale.kind.bytes()].repeat(blocks);
    let zeros = tile.zeros().filter(|_| format.has_zeros()).map(|z| Cow::Owned(z.to_vec()));
    QTensor::new(format, tile.shape(), tile.codes().to_vec(), scales, zeros, TensorScale::None).ok()
}

fn any_code(tile: &QTensor<'_>) -> bool {
    unscaled(tile).is_some_and(|tile| decoded(&tile).any(|v| v != 0.0))
}

/// Indices of the blocks whose scale is zero and whose codes are not. Two cases are valid: flat
/// blocks (bitsandbytes) may hold any code where all weights are zero, and a format with a bias
/// stores the weight there if the scale is zero.
fn lost_blocks(tile: &QTensor<'_>, scales: &[f32]) -> impl Iterator<Item = usize> {
    let format = tile.format();
    let means_it = format.block.is_flat() || format.zero.is_added();
    let Shape { rows, cols, .. } = tile.shape();
    let grid = tile.grid();
    let block_of = |row: usize, col: usize| grid.block(0, row, col);
    let mut lost = vec![false; scales.len()];
    let asked = !means_it && scales.contains(&0.0);
    if let Some(codes) = asked.then(|| unscaled(tile)).flatten() {
        let mut values = decoded(&codes);
        for (row, col) in (0..rows).flat_map(|row| (0..cols).map(move |col| (row, col))) {
            let block = block_of(row, col);
            lost[block] |= values.next().is_some_and(|v| v != 0.0) && scales[block] == 0.0;
        }
    }
    (0..lost.len()).filter(move |&block| lost[block])
}
