//! Products of a [`QTensor`], by blocks of rows, on all cores if the matrix is large.

use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use lowbit_kernels::{Kernels, Values as Columns};

use super::activations::Activations;
use super::rows::{RowGrid, RowScales, stored_rows};
use crate::error::Error;
use crate::parallel::for_chunks;
use crate::shape::Shape;
use crate::tensor::QTensor;
use crate::values::Values;

/// The approximate number of weights per task with several columns: some 3 us for each column.
/// Tasks of many rows are efficient, since every task lays out the columns again.
const CHUNK: usize = 1 << 18;
/// The same with one column: 14 us with quantized activations.
const CHUNK_OF_ONE: usize = 1 << 20;
/// Products with fewer multiplications stay on the caller's thread: they end before other threads
/// would start.
const SHARED: usize = 1 << 20;
/// The largest block whose scales are so many that a copy costs time. Kernels have loops that read
/// such scales as stored.
const SHORT: usize = 32;
/// The number of values that are dequantized at a time if kernels cannot read the rows directly.
const RESTORED: usize = 4096;

/// # Products
///
/// [`Kernels::dot`] and [`Kernels::dot_prepared`] define the results and the order of sums. They
/// are the same bits on every SIMD level, for any number of threads and columns.
impl QTensor<'_> {
    /// The dot product of one row with `x`.
    ///
    /// # Errors
    /// [`Error::Input`] if `x` has another number of values than the row.
    ///
    /// # Panics
    /// If the matrix or the row is out of range.
    pub fn dot<'x>(&self, matrix: usize, row: usize, x: impl Into<Values<'x>>) -> Result<f32, Error> {
        let Shape { matrices, rows, cols } = self.shape();
        assert!(matrix < matrices, "matrix {matrix} of {matrices}");
        assert!(row < rows, "row {row} of {rows}");
        let x = wide(x.into(), 1, cols)?;
        let mut y = [0.0];
        if cols > 0 {
            let work = Work { tensor: self, kernels: Kernels::best(), operand: Operand::F32(&x), columns: 1 };
            work.rows(matrix, row..row + 1, &mut y);
        }
        Ok(y[0])
    }

    /// `y = W x`: the product of every row with `x`, matrix by matrix.
    ///
    /// ```
    /// use lowbit_blocks::{MXFP4, QTensor, Shape, TensorScale};
    /// // A row of ones and a row of sixes, scaled with 1 and 1/2.
    /// let codes = [[0x22; 16], [0x77; 16]].concat();
    /// let tensor = QTensor::new(MXFP4, Shape::matrix(2, 32), codes, vec![127, 126], None, TensorScale::None)?;
    /// let mut y = [0.0; 2];
    /// tensor.matvec(&[0.25f32; 32], &mut y)?;
    /// assert_eq!(y, [8.0, 24.0]); // 32 * 1 / 4, 32 * 3 / 4
    /// # Ok::<(), lowbit_blocks::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Input`] if `x` has another number of values than a row.
    ///
    /// # Panics
    /// If the length of `y` is not the number of rows.
    pub fn matvec<'x>(&self, x: impl Into<Values<'x>>, y: &mut [f32]) -> Result<(), Error> {
        self.matmul(x, 1, y)
    }

    /// [`matvec`](Self::matvec) into a new vector.
    ///
    /// ```
    /// use lowbit_blocks::{MXFP4, QTensor, Shape, TensorScale};
    /// let tensor = QTensor::new(MXFP4, Shape::matrix(1, 32), vec![0x22; 16], vec![127], None, TensorScale::None)?;
    /// assert_eq!(tensor.matvec_vec(&[0.25f32; 32])?, [8.0]); // 32 * 1 / 4
    /// # Ok::<(), lowbit_blocks::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`matvec`](Self::matvec).
    pub fn matvec_vec<'x>(&self, x: impl Into<Values<'x>>) -> Result<Vec<f32>, Error> {
        self.matmul_vec(x, 1)
    }

    /// [`matmul`](Self::matmul) into a new vector, columns x rows.
    ///
    /// # Errors
    /// As [`matmul`](Self::matmul).
    pub fn matmul_vec<'x>(&self, x: impl Into<Values<'x>>, columns: usize) -> Result<Vec<f32>, Error> {
        let (x, Shape { matrices, rows, cols }) = (x.into(), self.shape());
        fits(x.len(), columns, cols)?;
        let mut y = vec![0.0; columns * matrices * rows];
        self.matmul(x, columns, &mut y)?;
        Ok(y)
    }

    /// The product of every row with every column. `x` is columns x cols and `y` is columns x rows,
    /// both row-major, one row per token.
    ///
    /// # Errors
    /// [`Error::Input`] if `x` has another number of values.
    ///
    /// # Panics
    /// If `y` does not have `columns` numbers for each row.
    pub fn matmul<'x>(&self, x: impl Into<Values<'x>>, columns: usize, y: &mut [f32]) -> Result<(), Error> {
        self.matmul_with(Kernels::best(), x, columns, y)
    }

    /// [`matmul`](Self::matmul) with the kernels of one SIMD level. All levels give the same bits.
    ///
    /// # Errors
    /// As [`matmul`](Self::matmul).
    ///
    /// # Panics
    /// As [`matmul`](Self::matmul).
    pub fn matmul_with<'x>(
        &self,
        kernels: Kernels,
        x: impl Into<Values<'x>>,
        columns: usize,
        y: &mut [f32],
    ) -> Result<(), Error> {
        let x = wide(x.into(), columns, self.shape().cols)?;
        self.multiply(kernels, &Operand::F32(&x), columns, y);
        Ok(())
    }

    /// [`matvec`](Self::matvec) with activations quantized by [`Activations::set_int8`]: faster,
    /// and less accurate.
    ///
    /// # Errors
    /// As [`matvec`](Self::matvec).
    ///
    /// # Panics
    /// As [`matvec`](Self::matvec).
    pub fn matvec_int8<'x>(&self, x: impl Into<Values<'x>>, y: &mut [f32]) -> Result<(), Error> {
        self.matmul_int8(x, 1, y)
    }

    /// [`matmul`](Self::matmul) with activations quantized by [`Activations::set_int8`].
    ///
    /// # Errors
    /// As [`matmul`](Self::matmul).
    ///
    /// # Panics
    /// As [`matmul`](Self::matmul).
    pub fn matmul_int8<'x>(
        &self,
        x: impl Into<Values<'x>>,
        columns: usize,
        y: &mut [f32],
    ) -> Result<(), Error> {
        let x = x.into();
        fits(x.len(), columns, self.shape().cols)?;
        let mut activations = Activations::new();
        activations.set_int8(x, columns)?;
        self.matmul_quantized(&activations, y)
    }

    /// [`matmul`](Self::matmul) with activations that are already quantized. `y` has a row for each
    /// of their columns.
    ///
    /// ```
    /// use lowbit_blocks::{Activations, MXFP4, QTensor, Shape, TensorScale};
    /// // MXFP4 times MXFP4, 32 values each: ones and sixes, scales 2 and 1/2.
    /// let one = QTensor::new(MXFP4, Shape::matrix(1, 32), vec![0x22; 16], vec![128], None, TensorScale::None)?;
    /// let six = QTensor::new(MXFP4, Shape::matrix(1, 32), vec![0x77; 16], vec![126], None, TensorScale::None)?;
    /// let (mut tokens, mut y) = (Activations::new(), [0.0]);
    /// tokens.set_quantized(&six)?;
    /// one.matmul_quantized(&tokens, &mut y)?;
    /// assert_eq!(y, [192.0]); // (32 * 1 * 6) * 2 * 1/2
    /// # Ok::<(), lowbit_blocks::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Input`] if their columns have another number of values than a row.
    ///
    /// # Panics
    /// As [`matmul`](Self::matmul).
    pub fn matmul_quantized(&self, x: &Activations, y: &mut [f32]) -> Result<(), Error> {
        self.matmul_quantized_with(Kernels::best(), x, y)
    }

    /// [`matmul_quantized`](Self::matmul_quantized) with the kernels of one SIMD level. All levels
    /// give the same bits.
    ///
    /// # Errors
    /// As [`matmul_quantized`](Self::matmul_quantized).
    ///
    /// # Panics
    /// As [`matmul`](Self::matmul).
    pub fn matmul_quantized_with(
        &self,
        kernels: Kernels,
        x: &Activations,
        y: &mut [f32],
    ) -> Result<(), Error> {
        let cols = self.shape().cols;
        fits(x.columns() * x.cols(), x.columns(), cols)?;
        let in_blocks =
            RowGrid::of(self).is_some_and(|grid| x.prepared(self.format().element, grid.block).is_some());
        if in_blocks {
            self.multiply(kernels, &Operand::Quantized(x), x.columns(), y);
        } else {
            self.multiply(kernels, &Operand::F32(&x.restored()), x.columns(), y);
        }
        Ok(())
    }

    fn multiply(&self, kernels: Kernels, operand: &Operand<'_>, columns: usize, y: &mut [f32]) {
        let Shape { matrices, rows, cols } = self.shape();
        let all = matrices * rows;
        assert_eq!(y.len(), columns * all, "{columns} columns of {all} results");
        if y.is_empty() || cols == 0 {
            return y.fill(0.0);
        }
        let work = Work { tensor: self, kernels, operand: operand.clone(), columns };
        let many = if columns == 1 { CHUNK_OF_ONE } else { CHUNK };
        let chunk = if rows * cols * columns < SHARED { rows } else { (many / cols).max(1) };
        let each_matrix = |out: &mut [f32]| {
            for (matrix, out) in out.chunks_mut(rows * columns).enumerate() {
                for_chunks(out, chunk * columns, |index, out| {
                    let start = index * chunk;
                    work.rows(matrix, start..start + out.len() / columns, out);
                });
            }
        };
        if columns == 1 {
            return each_matrix(y);
        }
        // Kernels write rows x columns.
        let mut transposed = vec![0.0; y.len()];
        each_matrix(&mut transposed);
        for (column, y) in y.chunks_exact_mut(all).enumerate() {
            y.iter_mut().zip(transposed.chunks_exact(columns)).for_each(|(y, row)| *y = row[column]);
        }
    }
}

