//! A recipe prepared for one tensor: quantizes rows to bytes of codes, scales and zero points.
//!
//! ```text
//! rows ──► chunks of about 4096 values (L1 and L2) ──► widen ──► amax, extremes ──► scales ──► codes
//! ```
//!
//! No chunk depends on another, so the bytes depend neither on the division of rows into calls nor
//! on threads.

use core::ops::Range;
use std::sync::Arc;

use lowbit_blocks::grid::Grid;
use lowbit_blocks::{Block, Dtype, Outer, Shape, TensorScale, Values};
use lowbit_kernels::Kernels;

use crate::encoder::Encoder;
use crate::error::Error;
use crate::importance::{Importance, Weighting};
use crate::recipe::Recipe;
use crate::rows::{MatrixScales, Out, RowQuantizer};
use crate::rules::{ChooseScale, Chooser, Custom, Fixed, SecondLevel};
use crate::stats::TensorStats;
use crate::tensor_scale::TensorScaleRule;

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
/// quantizer.quantize_rows(0, 1, &second_row, out)?;
/// assert_eq!((codes, scales), ([0x77; 16], [127])); // 6 * 2^(127 - 127)
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Quantizer {
    recipe: Recipe,
    grid: Grid,
    dtype: Dtype,
    kernels: Kernels,
    encoder: Encoder,
    /// A single entry, if all matrices have the same.
    matrices: Vec<MatrixScales>,
    tensor_scale: TensorScale,
    weighting: Option<Arc<Weighting>>,
}

impl Recipe {
    /// A quantizer of tensors of this shape and type.
    ///
    /// `stats` are one for all matrices or one per matrix, if [`stats`](Self::stats) is `Some`;
    /// otherwise they are ignored. Matrices of different tensors that share a scale get the merged
    /// statistics.
    ///
    /// # Errors
    /// [`Error::Blocks`] if the shape does not fit the format; [`Error::Stats`] or
    /// [`Error::Histogram`] if statistics are missing; errors of [`check`](Self::check).
    pub fn quantizer(
        &self,
        shape: Shape,
        dtype: Dtype,
        stats: &[TensorStats],
        kernels: Kernels,
    ) -> Result<Quantizer, Error> {
        Quantizer::new(self, shape, dtype, stats, None, kernels)
    }

