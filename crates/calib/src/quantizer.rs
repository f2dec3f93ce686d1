//! A recipe made ready for one tensor: rows in, bytes of codes, scales and zero points out.
//!
//! ```text
//! rows ──► bands of about 8192 values (L1 and L2) ──► widen ──► amax, extremes ──► scales ──► codes
//! ```
//!
//! A band never depends on another, so the bytes depend neither on how rows are divided into calls nor on threads.

use lowbit_blocks::{Block, Dtype, Shape, TensorScale, Values, Zero};
use lowbit_kernels::{Blocks, Kernels};

use crate::band::Band;
use crate::codes::{Encoder, Quotients};
use crate::error::Error;
use crate::recipe::Recipe;
use crate::rules::{Chooser, Chosen, Extremes, Fixed, SearchBuffers, SecondLevel};
use crate::stats::TensorStats;
use crate::tensor_scale::TensorScaleRule;

/// Values of a band: 32 KB of f32, which stays in the first- or second-level cache.
const BAND: usize = 8192;

/// Buffers for the bytes of some rows: exactly as long as [`Format`](lowbit_blocks::Format)'s `codes_range`, `scales_range` and
/// `zeros_range` say.
#[derive(Debug, Default)]
pub struct Out<'a> {
    /// Codes of the rows.
    pub codes: &'a mut [u8],
    /// Scales of their blocks. `Block::Tensor` writes the scale of the matrix in every call, unless this is empty.
    pub scales: &'a mut [u8],
    /// Zero points of their blocks; like `scales`.
    pub zeros: &'a mut [u8],
}

/// Quantizes the rows of one tensor, in any order and from any number of threads.
///
/// ```
/// use lowbit_blocks::{Dtype, MXFP4, Shape};
/// use lowbit_calib::{Out, Recipe};
/// use lowbit_kernels::Kernels;
///
/// let quantizer = Recipe::new(MXFP4)?.quantizer(Shape::matrix(2, 32), Dtype::F32, &[], Kernels::best())?;
/// let second_row = [6.0f32; 32];
/// let (mut codes, mut scales) = ([0; 16], [0; 1]);
/// let out = Out { codes: &mut codes, scales: &mut scales, zeros: &mut [] };
/// quantizer.quantize_rows(0, 1, (&second_row[..]).into(), out)?;
/// assert_eq!((codes, scales), ([0x77; 16], [127])); // 6 * 2^(127 - 127)
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Quantizer {
    recipe: Recipe,
    shape: Shape,
    dtype: Dtype,
    kernels: Kernels,
    encoder: Encoder,
    matrices: Vec<Matrix>,
    tensor_scale: TensorScale,
}

/// What differs from matrix to matrix; one entry stands for all where nothing does.
#[derive(Clone, Debug)]
struct Matrix {
    chooser: Chooser,
    fixed: Option<Fixed>,
}

/// Buffers of one call.
#[derive(Default)]
struct Scratch {
    seen: Extremes,
    scales: Vec<f32>,
    zeros: Vec<f32>,
    quotients: Quotients,
    search: SearchBuffers,
}

/// Where the bytes of a band go: run r of the codes starts at `start + r * stride`.
struct BandOut<'a> {
    codes: &'a mut [u8],
    start: usize,
    stride: usize,
    scales: &'a mut [u8],
    zeros: &'a mut [u8],
}

impl Quantizer {
    pub(crate) fn new(
        recipe: &Recipe,
        shape: Shape,
        dtype: Dtype,
        stats: &[TensorStats],
        given: Option<&TensorScale>,
        kernels: Kernels,
    ) -> Result<Self, Error> {
        recipe.check()?;
        recipe.format.check(shape)?;
        let encoder = Encoder::new(recipe, dtype, kernels);
        let tensor_scale = match given {
            Some(given) => check_given(recipe, shape, given)?,
            None => choose_tensor_scales(recipe, shape, dtype, stats)?,
        };
        let levels: Vec<SecondLevel> = match &tensor_scale {
            TensorScale::None => vec![SecondLevel::None],
            TensorScale::Multiply(scales) => scales.iter().map(|&t| SecondLevel::Multiply(t)).collect(),
            TensorScale::Divide(scales) => scales.iter().map(|&t| SecondLevel::Divide(t)).collect(),
        };
        let fixed = recipe.format.block == Block::Tensor;
        let count = if fixed { shape.matrices } else { levels.len().min(shape.matrices) };
        let matrices = (0..count).map(|matrix| {
            let level = levels[if levels.len() == 1 { 0 } else { matrix }];
            let chooser = Chooser::new(recipe, dtype, level, kernels);
            let fixed = match fixed {
                true => Some(Fixed::choose(&chooser, &encoder, of_matrix(stats, matrix, shape)?)?),
                false => None,
            };
            Ok(Matrix { chooser, fixed })
        });
        let matrices = matrices.collect::<Result<_, Error>>()?;
        Ok(Self { recipe: *recipe, shape, dtype, kernels, encoder, matrices, tensor_scale })
    }

