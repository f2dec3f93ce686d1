//! Encoding of values with given scales.
//!
//! ```text
//! code = RNE_saturating(x / scale + zero)      zero points Int and Float; without one, only the quotient
//! code = RNE_saturating((x - bias) / scale)    Bias
//! scale = stored scale [* or / tensor scale]
//! ```
//!
//! Each operation is one in f32. The divisor is the scale as it is decoded: rounded to its stored
//! type first. `lowbit-calib` chooses scales, and implements the arithmetic of other producers.

use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use lowbit_kernels::{Blocks, Kernels};

use super::QTensor;
use super::runs::{ENCODED, RunScales, rows_per_chunk};
use crate::error::Error;
use crate::format::Format;
use crate::grid::Grid;
use crate::parallel::map_chunks;
use crate::scale::TensorScale;
use crate::shape::Shape;
use crate::values::Values;

impl QTensor<'static> {
    /// Encodes `values` with the given block scales, zero points and tensor scales.
    ///
    /// `scales` has one f32 per block, matrix by matrix. Each is rounded to the format's scale type
    /// (to nearest even; E4M3 saturates at 448), and the rounded scale is the divisor. `zeros` are
    /// bytes as they are stored. A block whose effective scale is 0 gets the codes of zeros.
    ///
    /// # Errors
    /// Errors of [`Format::check`] and [`QTensor::new`]; [`Error::NonFinite`] for the first NaN or
    /// infinite value; [`Error::Scale`] for a scale that cannot be stored; [`Error::TensorScale`]
    /// for a tensor scale that is invalid.
    ///
    /// ```
    /// use lowbit_blocks::{MXFP4, QTensor, Shape, TensorScale};
    /// let mut weights = [0.0f32; 32];
    /// weights[0] = 5.0; // halfway between 4 and 6: to even, 4
    /// weights[1] = -0.5;
    /// let tensor =
    ///     QTensor::encode(MXFP4, Shape::matrix(1, 32), &weights, &[1.0], None, TensorScale::None)?;
    /// assert_eq!((tensor.codes()[0], tensor.scales()), (0x96, &[127][..]));
    /// # Ok::<(), lowbit_blocks::Error>(())
    /// ```
    pub fn encode<'x>(
        format: Format,
        shape: Shape,
        values: impl Into<Values<'x>>,
        scales: &[f32],
        zeros: Option<&[u8]>,
        tensor_scale: TensorScale,
    ) -> Result<Self, Error> {
        Self::encode_with(Kernels::best(), format, shape, values, scales, zeros, tensor_scale)
    }

    /// [`encode`](Self::encode) with the kernels of one SIMD level. All levels give the same bytes.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_with<'x>(
        kernels: Kernels,
        format: Format,
        shape: Shape,
        values: impl Into<Values<'x>>,
        scales: &[f32],
        zeros: Option<&[u8]>,
        tensor_scale: TensorScale,
    ) -> Result<Self, Error> {
        let values = values.into();
        format.check(shape)?;
        let count = |part, got, want| format.check_len(shape, part, "numbers", got, want);
        count("values", values.len(), shape.len().unwrap_or(usize::MAX))?;
        count("scales", scales.len(), format.scales_per_matrix(shape) * shape.matrices)?;
        let scales = store_scales(&format, scales, shape.matrices)?;
        check_tensor_scale(&tensor_scale)?;
        let zeros = zeros.map(|zeros| Cow::Owned(zeros.to_vec()));
        let codes = vec![0; format.codes_len(shape)];
        let mut tensor = QTensor::new(format, shape, codes, scales, zeros, tensor_scale)?;
        let mut codes = core::mem::take(&mut tensor.codes).into_vec();
        tensor.encode_codes(kernels, values, &mut codes)?;
        tensor.codes = codes.into();
        Ok(tensor)
    }

    fn encode_codes(&self, kernels: Kernels, values: Values<'_>, codes: &mut [u8]) -> Result<(), Error> {
        let Shape { matrices, rows, .. } = self.shape;
        if codes.is_empty() {
            return Ok(());
        }
        let grid = self.grid();
        let chunk_rows = rows_per_chunk(&grid);
        let chunk_bytes = grid.bytes_before(chunk_rows);
        let matrix_bytes = codes.len() / matrices;
        map_chunks(codes, matrix_bytes, |matrix, codes| {
            map_chunks(codes, chunk_bytes, |index, codes| {
                let first = index * chunk_rows;
                let end = (first + chunk_rows).min(rows);
                self.encode_rows(kernels, &grid, matrix, first..end, values, codes)
            })
        })?;
        Ok(())
    }

    /// Encodes some rows of one matrix, which start on a byte, into the bytes of exactly those
    /// rows.
    fn encode_rows(
        &self,
        kernels: Kernels,
        grid: &Grid,
        matrix: usize,
        rows: Range<usize>,
        values: Values<'_>,
        codes: &mut [u8],
    ) -> Result<(), Error> {
        let (stored, format, shape) = (self.stored(), &self.format, self.shape);
        let (first_value, first_byte) =
            (matrix * shape.rows * shape.cols, grid.bytes(matrix, rows.clone()).start);
        let range = rows.start * shape.cols..rows.end * shape.cols;
        let (mut scales, mut wide) = (RunScales::default(), vec![0.0; ENCODED.min(range.len())]);
        for run in grid.runs(matrix, range, ENCODED) {
            let x = values.slice(first_value + run.values.start..first_value + run.values.end);
            let x = x.widened(&mut wide);
            if let Some(index) = kernels.first_non_finite(x) {
                let (row, col) =
                    ((run.values.start + index) / shape.cols, (run.values.start + index) % shape.cols);
                return Err(Error::NonFinite { matrix, row, col, value: x[index] });
            }
            scales.read(&stored, matrix, &run);
            let codes = &mut codes[run.bytes.start - first_byte..run.bytes.end - first_byte];
            encode_run(kernels, format, x, &mut scales, codes);
        }
        Ok(())
    }
}

