//! A whole tensor in memory: statistics of its parts, then tiles of rows, on one thread or many.
//!
//! ```text
//! tile of rows   about 64 thousand values in whole row quanta
//! part of one    some columns of it, where blocks are tiles and the tensor has few rows of them
//! ```
//!
//! Parts and tiles are the same whatever the number of threads, each writes its own bytes, and of several errors the first in the order of the
//! tensor is reported: nothing depends on who was faster.

use core::ops::Range;

use lowbit_blocks::{Block, Format, QTensor, Shape, TensorScale, Values};
use lowbit_kernels::Kernels;

use crate::error::Error;
use crate::parallel::map;
use crate::quantizer::{Out, Quantizer};
use crate::recipe::Recipe;
use crate::rows::take;
use crate::stats::TensorStats;

/// Values of a tile, about, and of the smallest part that is observed apart.
const TILE: usize = 1 << 16;
/// The same for parts that have histograms, which take as long to merge as a tile to observe.
const COUNTED: usize = 1 << 20;
/// Parts of a matrix that are observed apart, at most: each has statistics of its own.
const PARTS: usize = 64;

/// Rows of tiles from which on they stay whole: a run of few columns costs as much beside its values as one of many.
const TILE_ROWS: usize = 4;

/// Some rows of one matrix, and where their bytes go.
struct Tile<'a> {
    matrix: usize,
    first_row: usize,
    values: Values<'a>,
    part: Part<'a>,
}

enum Part<'a> {
    Rows(Out<'a>),
    /// Some of their columns: codes row by row, scales, zero points.
    Columns(Range<usize>, Vec<&'a mut [u8]>, (&'a mut [u8], &'a mut [u8])),
}

/// Quantizes `values`; `given` replaces the tensor scales that the recipe would choose.
pub(crate) fn quantize(
    recipe: &Recipe,
    shape: Shape,
    values: Values<'_>,
    given: Option<&TensorScale>,
) -> Result<QTensor<'static>, Error> {
    recipe.check()?;
    recipe.format.check(shape)?;
    check_len(recipe, shape, values)?;
    let stats = if given.is_some() { Vec::new() } else { observe(recipe, shape, values)? };
    fill(&Quantizer::new(recipe, shape, values.dtype(), &stats, given, Kernels::best())?, values)
}

/// Whether there are as many values as the shape says.
pub(crate) fn check_len(recipe: &Recipe, shape: Shape, values: Values<'_>) -> Result<(), Error> {
    let want = shape.len().unwrap_or(usize::MAX);
    if values.len() == want {
        return Ok(());
    }
    let format = recipe.format.name();
    let (part, unit, got) = ("values", "numbers", values.len());
    Err(lowbit_blocks::Error::Length { part, unit, got, want, shape, format }.into())
}