    /// The recipe.
    #[must_use]
    pub const fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The shape of the whole tensor.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// The tensor scales, one for each matrix, as they are stored.
    #[must_use]
    pub fn tensor_scale(&self) -> TensorScale {
        self.tensor_scale.clone()
    }

    /// The smallest number of rows that can be quantized on their own.
    #[must_use]
    pub fn row_quantum(&self) -> usize {
        self.recipe.format.row_quantum(self.shape.cols)
    }

    /// Quantizes rows `first_row ..` of a matrix.
    ///
    /// `values` are whole rows, a multiple of [`row_quantum`](Self::row_quantum) of them or as many as are left, and start at such a
    /// multiple; `out` has exactly their bytes.
    ///
    /// # Errors
    /// [`Error::NonFinite`] at the first NaN or infinity of the first band that has one (the bytes written so far are then of no use);
    /// [`Error::Rows`], [`Error::Length`] and [`Error::Dtype`] where the arguments do not fit.
    ///
    /// # Panics
    /// If there is no such matrix.
    pub fn quantize_rows(
        &self,
        matrix: usize,
        first_row: usize,
        values: Values<'_>,
        out: Out<'_>,
    ) -> Result<(), Error> {
        assert!(matrix < self.shape.matrices, "matrix {matrix} of {}", self.shape.matrices);
        let rows = self.check_rows(matrix, first_row, values, &out)?;
        let of_matrix = &self.matrices[if self.matrices.len() == 1 { 0 } else { matrix }];
        let mut pass = Pass { quantizer: self, of_matrix, matrix, first_row, scratch: Scratch::default() };
        match &of_matrix.fixed {
            Some(fixed) if !out.scales.is_empty() => {
                out.scales.copy_from_slice(&fixed.stored);
                out.zeros.copy_from_slice(&fixed.zero_code);
            }
            None if values.is_empty() => {
                pass.empty_blocks(out);
                return Ok(());
            }
            _ => {}
        }
        if values.is_empty() {
            return Ok(());
        }
        match self.recipe.format.block {
            Block::Tile { rows: high, cols: wide } => pass.tiles(high, wide, values, out),
            _ => pass.streams(rows, values, out),
        }
    }

    fn check_rows(
        &self,
        matrix: usize,
        first_row: usize,
        values: Values<'_>,
        out: &Out<'_>,
    ) -> Result<usize, Error> {
        let Shape { rows, cols, .. } = self.shape;
        let format = &self.recipe.format;
        if values.dtype() != self.dtype {
            return Err(Error::Dtype { got: values.dtype(), want: self.dtype });
        }
        let quantum = self.row_quantum();
        // A matrix without columns is all of its rows at once.
        let count = values.len().checked_div(cols).unwrap_or_else(|| rows.saturating_sub(first_row));
        let end = first_row.saturating_add(count);
        let whole = count * cols == values.len() && first_row.is_multiple_of(quantum) && end <= rows;
        if !whole || !(end.is_multiple_of(quantum) || end == rows) {
            return Err(Error::Rows { values: values.len(), first_row, quantum, rows, cols });
        }
        let range = first_row..end;
        let lengths = [
            ("codes", out.codes.len(), format.codes_range(self.shape, matrix, range.clone()).len()),
            ("scales", out.scales.len(), format.scales_range(self.shape, matrix, range.clone()).len()),
            ("zeros", out.zeros.len(), format.zeros_range(self.shape, matrix, range).len()),
        ];
        for (part, got, want) in lengths {
            let left_out =
                format.block == Block::Tensor && part != "codes" && got == 0 && out.scales.is_empty();
            if got != want && !left_out {
                return Err(Error::Length { part, got, want });
            }
        }
        Ok(count)
    }
}

