//! Decoding of codes to values.
//!
//! ```text
//! value = (value(code) - zero) * scale      one f32 operation each; without a zero point, the product alone
//! value = value(code) * scale + bias        product and sum rounded separately
//! scale = stored scale [* or / tensor scale]
//! ```
//!
//! f16 and bf16 outputs are these f32 values rounded to nearest even.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use half::{bf16, f16};
use lowbit_kernels::{Blocks, Element, Kernels};

use super::QTensor;
use super::runs::{DECODED, RunScales, rows_per_chunk};
use crate::parallel::for_chunks;
use crate::shape::Shape;

impl QTensor<'_> {
    /// Writes all values, row-major, matrix by matrix.
    ///
    /// # Panics
    /// If the length of `out` is not the number of values.
    ///
    /// ```
    /// use lowbit_blocks::{MXFP4, QTensor, Shape, TensorScale};
    /// // 32 codes, each the nibble 0x2 = 1.0, and the scale 2^(130 - 127) = 8.
    /// let tensor = QTensor::new(MXFP4, Shape::matrix(1, 32), vec![0x22; 16], vec![130], None, TensorScale::None)?;
    /// let mut out = [0.0; 32];
    /// tensor.dequantize(&mut out);
    /// assert_eq!(out, [8.0; 32]);
    /// # Ok::<(), lowbit_blocks::Error>(())
    /// ```
    pub fn dequantize(&self, out: &mut [f32]) {
        self.dequantize_with(Kernels::best(), out);
    }

    /// [`dequantize`](Self::dequantize) with the kernels of one SIMD level. All levels give the
    /// same bits.
    ///
    /// # Panics
    /// As [`dequantize`](Self::dequantize).
    pub fn dequantize_with(&self, kernels: Kernels, out: &mut [f32]) {
        self.dequantize_as(kernels, out);
    }

    /// Writes all values as f16; values beyond its range become infinite.
    ///
    /// # Panics
    /// As [`dequantize`](Self::dequantize).
    pub fn dequantize_f16(&self, out: &mut [f16]) {
        self.dequantize_as(Kernels::best(), out);
    }

    /// Writes all values as bf16.
    ///
    /// # Panics
    /// As [`dequantize`](Self::dequantize).
    pub fn dequantize_bf16(&self, out: &mut [bf16]) {
        self.dequantize_as(Kernels::best(), out);
    }

    /// All values, row-major, matrix by matrix.
    #[must_use]
    pub fn to_f32_vec(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.len()];
        self.dequantize(&mut out);
        out
    }

    /// Writes the values of some rows of one matrix. Rows need not be aligned to blocks or bytes.
    ///
    /// # Panics
    /// If the matrix or a row is out of range, or the length of `out` is not `rows.len() * cols`.
    ///
    /// ```
    /// use lowbit_blocks::{MXFP4, QTensor, Shape, TensorScale};
    /// let codes = [[0x22; 16], [0x77; 16]].concat(); // a row of ones, a row of sixes
    /// let tensor = QTensor::new(MXFP4, Shape::matrix(2, 32), codes, vec![127, 126], None, TensorScale::None)?;
    /// let mut row = [0.0; 32];
    /// tensor.dequantize_rows(0, 1..2, &mut row);
    /// assert_eq!(row, [3.0; 32]); // 6 * 2^-1
    /// # Ok::<(), lowbit_blocks::Error>(())
    /// ```
    pub fn dequantize_rows(&self, matrix: usize, rows: Range<usize>, out: &mut [f32]) {
        let Shape { matrices, rows: all, cols } = self.shape;
        assert!(matrix < matrices, "matrix {matrix} of {matrices}");
        assert!(rows.start <= rows.end && rows.end <= all, "rows {rows:?} of {all}");
        assert_eq!(out.len(), rows.len() * cols, "values in rows {rows:?} of {}", self.shape);
        self.decode(Kernels::best(), matrix, rows.start * cols..rows.end * cols, out);
    }

    /// The effective scales of one matrix, row-major over
    /// [`Format::scale_grid`](crate::Format::scale_grid).
    ///
    /// # Panics
    /// If the matrix is out of range.
    ///
    /// ```
    /// use lowbit_blocks::{NVFP4, QTensor, Shape, TensorScale};
    /// let tensor_scale = TensorScale::Multiply(vec![0.25]);
    /// let tensor = QTensor::new(NVFP4, Shape::matrix(1, 32), vec![0; 16], vec![0x38, 0x40], None, tensor_scale)?;
    /// assert_eq!(tensor.effective_scales(0), [0.25, 0.5]); // E4M3 0x38 is 1, 0x40 is 2
    /// # Ok::<(), lowbit_blocks::Error>(())
    /// ```
    #[must_use]
    pub fn effective_scales(&self, matrix: usize) -> Vec<f32> {
        assert!(matrix < self.shape.matrices, "matrix {matrix} of {}", self.shape.matrices);
        let count = self.format.scales_per_matrix(self.shape);
        let mut scales = Vec::new();
        self.stored().scales_of(matrix, matrix * count..(matrix + 1) * count, &mut scales);
        scales
    }

    /// The block scales of one matrix without the tensor scale, row-major over
    /// [`Format::scale_grid`](crate::Format::scale_grid).
    ///
    /// # Panics
    /// If the matrix is out of range.
    ///
    /// ```
    /// use lowbit_blocks::{NVFP4, QTensor, Shape, TensorScale};
    /// let tensor_scale = TensorScale::Multiply(vec![0.25]);
    /// let tensor = QTensor::new(NVFP4, Shape::matrix(1, 32), vec![0; 16], vec![0x38, 0x40], None, tensor_scale)?;
    /// assert_eq!(tensor.block_scales(0), [1.0, 2.0]); // E4M3 0x38 and 0x40
    /// # Ok::<(), lowbit_blocks::Error>(())
    /// ```
    #[must_use]
    pub fn block_scales(&self, matrix: usize) -> Vec<f32> {
        assert!(matrix < self.shape.matrices, "matrix {matrix} of {}", self.shape.matrices);
        let blocks = self.format.scales_per_matrix(self.shape);
        let bytes = self.format.scale_bytes(blocks);
        let mut scales = vec![0.0; blocks];
        self.format.scale.decode(&self.scales[matrix * bytes..(matrix + 1) * bytes], 0..blocks, &mut scales);
        scales
    }

    /// The zero points of the blocks of one matrix as numbers, which are subtracted from codes or
    /// added to products (minima with their sign changed). It is empty if the format has none.
    ///
    /// # Panics
    /// If the matrix is out of range.
    #[must_use]
    pub fn block_zeros(&self, matrix: usize) -> Vec<f32> {
        assert!(matrix < self.shape.matrices, "matrix {matrix} of {}", self.shape.matrices);
        let count = self.format.scales_per_matrix(self.shape);
        let mut zeros = Vec::new();
        self.stored().zeros_of(matrix, matrix * count..(matrix + 1) * count, &mut zeros);
        zeros
    }

    fn dequantize_as<T: Value>(&self, kernels: Kernels, out: &mut [T]) {
        assert_eq!(out.len(), self.len(), "values in {}", self.shape);
        if out.is_empty() {
            return;
        }
        let decode = if out.len() < Kernels::STREAMED { T::decode } else { T::decode_streaming };
        let chunk = rows_per_chunk(&self.grid()) * self.shape.cols;
        for_chunks(out, self.shape.rows * self.shape.cols, |matrix, out| {
            for_chunks(out, chunk, |index, out| {
                self.decode_by(kernels, decode, matrix, index * chunk..index * chunk + out.len(), out);
            });
        });
    }

    /// Writes some values of one matrix, row-major.
    pub(crate) fn decode(&self, kernels: Kernels, matrix: usize, values: Range<usize>, out: &mut [f32]) {
        self.decode_by(kernels, f32::decode, matrix, values, out);
    }

    /// Writes some values of one matrix, row-major, run by run.
    fn decode_by<T: Value>(
        &self,
        kernels: Kernels,
        decode: Decode<T>,
        matrix: usize,
        values: Range<usize>,
        out: &mut [T],
    ) {
        let (stored, format) = (self.stored(), self.format);
        let (mut scales, mut wide, mut spare) = (RunScales::default(), Vec::new(), Vec::new());
        let mut write = |codes: &[u8], of: &RunScales, out: &mut [T]| {
            let zeros = format.zero.is_subtracted().then_some(&of.zeros[..]);
            let blocks = Blocks { len: of.len, scales: &of.scales, zeros };
            if !format.zero.is_added() {
                return decode(kernels, format.element, codes, blocks, out);
            }
            wide.resize(out.len(), 0.0);
            kernels.decode(format.element, codes, blocks, &mut wide);
            for (values, bias) in wide.chunks_mut(of.len).zip(&of.zeros) {
                values.iter_mut().for_each(|value| *value += bias);
            }
            T::narrow(kernels, &wide, out);
        };
        let first = values.start;
        for run in self.grid().runs(matrix, values, DECODED) {
            scales.read(&stored, matrix, &run);
            let codes = &self.codes[run.bytes.clone()];
            let out = &mut out[run.values.start - first..][..run.values.len()];
            if run.skipped == 0 {
                write(codes, &scales, out);
            } else {
                // The first code lies inside a byte: decode from the start of the byte, and drop
                // the preceding values.
                spare.resize(run.skipped + out.len(), T::default());
                write(codes, &scales, &mut spare);
                out.copy_from_slice(&spare[run.skipped..]);
            }
        }
    }
}

