//! Products of a [`QLinear`]: transformation of the input, product, and bias.

use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;

use lowbit_kernels::Kernels;

use super::activations::Activations;
use super::matmul::wide;
use crate::error::Error;
use crate::linear::QLinear;
use crate::shape::Shape;
use crate::values::Values;

/// # Products
///
/// The products of the [weight](QLinear#structfield.weight) with [`input`](Self::input), plus the
/// bias in one f32 addition at the end. A static [`input_scale`](QLinear#structfield.input_scale)
/// belongs to quantized activations and is not applied here.
impl QLinear<'_> {
    /// One matrix of the stack (one expert), borrowing its parts.
    ///
    /// # Panics
    /// If the matrix is out of range, or the length of the bias is not the number of rows.
    #[must_use]
    pub fn matrix(&self, matrix: usize) -> QLinear<'_> {
        let rows = self.weight.shape().rows;
        let bias = self.bias.as_deref().map(|bias| Cow::Borrowed(&bias[matrix * rows..][..rows]));
        QLinear { weight: self.weight.matrix(matrix), bias, ..self.borrow() }
    }

    /// The input of the weight, `columns` concatenated columns: column `j` of the weight is
    /// multiplied with `(x * pre_quant_scale)[perm[j]]`, one f32 product. Without permutation and
    /// pre-quant scale it is `x` itself.
    ///
    /// Quantize this for [`matmul_quantized`](Self::matmul_quantized). Linears without permutation
    /// and pre-quant scale that read the same x, such as q, k and v, share one [`Activations`].
    ///
    /// ```
    /// use std::borrow::Cow;
    /// use lowbit_blocks::{INT8, QLinear, QTensor, Shape, TensorScale};
    /// let one = 1.0f32.to_le_bytes().to_vec();
    /// let weight = QTensor::new(INT8, Shape::matrix(1, 3), vec![1, 2, 3], one, None, TensorScale::None)?;
    /// let linear = QLinear {
    ///     perm: Some(Cow::Borrowed(&[2, 0, 1])),
    ///     pre_quant_scale: Some(Cow::Borrowed(&[1.0, 0.5, 2.0])),
    ///     bias: Some(Cow::Borrowed(&[-1.0])),
    ///     ..QLinear::from(weight)
    /// };
    /// let x = [10.0f32, 20.0, 30.0];
    /// assert_eq!(linear.input(&x, 1)?[..], [60.0, 10.0, 10.0]);
    /// let mut y = [0.0];
    /// linear.matvec(&x, &mut y)?;
    /// assert_eq!(y, [109.0]); // 1 * 60 + 2 * 10 + 3 * 10 - 1
    /// # Ok::<(), lowbit_blocks::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Input`] if `x` has another number of values; [`Error::Linear`] and
    /// [`Error::Permutation`] if the parts do not fit the weight. Duplicates in a permutation are
    /// only found by [`check`](Self::check).
    pub fn input<'x>(&self, x: impl Into<Values<'x>>, columns: usize) -> Result<Cow<'x, [f32]>, Error> {
        self.check_lengths()?;
        let cols = self.weight.shape().cols;
        let mut x = wide(x.into(), columns, cols)?;
        if cols == 0 {
            return Ok(x);
        }
        if let Some(scale) = &self.pre_quant_scale {
            for x in x.to_mut().chunks_exact_mut(cols) {
                x.iter_mut().zip(scale.iter()).for_each(|(x, scale)| *x *= scale);
            }
        }
        if let Some(perm) = &self.perm {
            let mut sorted = vec![0.0; x.len()];
            for (sorted, x) in sorted.chunks_exact_mut(cols).zip(x.chunks_exact(cols)) {
                for (index, (sorted, &value)) in sorted.iter_mut().zip(perm.iter()).enumerate() {
                    *sorted = *x.get(value as usize).ok_or(Error::Permutation { index, value, cols })?;
                }
            }
            x = Cow::Owned(sorted);
        }
        Ok(x)
    }

    /// `y = W x + bias`, matrix by matrix.
    ///
    /// # Errors
    /// As [`input`](Self::input).
    ///
    /// # Panics
    /// If the length of `y` is not the number of rows.
    pub fn matvec<'x>(&self, x: impl Into<Values<'x>>, y: &mut [f32]) -> Result<(), Error> {
        self.matmul(x, 1, y)
    }

    /// [`matvec`](Self::matvec) into a new vector.
    ///
    /// ```
    /// use lowbit_blocks::{MXFP4, QLinear, QTensor, Shape, TensorScale};
    /// let weight = QTensor::new(MXFP4, Shape::matrix(1, 32), vec![0x22; 16], vec![127], None, TensorScale::None)?;
    /// let layer = QLinear { bias: Some(vec![1.0].into()), ..QLinear::from(weight) };
    /// assert_eq!(layer.matvec_vec(&[0.25f32; 32])?, [9.0]); // 32 * 1 / 4 + 1
    /// # Ok::<(), lowbit_blocks::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`input`](Self::input).
    pub fn matvec_vec<'x>(&self, x: impl Into<Values<'x>>) -> Result<Vec<f32>, Error> {
        self.matmul_vec(x, 1)
    }

    /// [`matmul`](Self::matmul) into a new vector, columns x rows.
    ///
    /// # Errors
    /// As [`input`](Self::input).
    pub fn matmul_vec<'x>(&self, x: impl Into<Values<'x>>, columns: usize) -> Result<Vec<f32>, Error> {
        let x = self.input(x, columns)?;
        let mut y = self.weight.matmul_vec(&*x, columns)?;
        self.add_bias(&mut y);
        Ok(y)
    }

    /// The product of every row with every column. `x` is columns x cols and `y` is columns x rows,
    /// both row-major, one row per token.
    ///
    /// # Errors
    /// As [`input`](Self::input).
    ///
    /// # Panics
    /// If `y` does not have `columns` numbers for each row.
    pub fn matmul<'x>(&self, x: impl Into<Values<'x>>, columns: usize, y: &mut [f32]) -> Result<(), Error> {
        let x = self.input(x, columns)?;
        self.weight.matmul_with(Kernels::best(), Values::F32(&x), columns, y)?;
        self.add_bias(y);
        Ok(())
    }

    /// [`matvec`](Self::matvec) with activations quantized by [`Activations::set_int8`]: faster,
    /// and less accurate.
    ///
    /// # Errors
    /// As [`input`](Self::input).
    ///
    /// # Panics
    /// As [`matvec`](Self::matvec).
    pub fn matvec_int8<'x>(&self, x: impl Into<Values<'x>>, y: &mut [f32]) -> Result<(), Error> {
        self.matmul_int8(x, 1, y)
    }

    /// [`matmul`](Self::matmul) with activations quantized by [`Activations::set_int8`].
    ///
    /// # Errors
    /// As [`input`](Self::input).
    ///
    /// # Panics
    /// As [`matmul`](Self::matmul).
    pub fn matmul_int8<'x>(
        &self,
        x: impl Into<Values<'x>>,
        columns: usize,
        y: &mut [f32],
    ) -> Result<(), Error> {
        let x = self.input(x, columns)?;
        self.weight.matmul_int8(Values::F32(&x), columns, y)?;
        self.add_bias(y);
        Ok(())
    }

    /// [`matmul`](Self::matmul) with activations that are already quantized, from
    /// [`input`](Self::input).
    ///
    /// # Errors
    /// [`Error::Input`] if their columns have another number of values than a row of the weight;
    /// [`Error::Linear`] if the parts do not fit the weight.
    ///
    /// # Panics
    /// As [`matmul`](Self::matmul).
    pub fn matmul_quantized(&self, x: &Activations, y: &mut [f32]) -> Result<(), Error> {
        self.check_lengths()?;
        self.weight.matmul_quantized(x, y)?;
        self.add_bias(y);
        Ok(())
    }

    fn add_bias(&self, y: &mut [f32]) {
        let Shape { matrices, rows, .. } = self.weight.shape();
        if let Some(bias) = self.bias.as_deref().filter(|_| matrices * rows > 0) {
            for y in y.chunks_exact_mut(matrices * rows) {
                y.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
            }
        }
    }
}