/// One call of `quantize_rows`.
struct Pass<'a> {
    quantizer: &'a Quantizer,
    of_matrix: &'a Matrix,
    matrix: usize,
    first_row: usize,
    scratch: Scratch,
}

impl Pass<'_> {
    /// Blocks along the rows, or along the flat matrix.
    fn streams(&mut self, rows: usize, values: Values<'_>, out: Out<'_>) -> Result<(), Error> {
        let format = self.quantizer.recipe.format;
        let bits = format.element.bits() as usize;
        let cols = self.quantizer.shape.cols;
        // Rows without padding between them are one stream.
        let dense = matches!(format.block, Block::Flat(_)) || (cols * bits).is_multiple_of(8);
        let stream = if dense { rows * cols } else { cols };
        let len = match format.block {
            Block::Channel => cols,
            Block::Group(len) | Block::Flat(len) => len,
            _ => BAND.min(stream),
        };
        let bytes = if (len * bits).is_multiple_of(8) { 1 } else { 8 };
        let step = len * (BAND / len).max(1).next_multiple_of(bytes);
        let row_bytes = format.row_bytes(cols);
        let fixed = self.of_matrix.fixed.is_some();
        let (mut scales, mut zeros) =
            if fixed { (&mut [][..], &mut [][..]) } else { (out.scales, out.zeros) };
        let mut buffer = vec![0.0; step.min(stream)];
        for (index, first) in (0..values.len()).step_by(stream).enumerate() {
            for start in (first..first + stream).step_by(step) {
                let chunk = values.slice(start..(start + step).min(first + stream));
                let chunk = chunk.widened(&mut buffer);
                let band =
                    Band { values: chunk, width: chunk.len(), len: if fixed { chunk.len() } else { len } };
                let blocks = if fixed { 0 } else { band.blocks() };
                let out = BandOut {
                    codes: out.codes,
                    start: index * row_bytes + (start - first) * bits / 8,
                    stride: 0,
                    scales: take(&mut scales, blocks * format.scale.bytes()),
                    zeros: take(&mut zeros, blocks * format.zero_bytes()),
                };
                self.band(&band, out, |at| ((start + at) / cols, (start + at) % cols))?;
            }
        }
        Ok(())
    }

    /// Blocks of several rows: strips of whole tiles, gathered so that they are read twice from cache and once from memory.
    fn tiles(&mut self, high: usize, wide: usize, values: Values<'_>, out: Out<'_>) -> Result<(), Error> {
        let format = self.quantizer.recipe.format;
        let bits = format.element.bits() as usize;
        let cols = self.quantizer.shape.cols;
        let (row_bytes, tiles_across) = (format.row_bytes(cols), cols.div_ceil(wide));
        let rows = values.len() / cols;
        let mut buffer = Vec::new();
        for (tile_row, top) in (0..rows).step_by(high).enumerate() {
            let height = high.min(rows - top);
            let tiles = (BAND / (wide * height)).max(1);
            // Strips start on a byte, or there is only one.
            let strip = if (wide * bits).is_multiple_of(8) { wide.saturating_mul(tiles) } else { cols };
            for left in (0..cols).step_by(strip) {
                let width = strip.min(cols - left);
                buffer.resize(height * width, 0.0);
                for (row, run) in buffer.chunks_exact_mut(width).enumerate() {
                    let start = (top + row) * cols + left;
                    values.widen_into(start..start + width, run);
                }
                let band = Band { values: &buffer, width, len: wide };
                let first = tile_row * tiles_across + left / wide;
                let bytes = |size: usize| first * size..(first + band.blocks()) * size;
                let out = BandOut {
                    codes: out.codes,
                    start: top * row_bytes + left * bits / 8,
                    stride: row_bytes,
                    scales: &mut out.scales[bytes(format.scale.bytes())],
                    zeros: &mut out.zeros[bytes(format.zero_bytes())],
                };
                self.band(&band, out, |at| (top + at / width, left + at % width))?;
            }
        }
        Ok(())
    }

    /// Chooses the scales of a band and encodes it. `place` says which row and column of the call a value of the band is.
    fn band(
        &mut self,
        band: &Band<'_>,
        out: BandOut<'_>,
        place: impl Fn(usize) -> (usize, usize),
    ) -> Result<(), Error> {
        let Quantizer { kernels, encoder, .. } = self.quantizer;
        let Matrix { chooser, fixed } = self.of_matrix;
        let Scratch { seen, scales, zeros, quotients, search } = &mut self.scratch;
        band.absmax(*kernels, &mut seen.amax);
        if !seen.amax.iter().all(|amax| amax.is_finite())
            && let Some(at) = kernels.first_non_finite(band.values)
        {
            let (row, col) = place(at);
            return Err(Error::NonFinite {
                matrix: self.matrix,
                row: self.first_row + row,
                col,
                value: band.values[at],
            });
        }
        let (scales, zeros) = match fixed {
            Some(fixed) => (&fixed.scale[..], &fixed.zero[..]),
            None => {
                scales.resize(band.blocks(), 0.0);
                zeros.resize(out.zeros.len(), 0.0);
                chooser.look(band, seen);
                let mut chosen = Chosen { stored: out.scales, scales, zero_codes: out.zeros, zeros };
                chooser.choose(seen, &mut chosen);
                chooser.raise_short_block(band, &mut chosen);
                if chooser.candidates() > 0 {
                    chooser.search(encoder, band, None, seen, &mut chosen, search);
                }
                (&scales[..], &zeros[..])
            }
        };
        let zeros = (!zeros.is_empty()).then_some(zeros);
        let run_bytes = band.run_bytes(encoder.element);
        for (run, values) in band.runs().enumerate() {
            let start = out.start + run * out.stride;
            let codes = &mut out.codes[start..start + run_bytes];
            encoder.encode(values, Blocks { len: band.len, scales, zeros }, codes, quotients);
        }
        Ok(())
    }

    /// The scales of blocks that hold no value, in a matrix without columns.
    fn empty_blocks(&mut self, out: Out<'_>) {
        let format = &self.quantizer.recipe.format;
        let blocks = out.scales.len() / format.scale.bytes();
        let zeros = if format.zero == Zero::Int { blocks } else { 0 };
        let (mut scales, mut zero_values) = (vec![0.0; blocks], vec![0.0; zeros]);
        let chosen = Chosen {
            stored: out.scales,
            scales: &mut scales,
            zero_codes: out.zeros,
            zeros: &mut zero_values,
        };
        self.of_matrix.chooser.choose(&Extremes::zeros(blocks), &mut { chosen });
    }
}

