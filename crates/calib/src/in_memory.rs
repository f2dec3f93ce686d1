//! Quantization of a whole tensor in memory: statistics of its parts, then its pieces, on one
//! thread or many.
//!
//! ```text
//! piece   about 64 thousand values: whole rows, in row quanta
//!         some columns of a row of tiles, if the tensor has few rows of tiles
//! ```
//!
//! Parts and pieces do not depend on the number of threads, and each piece has its own output
//! bytes. Of several errors, the first in the order of the tensor is reported. So results do not
//! depend on timing.

use core::ops::Range;

use lowbit_blocks::grid::Grid;
use lowbit_blocks::{Block, QTensor, Shape, TensorScale, Values};
use lowbit_kernels::Kernels;

use crate::error::Error;
use crate::parallel::map;
use crate::quantizer::Quantizer;
use crate::recipe::Recipe;
use crate::rows::Out;
use crate::rules::ChooseScale;
use crate::stats::TensorStats;

/// The approximate number of values of a piece, and the least number of a part with statistics of
/// its own.
const PIECE: usize = 1 << 16;
/// The same for parts with histograms, which take as long to merge as a piece takes to observe.
const COUNTED: usize = 1 << 20;
/// The largest number of parts of a matrix, each with statistics of its own.
const PARTS: usize = 64;

/// From this many rows of tiles on, rows stay whole, since the overhead of a run does not depend on
/// its length.
const TILE_ROWS: usize = 4;

/// A piece of a tensor, and the buffers of its bytes.
struct Piece<'a> {
    matrix: usize,
    rows: Range<usize>,
    /// The values of whole rows.
    values: Values<'a>,
    out: PieceOut<'a>,
}

enum PieceOut<'a> {
    Rows(Out<'a>),
    /// Some columns of one row of tiles: code buffers of each row, then scales and zero points.
    Columns(Range<usize>, Vec<&'a mut [u8]>, (&'a mut [u8], &'a mut [u8])),
}

impl Recipe {
    /// Quantizes a whole tensor in memory: statistics, then pieces of rows, with the code that
    /// streaming uses. With the feature `rayon`, threads share the pieces; the bytes are the same.
    ///
    /// # Errors
    /// [`Error::NonFinite`] at the first NaN or infinity; [`Error::Blocks`] if shape, format and
    /// values do not fit.
    pub fn quantize<'x>(
        &self,
        shape: Shape,
        values: impl Into<Values<'x>>,
    ) -> Result<QTensor<'static>, Error> {
        quantize(self, shape, values.into(), None)
    }

    /// Quantizes like [`quantize`](Self::quantize), with block scales from a custom rule:
    /// [`ChooseScale`].
    ///
    /// # Errors
    /// As [`quantize`](Self::quantize) and [`Quantizer::with_scale_choice`].
    pub fn quantize_with<'x>(
        &self,
        shape: Shape,
        values: impl Into<Values<'x>>,
        rule: impl ChooseScale + 'static,
    ) -> Result<QTensor<'static>, Error> {
        let values = values.into();
        let quantizer = ready(self, shape, values, None)?.with_scale_choice(rule)?;
        fill(&quantizer, values)
    }
}

impl Quantizer {
    /// Quantizes the whole tensor in memory.
    ///
    /// # Errors
    /// As [`quantize_rows`](Self::quantize_rows); [`Error::Blocks`] if the number of values is not
    /// that of the shape.
    pub fn quantize<'x>(&self, values: impl Into<Values<'x>>) -> Result<QTensor<'static>, Error> {
        let values = values.into();
        check_len(self.recipe(), self.shape(), values)?;
        fill(self, values)
    }
}

/// Quantizes `values`. `given` replaces the tensor scales that the recipe would choose.
pub(crate) fn quantize(
    recipe: &Recipe,
    shape: Shape,
    values: Values<'_>,
    given: Option<&TensorScale>,
) -> Result<QTensor<'static>, Error> {
    fill(&ready(recipe, shape, values, given)?, values)
}

/// A quantizer of these values, with their statistics if the recipe needs them.
fn ready(
    recipe: &Recipe,
    shape: Shape,
    values: Values<'_>,
    given: Option<&TensorScale>,
) -> Result<Quantizer, Error> {
    recipe.check()?;
    recipe.format.check(shape)?;
    check_len(recipe, shape, values)?;
    let stats = if given.is_some() { Vec::new() } else { observe(recipe, shape, values)? };
    Quantizer::new(recipe, shape, values.dtype(), &stats, given, Kernels::best())
}

