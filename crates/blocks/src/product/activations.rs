//! Activations: columns that are quantized once and multiplied with any number of weights.

use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};

use lowbit_kernels::{Blocks, Element, Kernels, Prepared, Values as Columns};

use super::rows::{RowGrid, RowScales};
use crate::error::Error;
use crate::format::Zero;
use crate::tensor::QTensor;
use crate::values::Values;

/// Bytes of a cache line.
const LINE: usize = 64;

/// The block size of activations that are quantized on the fly, as in ggml's Q8_0.
const INT8_BLOCK: usize = 32;

/// Activations in the layout of products. They are prepared once for all linears with the same
/// input (q, k and v; gate and up).
///
/// The buffers are reused: one value serves a whole model, layer after layer, without further
/// allocation.
///
/// ```
/// use lowbit_blocks::{Activations, INT8, QTensor, Shape, TensorScale};
/// let scale = 0.5f32.to_le_bytes().to_vec();
/// let weight = QTensor::new(INT8, Shape::matrix(1, 3), vec![10, 20, 254], scale, None, TensorScale::None)?;
/// let mut activations = Activations::new();
/// // One column. The largest magnitude is 254: scale 254 / 127 = 2, and codes 127, -2 (a tie, to even) and 5.
/// activations.set_int8(&[254.0f32, -5.0, 10.0], 1)?;
/// let mut y = [0.0];
/// weight.matmul_quantized(&activations, &mut y)?;
/// assert_eq!(y, [1220.0]); // 10 * 127 + 20 * -2 + -2 * 5 = 1220, times 0.5, times 2
/// # Ok::<(), lowbit_blocks::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Activations {
    columns: usize,
    cols: usize,
    form: Form,
    /// The number of values that share a scale.
    block: usize,
    codes: OnLine<i8>,
    sums: Vec<i32>,
    scales: Vec<f32>,
    values: OnLine<f32>,
    stored: Vec<u8>,
    wide: Vec<f32>,
    row_scales: RowScales,
}

/// A buffer that is aligned to a cache line, since vectors that cross two lines take twice as long
/// to load. A clone may be aligned differently.
#[derive(Clone, Debug, Default)]
struct OnLine<T> {
    buffer: Vec<T>,
    first: usize,
    len: usize,
}

impl<T: Copy + Default> OnLine<T> {
    fn resize(&mut self, len: usize) {
        let line = LINE / size_of::<T>();
        self.buffer.resize(len + line, T::default());
        (self.first, self.len) = (self.buffer.as_ptr().align_offset(LINE).min(line), len);
    }
}

impl<T> Deref for OnLine<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.buffer[self.first..][..self.len]
    }
}

impl<T> DerefMut for OnLine<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.buffer[self.first..][..self.len]
    }
}

/// The contents of the buffers.
#[derive(Clone, Copy, Debug, Default)]
enum Form {
    /// Integer multiples of `step` in `codes`, with scales. The numbers are also in `values`, for
    /// weights that are not multiples of a step.
    Int { step: f32 },
    /// Unscaled numbers in `values`, with scales.
    Float,
    /// Dequantized numbers in `values`.
    #[default]
    Restored,
}

impl Activations {
    /// Activations without columns.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of columns, one for each token.
    #[must_use]
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// The number of values of a column: columns of the weights.
    #[must_use]
    pub const fn cols(&self) -> usize {
        self.cols
    }