/// The activations of a product.
#[derive(Clone)]
enum Operand<'a> {
    F32(&'a [f32]),
    /// Only if the weights have a [`RowGrid`] and the blocks fit.
    Quantized(&'a Activations),
}

struct Work<'a> {
    tensor: &'a QTensor<'a>,
    kernels: Kernels,
    operand: Operand<'a>,
    columns: usize,
}

impl Work<'_> {
    /// The product of some rows of one matrix with all columns, `rows.len() * columns` results.
    fn rows(&self, matrix: usize, rows: Range<usize>, out: &mut [f32]) {
        let Self { tensor, kernels, ref operand, columns } = *self;
        let format = tensor.format();
        let Some(grid) = RowGrid::of(tensor) else { return self.restored_rows(matrix, rows, out) };
        if let Operand::Quantized(x) = operand
            && let Some(x) = x.prepared(format.element, grid.block)
            && grid.block.min(x.block) <= SHORT
            && matches!(x.values, Columns::Int { .. })
            && let Some((weights, scales, zeros)) = stored_rows(tensor, &grid, matrix, rows.clone())
        {
            return kernels.dot_stored(weights, scales, zeros, x, out);
        }
        let (step, mut scales) = (grid.step(), RowScales::default());
        for (index, out) in out.chunks_mut(step * columns).enumerate() {
            let start = rows.start + index * step;
            let weights = scales.rows(tensor, &grid, matrix, start..start + out.len() / columns);
            match operand {
                Operand::F32(x) => kernels.dot(weights, x, out),
                Operand::Quantized(x) => {
                    if let Some(x) = x.prepared(format.element, grid.block) {
                        kernels.dot_prepared(weights, x, out);
                    }
                }
            }
        }
    }

    /// The same product if kernels cannot read the rows directly: they are dequantized first.
    fn restored_rows(&self, matrix: usize, rows: Range<usize>, out: &mut [f32]) {
        let Operand::F32(x) = self.operand else { return };
        let cols = self.tensor.shape().cols;
        let step = (RESTORED / cols).clamp(1, rows.len());
        let mut values: Vec<f32> = vec![0.0; step * cols];
        for (index, out) in out.chunks_mut(step * self.columns).enumerate() {
            let (start, count) = (rows.start + index * step, out.len() / self.columns);
            let values = &mut values[..count * cols];
            self.tensor.decode(self.kernels, matrix, start * cols..(start + count) * cols, values);
            self.kernels.dot_f32(values, x, cols, out);
        }
    }
}

/// `x` widened to f32, after a check of its length: `columns` columns of `cols` values.
pub(super) fn wide(x: Values<'_>, columns: usize, cols: usize) -> Result<Cow<'_, [f32]>, Error> {
    fits(x.len(), columns, cols)?;
    Ok(match x {
        Values::F32(x) => Cow::Borrowed(x),
        _ => {
            let mut wide = vec![0.0; x.len()];
            x.widen_into(0..x.len(), &mut wide);
            Cow::Owned(wide)
        }
    })
}

fn fits(got: usize, columns: usize, cols: usize) -> Result<(), Error> {
    // An overflow counts as a wrong length.
    if columns.checked_mul(cols) == Some(got) { Ok(()) } else { Err(Error::Input { got, columns, cols }) }
}