    /// A quantizer with given tensor scales, for activations with a calibrated scale.
    ///
    /// # Errors
    /// As [`quantizer`](Self::quantizer); [`Error::TensorScale`] if a scale is not a positive
    /// finite number; [`Error::Stats`] if their number or direction is not that of the recipe.
    pub fn quantizer_with_tensor_scale(
        &self,
        shape: Shape,
        dtype: Dtype,
        tensor_scale: &TensorScale,
        kernels: Kernels,
    ) -> Result<Quantizer, Error> {
        Quantizer::new(self, shape, dtype, &[], Some(tensor_scale), kernels)
    }
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
        let grid = recipe.format.grid(shape)?;
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
                true => Some(Fixed::choose(&chooser, &encoder, stats_of(stats, matrix, shape)?)?),
                false => None,
            };
            Ok(MatrixScales { chooser, fixed })
        });
        let matrices = matrices.collect::<Result<_, Error>>()?;
        Ok(Self { recipe: *recipe, grid, dtype, kernels, encoder, matrices, tensor_scale, weighting: None })
    }

    /// The same quantizer, with errors weighted by importance in scale searches.
    ///
    /// It has no effect on rules that do not search, nor on the one scale of a whole matrix, which
    /// is searched in a histogram.
    ///
    /// # Errors
    /// [`Error::Channels`] if the importance has another number of columns; [`Error::Weight`] if a
    /// weight is negative or not finite.
    pub fn with_importance(self, importance: Importance<'_>) -> Result<Self, Error> {
        let weighting = Weighting::new(importance, &self.recipe.format, self.shape().cols)?;
        Ok(Self { weighting: weighting.map(Arc::new), ..self })
    }

    /// The same quantizer, with block scales from a custom rule, which is given the scale of the
    /// recipe.
    ///
    /// ```
    /// use lowbit_blocks::{Dtype, MXFP4, Shape};
    /// use lowbit_calib::{Out, Recipe};
    /// use lowbit_kernels::Kernels;
    /// let finer = |_: &[f32], proposed: f32| proposed / 2.0;
    /// let quantizer = Recipe::new(MXFP4)?.quantizer(Shape::matrix(1, 32), Dtype::F32, &[], Kernels::best())?;
    /// let quantizer = quantizer.with_scale_choice(finer)?;
    /// let (mut codes, mut scales) = ([0; 16], [0; 1]);
    /// let out = Out { codes: &mut codes, scales: &mut scales, zeros: &mut [] };
    /// quantizer.quantize_rows(0, 0, &[1.5f32; 32], out)?;
    /// assert_eq!(scales, [124]); // 1.5 takes 2^-2 (125): 6 * 1/4; half of it is 124
    /// # Ok::<(), lowbit_calib::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Recipe`] if blocks have zero points, if a matrix has only one scale, or if scales
    /// are quantized themselves.
    pub fn with_scale_choice(mut self, rule: impl ChooseScale + 'static) -> Result<Self, Error> {
        let format = &self.recipe.format;
        let outer_in_blocks = format.scale.outer != Outer::matrix(format.has_tensor_scale());
        if format.has_zeros() || format.block == Block::Tensor || outer_in_blocks {
            let reason =
                "a scale rule of one's own goes with blocks that have a scale each, and nothing else";
            return Err(Error::Recipe { format: format.name(), reason });
        }
        let custom = Custom(Arc::new(rule));
        self.matrices.iter_mut().for_each(|matrix| matrix.chooser.set_custom(custom.clone()));
        Ok(self)
    }

    /// The recipe.
    #[must_use]
    pub const fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The shape of the whole tensor.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.grid.shape()
    }

    /// The grid: the positions of the tensor's values, blocks and bytes.
    #[must_use]
    pub const fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The tensor scales as they are stored, one for each matrix.
    #[must_use]
    pub fn tensor_scale(&self) -> TensorScale {
        self.tensor_scale.clone()
    }

    /// The smallest number of rows that can be quantized on their own.
    #[must_use]
    pub fn row_quantum(&self) -> usize {
        self.grid.row_quantum()
    }

    /// Quantizes rows `first_row ..` of a matrix.
    ///
    /// `values` are whole rows. Both `first_row` and their number are multiples of
    /// [`row_quantum`](Self::row_quantum); the last rows of the matrix may be fewer. `out` has the
    /// exact size of their bytes.
    ///
    /// # Errors
    /// [`Error::NonFinite`] at the first NaN or infinity of the first chunk that has one (bytes
    /// written so far are then invalid); [`Error::Rows`], [`Error::Length`] and [`Error::Dtype`] if
    /// the arguments do not fit.
    ///
    /// # Panics
    /// If there is no such matrix.
    pub fn quantize_rows<'x>(
        &self,
        matrix: usize,
        first_row: usize,
        values: impl Into<Values<'x>>,
        out: Out<'_>,
    ) -> Result<(), Error> {
        let values = values.into();
        assert!(matrix < self.shape().matrices, "matrix {matrix} of {}", self.shape().matrices);
        let rows = self.check_rows(matrix, first_row, values, &out)?;
        let fixed = &self.of_matrix(matrix).fixed;
        let mut quantizer = self.rows_of(matrix);
        match fixed {
            Some(fixed) if !out.scales.is_empty() => {
                out.scales.copy_from_slice(&fixed.stored);
                out.zeros.copy_from_slice(&fixed.zero_code);
            }
            None if values.is_empty() => {
                quantizer.empty_blocks(out);
                return Ok(());
            }
            _ => {}
        }
        if values.is_empty() {
            return Ok(());
        }
        if self.grid.tiles().is_none() {
            return quantizer.runs(rows, values, out);
        }
        let cols = self.shape().cols;
        let mut codes: Vec<_> = out.codes.chunks_mut(self.recipe.format.row_bytes(cols)).collect();
        quantizer.tiles(rows, values, 0..cols, &mut codes, (out.scales, out.zeros))
    }

    /// The row quantizer of one matrix.
    pub(crate) fn rows_of(&self, matrix: usize) -> RowQuantizer<'_> {
        let weighting = self.weighting.as_deref();
        RowQuantizer::new(
            &self.grid,
            self.kernels,
            &self.encoder,
            weighting,
            (matrix, self.of_matrix(matrix)),
        )
    }

    fn of_matrix(&self, matrix: usize) -> &MatrixScales {
        &self.matrices[if self.matrices.len() == 1 { 0 } else { matrix }]
    }

    fn check_rows(
        &self,
        matrix: usize,
        first_row: usize,
        values: Values<'_>,
        out: &Out<'_>,
    ) -> Result<Range<usize>, Error> {
        let shape = self.shape();
        let Shape { rows, cols, .. } = shape;
        let format = &self.recipe.format;
        if values.dtype() != self.dtype {
            return Err(Error::Dtype { got: values.dtype(), want: self.dtype });
        }
        let quantum = self.row_quantum();
        // Without columns, a call covers all rows of the matrix.
        let count = values.len().checked_div(cols).unwrap_or_else(|| rows.saturating_sub(first_row));
        let end = first_row.saturating_add(count);
        let whole = count * cols == values.len() && first_row.is_multiple_of(quantum) && end <= rows;
        if !whole || !(end.is_multiple_of(quantum) || end == rows) {
            return Err(Error::Rows { values: values.len(), first_row, quantum, rows, cols });
        }
        let range = first_row..end;
        let lengths = [
            ("codes", out.codes.len(), format.codes_range(shape, matrix, range.clone()).len()),
            ("scales", out.scales.len(), format.scales_range(shape, matrix, range.clone()).len()),
            ("zeros", out.zeros.len(), format.zeros_range(shape, matrix, range.clone()).len()),
        ];
        for (part, got, want) in lengths {
            let left_out =
                format.block == Block::Tensor && part != "codes" && got == 0 && out.scales.is_empty();
            if got != want && !left_out {
                return Err(Error::Length { part, got, want });
            }
        }
        Ok(range)
    }
}