/// Checks that the number of values is that of the shape.
pub(crate) fn check_len(recipe: &Recipe, shape: Shape, values: Values<'_>) -> Result<(), Error> {
    let want = shape.len().unwrap_or(usize::MAX);
    if values.len() == want {
        return Ok(());
    }
    let format = recipe.format.name();
    let (part, unit, got) = ("values", "numbers", values.len());
    Err(lowbit_blocks::Error::Length { part, unit, got, want, shape, format }.into())
}

/// Quantizes the whole tensor with a prepared quantizer.
pub(crate) fn fill(quantizer: &Quantizer, values: Values<'_>) -> Result<QTensor<'static>, Error> {
    let (format, shape) = (quantizer.recipe().format, quantizer.shape());
    let mut codes = vec![0; format.codes_len(shape)];
    let mut scales = vec![0; format.scales_len(shape)];
    let mut zeros = vec![0; format.zeros_len(shape)];
    let out = Out { codes: &mut codes, scales: &mut scales, zeros: &mut zeros };
    map(pieces(quantizer, values, out), |Piece { matrix, rows, values, out }| match out {
        PieceOut::Rows(out) => quantizer.quantize_rows(matrix, rows.start, values, out),
        PieceOut::Columns(columns, mut codes, blocks) => {
            quantizer.rows_of(matrix).tiles(rows, values, columns, &mut codes, blocks)
        }
    })?;
    let zeros = format.has_zeros().then(|| zeros.into());
    Ok(QTensor::new(format, shape, codes, scales, zeros, quantizer.tensor_scale())?)
}

/// The statistics that the recipe needs, one for each matrix.
pub(crate) fn observe(recipe: &Recipe, shape: Shape, values: Values<'_>) -> Result<Vec<TensorStats>, Error> {
    let Some(empty) = recipe.stats() else { return Ok(Vec::new()) };
    let per_matrix = shape.rows * shape.cols;
    let least = if empty.histogram().is_some() { COUNTED } else { PIECE };
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

/// Cuts a tensor and its bytes into pieces.
fn pieces<'a>(quantizer: &Quantizer, values: Values<'a>, mut out: Out<'a>) -> Vec<Piece<'a>> {
    let (shape, grid) = (quantizer.shape(), quantizer.grid());
    let format = grid.format();
    let step = grid.rows_holding(PIECE);
    let narrow = piece_columns(grid);
    let mut pieces = Vec::new();
    for matrix in 0..shape.matrices {
        // A matrix without rows may have a scale all the same.
        for first in (0..shape.rows.max(1)).step_by(step) {
            let rows = first..shape.rows.min(first.saturating_add(step));
            let flat = |row: usize| (matrix * shape.rows + row) * shape.cols;
            // If all rows of a matrix share a block, its first piece writes the scale.
            let shared = format.block == Block::Tensor && first > 0;
            let length = |range: Range<usize>| if shared { 0 } else { range.len() };
            let mut out = Out {
                codes: take(&mut out.codes, format.codes_range(shape, matrix, rows.clone()).len()),
                scales: take(&mut out.scales, length(format.scales_range(shape, matrix, rows.clone()))),
                zeros: take(&mut out.zeros, length(format.zeros_range(shape, matrix, rows.clone()))),
            };
            let values = values.slice(flat(rows.start)..flat(rows.end));
            let mut piece = |out| pieces.push(Piece { matrix, rows: rows.clone(), values, out });
            let Some((wide, width)) = narrow else {
                piece(PieceOut::Rows(out));
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
                piece(PieceOut::Columns(columns, codes, (scales, zeros)));
            }
        }
    }
    pieces
}

/// The columns of a tile, and the columns of a piece of a matrix with few rows of tiles; `None` if
/// rows stay whole.
fn piece_columns(grid: &Grid) -> Option<(usize, usize)> {
    let ((high, wide), shape) = (grid.tiles()?, grid.shape());
    let tile_rows = shape.matrices.saturating_mul(shape.rows.div_ceil(high));
    let on_bytes = (wide % 8 * grid.format().element.bits() as usize).is_multiple_of(8);
    if !on_bytes || !(1..TILE_ROWS).contains(&tile_rows) {
        return None;
    }
    // Wide enough for pieces of one row of tiles each, at twice the usual number of values.
    let least = (2 * PIECE / high.min(shape.rows)).max(shape.cols.div_ceil(TILE_ROWS.div_ceil(tile_rows)));
    let width = least.div_ceil(wide).saturating_mul(wide);
    (width < shape.cols).then_some((wide, width))
}

/// Splits off the first `n` bytes.
fn take<'a>(bytes: &mut &'a mut [u8], n: usize) -> &'a mut [u8] {
    let (taken, rest) = core::mem::take(bytes).split_at_mut(n);
    *bytes = rest;
    taken
}