/// The whole tensor through a quantizer that is ready.
pub(crate) fn fill(quantizer: &Quantizer, values: Values<'_>) -> Result<QTensor<'static>, Error> {
    let (format, shape) = (quantizer.recipe.format, quantizer.shape);
    let mut codes = vec![0; format.codes_len(shape)];
    let mut scales = vec![0; format.scales_len(shape)];
    let mut zeros = vec![0; format.zeros_len(shape)];
    let out = Out { codes: &mut codes, scales: &mut scales, zeros: &mut zeros };
    map(tiles(quantizer, values, out), |tile| {
        let Tile { matrix, first_row, values, part } = tile;
        match part {
            Part::Rows(out) => quantizer.quantize_rows(matrix, first_row, values, out),
            Part::Columns(columns, mut codes, blocks) => {
                quantizer.quantize_columns((matrix, first_row), values, columns, &mut codes, blocks)
            }
        }
    })?;
    let zeros = format.has_zeros().then(|| zeros.into());
    Ok(QTensor::new(format, shape, codes, scales, zeros, quantizer.tensor_scale())?)
}

/// The statistics that the recipe asks for, one for each matrix.
pub(crate) fn observe(recipe: &Recipe, shape: Shape, values: Values<'_>) -> Result<Vec<TensorStats>, Error> {
    let Some(empty) = recipe.stats() else { return Ok(Vec::new()) };
    let per_matrix = shape.rows * shape.cols;
    let least = if empty.histogram().is_some() { COUNTED } else { TILE };
    let step = per_matrix.div_ceil(PARTS).max(least);
    let parts = (0..shape.matrices).flat_map(|matrix| {
        let starts = (0..per_matrix).step_by(step);
        starts.map(move |start| (matrix, start..per_matrix.min(start + step)))
    });
    let seen = map(parts.collect(), |(matrix, part)| {
        let mut stats = empty.clone();
        let first = matrix * per_matrix;
        match stats.observe(values.slice(first + part.start..first + part.end)) {
            Err(Error::Observed { index, value }) => {
                let at = part.start + index;
                Err(Error::NonFinite { matrix, row: at / shape.cols, col: at % shape.cols, value })
            }
            observed => observed.map(|()| (matrix, stats)),
        }
    })?;
    let mut stats = vec![empty; shape.matrices];
    seen.iter().for_each(|(matrix, part)| stats[*matrix].merge(part));
    Ok(stats)
}

/// Cuts a tensor and its bytes into tiles.
fn tiles<'a>(quantizer: &Quantizer, values: Values<'a>, mut out: Out<'a>) -> Vec<Tile<'a>> {
    let (shape, format) = (quantizer.shape(), quantizer.recipe().format);
    let quantum = quantizer.row_quantum();
    let step = (TILE / shape.cols.max(1)).max(1).next_multiple_of(quantum);
    let narrow = part_columns(&format, shape);
    let mut tiles = Vec::new();
    for matrix in 0..shape.matrices {
        // A matrix without rows may still have a scale.
        let firsts = (0..shape.rows.max(1)).step_by(step);
        for first_row in firsts {
            let rows = first_row..shape.rows.min(first_row.saturating_add(step));
            let flat = |row: usize| (matrix * shape.rows + row) * shape.cols;
            let shared = format.block == Block::Tensor && first_row > 0;
            let length = |range: Range<usize>| if shared { 0 } else { range.len() };
            let mut out = Out {
                codes: take(&mut out.codes, format.codes_range(shape, matrix, rows.clone()).len()),
                scales: take(&mut out.scales, length(format.scales_range(shape, matrix, rows.clone()))),
                zeros: take(&mut out.zeros, length(format.zeros_range(shape, matrix, rows.clone()))),
            };
            let values = values.slice(flat(rows.start)..flat(rows.end));
            let mut tile = |part| tiles.push(Tile { matrix, first_row, values, part });
            let Some((wide, width)) = narrow else {
                tile(Part::Rows(out));
                continue;
            };
            let mut codes: Vec<_> = out.codes.chunks_mut(format.row_bytes(shape.cols)).collect();
            for left in (0..shape.cols).step_by(width) {
                let columns = left..shape.cols.min(left + width);
                let bytes = format.row_bytes(columns.len());
                let codes = codes.iter_mut().map(|row| take(row, bytes)).collect();
                let blocks = columns.len().div_ceil(wide);
                let scales = take(&mut out.scales, format.scale_bytes(blocks));
                let zeros = take(&mut out.zeros, format.zero_bytes(blocks));
                tile(Part::Columns(columns, codes, (scales, zeros)));
            }
        }
    }
    tiles
}

/// Columns of a tile of the format, and those of a part of a matrix with few rows of tiles; none where rows stay whole.
fn part_columns(format: &Format, shape: Shape) -> Option<(usize, usize)> {
    let Block::Tile { rows: high, cols: wide } = format.block else { return None };
    let tile_rows = shape.matrices.saturating_mul(shape.rows.div_ceil(high));
    let on_bytes = (wide % 8 * format.element.bits() as usize).is_multiple_of(8);
    if !on_bytes || !(1..TILE_ROWS).contains(&tile_rows) {
        return None;
    }
    // So wide that parts have one row of tiles each, at twice the usual number of values.
    let least = (2 * TILE / high.min(shape.rows)).max(shape.cols.div_ceil(TILE_ROWS.div_ceil(tile_rows)));
    let width = least.div_ceil(wide).saturating_mul(wide);
    (width < shape.cols).then_some((wide, width))
}