fn encode_run(kernels: Kernels, format: &Format, x: &[f32], of: &mut RunScales, codes: &mut [u8]) {
    // x / infinity is a zero with the sign of x. A block whose scale is zero decodes to zeros under
    // any codes, so it gets the codes of zeros.
    of.scales.iter_mut().filter(|scale| **scale == 0.0).for_each(|scale| *scale = f32::INFINITY);
    let zeros = format.zero.is_subtracted().then_some(&of.zeros[..]);
    let blocks = Blocks { len: of.len, scales: &of.scales, zeros };
    if format.zero.is_added() {
        let blocks_of_x = x.chunks(of.len).zip(&of.zeros);
        let shifted: Vec<f32> = blocks_of_x.flat_map(|(x, bias)| x.iter().map(move |x| x - bias)).collect();
        kernels.encode(format.element, &shifted, blocks, codes);
    } else {
        kernels.encode(format.element, x, blocks, codes);
    }
}

/// Rounds scales to their stored type. A scale that is not finite there, or negative in a type
/// without a sign, is an error.
fn store_scales(format: &Format, scales: &[f32], matrices: usize) -> Result<Vec<u8>, Error> {
    let (scale, per_matrix) = (format.scale, scales.len() / matrices.max(1));
    let mut stored = vec![0; matrices * scale.len(per_matrix)];
    let mut read = vec![0.0; scales.len()];
    if per_matrix > 0 {
        let bytes = stored.chunks_exact_mut(scale.len(per_matrix));
        for ((scales, bytes), read) in
            scales.chunks_exact(per_matrix).zip(bytes).zip(read.chunks_exact_mut(per_matrix))
        {
            scale.encode_into(scales, bytes);
            scale.decode(bytes, 0..per_matrix, read);
        }
    }
    let fits = |value: f32, read: f32| {
        value.is_finite() && read.is_finite() && (scale.kind.has_sign() || value >= 0.0)
    };
    match scales.iter().zip(&read).position(|(&value, &read)| !fits(value, read)) {
        Some(index) => Err(Error::Scale { index, value: scales[index], scale: scale.kind.name() }),
        None => Ok(stored),
    }
}

/// Refuses tensor scales that are not finite, and divisors that are zero.
fn check_tensor_scale(tensor_scale: &TensorScale) -> Result<(), Error> {
    let divides = matches!(tensor_scale, TensorScale::Divide(_));
    let scales = |value: f32| value.is_finite() && !(divides && value == 0.0);
    match tensor_scale.stored().iter().position(|value| !scales(*value)) {
        Some(matrix) => Err(Error::TensorScale { matrix, value: tensor_scale.stored()[matrix] }),
        None => Ok(()),
    }
}