    /// Quantizes `columns` columns, concatenated in `x`, to int8 with an f32 scale per 32 values:
    /// [`Kernels::quantize_int8`].
    ///
    /// Infinities and NaN are not checked; they make the results of their column NaN.
    ///
    /// # Errors
    /// [`Error::Columns`] if `x` does not divide into `columns`.
    pub fn set_int8<'x>(&mut self, x: impl Into<Values<'x>>, columns: usize) -> Result<(), Error> {
        self.set_int8_with(Kernels::best(), x, columns)
    }

    /// [`set_int8`](Self::set_int8) with the kernels of one SIMD level. All levels give the same
    /// bits.
    ///
    /// # Errors
    /// As [`set_int8`](Self::set_int8).
    pub fn set_int8_with<'x>(
        &mut self,
        kernels: Kernels,
        x: impl Into<Values<'x>>,
        columns: usize,
    ) -> Result<(), Error> {
        let x = x.into();
        let got = x.len();
        let cols = got.checked_div(columns).unwrap_or(0);
        if cols * columns != got {
            return Err(Error::Columns { got, columns });
        }
        self.start(columns, cols, Form::Int { step: 1.0 }, INT8_BLOCK);
        let blocks = cols.div_ceil(INT8_BLOCK);
        self.scales.resize(columns * blocks, 0.0);
        self.values.resize(got);
        self.stored.resize(cols, 0);
        if !matches!(x, Values::F32(_)) {
            self.wide.resize(got, 0.0);
        }
        let x = x.widened(&mut self.wide);
        for column in 0..if cols == 0 { 0 } else { columns } {
            let scales = &mut self.scales[column * blocks..][..blocks];
            kernels.quantize_int8(&x[column * cols..][..cols], INT8_BLOCK, &mut self.stored, scales);
            let (codes, sums) = column_of(&mut self.codes, &mut self.sums, cols, column);
            kernels.expand(Element::Int { bits: 8 }, &self.stored, cols, codes, sums);
            let values = &mut self.values[column * cols..][..cols];
            kernels.decode(Element::Int { bits: 8 }, &self.stored, Blocks::whole(&1.0), values);
        }
        Ok(())
    }

    /// Sets activations that are already quantized, one token per row of `x`, matrix by matrix:
    /// W4A4 and W8A8. `lowbit-calib`'s `quantize_tokens` produces them, in NVFP4, MXFP4, MXFP8,
    /// INT8 or FP8 per token, and so on. Any format is possible.
    ///
    /// # Errors
    /// Currently none: a [`QTensor`] is always valid.
    pub fn set_quantized(&mut self, x: &QTensor<'_>) -> Result<(), Error> {
        self.set_quantized_with(Kernels::best(), x)
    }

    /// [`set_quantized`](Self::set_quantized) with the kernels of one SIMD level. All levels give
    /// the same bits.
    ///
    /// # Errors
    /// As [`set_quantized`](Self::set_quantized).
    pub fn set_quantized_with(&mut self, kernels: Kernels, x: &QTensor<'_>) -> Result<(), Error> {
        let (shape, format) = (x.shape(), x.format());
        let (columns, cols) = (shape.matrices * shape.rows, shape.cols);
        let Some(grid) = RowGrid::of(x).filter(|_| format.zero == Zero::None) else {
            self.start(columns, cols, Form::Restored, cols);
            self.values.resize(columns * cols);
            x.dequantize_with(kernels, &mut self.values);
            return Ok(());
        };
        // Unsigned bytes exceed the signed bytes of `expand`.
        let step = format.element.step().filter(|_| format.element != Element::Uint { bits: 8 });
        self.start(columns, cols, step.map_or(Form::Float, |step| Form::Int { step }), grid.block);
        for matrix in 0..shape.matrices {
            let scales = self.row_scales.rows(x, &grid, matrix, 0..shape.rows).blocks.scales;
            self.scales.extend_from_slice(scales);
        }
        let bytes = format.row_bytes(cols);
        self.values.resize(columns * cols);
        for (column, stored) in x.codes().chunks_exact(bytes).enumerate() {
            if step.is_some() {
                let (codes, sums) = column_of(&mut self.codes, &mut self.sums, cols, column);
                kernels.expand(format.element, stored, cols, codes, sums);
            }
            let values = &mut self.values[column * cols..][..cols];
            kernels.decode(format.element, stored, Blocks::whole(&1.0), values);
        }
        Ok(())
    }

    /// Clears the buffers, and makes room for integers if `form` needs it.
    fn start(&mut self, columns: usize, cols: usize, form: Form, block: usize) {
        (self.columns, self.cols, self.form, self.block) = (columns, cols, form, block);
        self.scales.clear();
        if let Form::Int { .. } = form {
            self.codes.resize(columns * Columns::codes_len(cols));
            self.sums.resize(columns * Columns::sums_len(cols), 0);
        }
    }

    /// The input of block products with weights of this element in blocks of `block` values; `None`
    /// if the product has to use dequantized values.
    pub(super) fn prepared(&self, element: Element, block: usize) -> Option<Prepared<'_>> {
        let (least, most) = (block.min(self.block), block.max(self.block));
        if most < self.cols && !most.is_multiple_of(least) {
            return None;
        }
        let values = match self.form {
            Form::Int { step } if element.exact_step(least).is_some() => {
                Columns::Int { codes: &self.codes, sums: &self.sums, step }
            }
            Form::Int { .. } | Form::Float => Columns::Float(&self.values),
            Form::Restored => return None,
        };
        Some(Prepared { len: self.cols, block: self.block, values, scales: &self.scales })
    }

    /// Dequantizes the columns, with one f32 product per number.
    pub(super) fn restored(&self) -> Vec<f32> {
        let (blocks, padded) = (self.cols.div_ceil(self.block.max(1)), Columns::codes_len(self.cols));
        let value = |column: usize, col: usize| {
            let scale = || self.scales[column * blocks + col / self.block];
            match self.form {
                Form::Int { step } => f32::from(self.codes[column * padded + col]) * step * scale(),
                Form::Float => self.values[column * self.cols + col] * scale(),
                Form::Restored => self.values[column * self.cols + col],
            }
        };
        (0..self.columns).flat_map(|column| (0..self.cols).map(move |col| value(column, col))).collect()
    }
}

/// The codes and sums of one column.
fn column_of<'s>(
    codes: &'s mut [i8],
    sums: &'s mut [i32],
    cols: usize,
    column: usize,
) -> (&'s mut [i8], &'s mut [i32]) {
    let (c, s) = (Columns::codes_len(cols), Columns::sums_len(cols));
    (&mut codes[column * c..][..c], &mut sums[column * s..][..s])
}
