//! A whole tensor in memory: statistics of its parts, then tiles of rows, on one thread or many.
//!
//! Parts and tiles are the same whatever the number of threads, each writes its own bytes, and of several errors the first in the order of the
//! tensor is reported: nothing depends on who was faster.

use lowbit_blocks::{Block, QTensor, Shape, TensorScale, Values};
use lowbit_kernels::Kernels;

use crate::error::Error;
use crate::parallel::map;
use crate::pass::take;
use crate::quantizer::{Out, Quantizer};
use crate::recipe::Recipe;
use crate::stats::TensorStats;

/// Values of a tile, about, and of the smallest part that is observed apart.
const TILE: usize = 1 << 16;
/// The same for parts that have histograms, which take as long to merge as a tile to observe.
const COUNTED: usize = 1 << 20;
/// Parts of a matrix that are observed apart, at most: each has statistics of its own.
const PARTS: usize = 64;

/// Some rows of one matrix, and where their bytes go.
struct Tile<'a> {
    matrix: usize,
    first_row: usize,
    values: Values<'a>,
    out: Out<'a>,
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
        quantizer.quantize_rows(tile.matrix, tile.first_row, tile.values, tile.out)
    })?;
    let zeros = (format.zero_bytes() > 0).then(|| zeros.into());
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
    let mut tiles = Vec::new();
    for matrix in 0..shape.matrices {
        // A matrix without rows may still have a scale.
        let firsts = (0..shape.rows.max(1)).step_by(step);
        for first_row in firsts {
            let rows = first_row..shape.rows.min(first_row.saturating_add(step));
            let flat = |row: usize| (matrix * shape.rows + row) * shape.cols;
            let shared = format.block == Block::Tensor && first_row > 0;
            let length = |range: core::ops::Range<usize>| if shared { 0 } else { range.len() };
            let tile = Out {
                codes: take(&mut out.codes, format.codes_range(shape, matrix, rows.clone()).len()),
                scales: take(&mut out.scales, length(format.scales_range(shape, matrix, rows.clone()))),
                zeros: take(&mut out.zeros, length(format.zeros_range(shape, matrix, rows.clone()))),
            };
            tiles.push(Tile {
                matrix,
                first_row,
                values: values.slice(flat(rows.start)..flat(rows.end)),
                out: tile,
            });
        }
    }
    tiles
}