/// The statistics of a matrix: its own, or those shared by all.
fn stats_of(stats: &[TensorStats], matrix: usize, shape: Shape) -> Result<&TensorStats, Error> {
    let stats = match stats {
        [all] => all,
        _ if stats.len() == shape.matrices => &stats[matrix],
        _ => return Err(Error::Stats { got: stats.len(), want: shape.matrices, shape }),
    };
    // Observed values are finite; `TensorStats::from_amax` takes any number.
    match stats.range() {
        (lo, hi) if lo.is_finite() && hi.is_finite() && lo <= 0.0 && hi >= 0.0 => Ok(stats),
        (_, value) => Err(Error::Amax { value }),
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
    if let TensorScaleRule::Fixed { factor } = recipe.tensor_scale {
        return Ok(TensorScale::Multiply(vec![factor; shape.matrices]));
    }
    let d = recipe.scale_arithmetic.dtype(dtype);
    let scales = (0..shape.matrices).map(|matrix| {
        let amax = stats_of(stats, matrix, shape)?.amax();
        Ok(recipe.tensor_scale.choose(recipe.format.element, amax, d))
    });
    Ok(recipe.tensor_scale.tag(scales.collect::<Result<_, Error>>()?))
}

fn check_given(recipe: &Recipe, shape: Shape, given: &TensorScale) -> Result<TensorScale, Error> {
    let same_direction = matches!(
        (recipe.tensor_scale, given),
        (TensorScaleRule::None, TensorScale::None)
            | (TensorScaleRule::Multiply { .. } | TensorScaleRule::Fixed { .. }, TensorScale::Multiply(_))
            | (TensorScaleRule::Divide { .. }, TensorScale::Divide(_))
    );
    let want = if recipe.format.has_tensor_scale() { shape.matrices } else { 0 };
    if !same_direction || given.stored().len() != want {
        return Err(Error::Stats { got: given.stored().len(), want, shape });
    }
    match given.stored().iter().find(|scale| !(scale.is_finite() && **scale > 0.0)) {
        Some(&value) => Err(Error::TensorScale { value }),
        None => Ok(given.clone()),
    }
}