/// Splits the first `n` bytes off.
fn take<'a>(bytes: &mut &'a mut [u8], n: usize) -> &'a mut [u8] {
    let (taken, rest) = core::mem::take(bytes).split_at_mut(n);
    *bytes = rest;
    taken
}

/// The statistics of a matrix: its own, or the one for all.
fn of_matrix(stats: &[TensorStats], matrix: usize, shape: Shape) -> Result<&TensorStats, Error> {
    match stats {
        [all] => Ok(all),
        _ if stats.len() == shape.matrices => Ok(&stats[matrix]),
        _ => Err(Error::Stats { got: stats.len(), want: shape.matrices, shape }),
    }
}

fn choose_tensor_scales(
    recipe: &Recipe,
    shape: Shape,
    dtype: Dtype,
    stats: &[TensorStats],
) -> Result<TensorScale, Error> {
    if recipe.tensor_scale == TensorScaleRule::None {
        return Ok(TensorScale::None);
    }
    let d = recipe.scale_arithmetic.dtype(dtype);
    let scales = (0..shape.matrices).map(|matrix| {
        let amax = of_matrix(stats, matrix, shape)?.amax();
        Ok(recipe.tensor_scale.choose(recipe.format.element, amax, d))
    });
    Ok(recipe.tensor_scale.tag(scales.collect::<Result<_, Error>>()?))
}

fn check_given(recipe: &Recipe, shape: Shape, given: &TensorScale) -> Result<TensorScale, Error> {
    let same_direction = matches!(
        (recipe.tensor_scale, given),
        (TensorScaleRule::None, TensorScale::None)
            | (TensorScaleRule::Multiply { .. }, TensorScale::Multiply(_))
            | (TensorScaleRule::Divide { .. }, TensorScale::Divide(_))
    );
    let want = if recipe.format.tensor_scale { shape.matrices } else { 0 };
    if !same_direction || given.stored().len() != want {
        return Err(Error::Stats { got: given.stored().len(), want, shape });
    }
    match given.stored().iter().find(|scale| !(scale.is_finite() && **scale > 0.0)) {
        Some(&value) => Err(Error::TensorScale { value }),
        None => Ok(given.clone()),
    }
}