/// A kernel that decodes codes to `T`.
type Decode<T> = fn(Kernels, Element, &[u8], Blocks<'_>, &mut [T]);

/// The type of decoded values.
trait Value: Copy + Default + Send {
    fn decode(kernels: Kernels, e: Element, codes: &[u8], blocks: Blocks<'_>, out: &mut [Self]);
    /// Decodes a part of an output that is larger than the caches.
    fn decode_streaming(kernels: Kernels, e: Element, codes: &[u8], blocks: Blocks<'_>, out: &mut [Self]) {
        Self::decode(kernels, e, codes, blocks, out);
    }
    fn narrow(kernels: Kernels, values: &[f32], out: &mut [Self]);
}

impl Value for f32 {
    fn decode(kernels: Kernels, e: Element, codes: &[u8], blocks: Blocks<'_>, out: &mut [Self]) {
        kernels.decode(e, codes, blocks, out);
    }
    fn decode_streaming(kernels: Kernels, e: Element, codes: &[u8], blocks: Blocks<'_>, out: &mut [Self]) {
        kernels.decode_streaming(e, codes, blocks, out);
    }
    fn narrow(_: Kernels, values: &[f32], out: &mut [Self]) {
        out.copy_from_slice(values);
    }
}

impl Value for f16 {
    fn decode(kernels: Kernels, e: Element, codes: &[u8], blocks: Blocks<'_>, out: &mut [Self]) {
        kernels.decode_f16(e, codes, blocks, out);
    }
    fn narrow(kernels: Kernels, values: &[f32], out: &mut [Self]) {
        kernels.narrow_f16(values, out);
    }
}

impl Value for bf16 {
    fn decode(kernels: Kernels, e: Element, codes: &[u8], blocks: Blocks<'_>, out: &mut [Self]) {
        kernels.decode_bf16(e, codes, blocks, out);
    }
    fn narrow(kernels: Kernels, values: &[f32], out: &mut [Self]) {
        kernels.narrow_bf16(values, out);
    }
}
