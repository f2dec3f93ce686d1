//! Codes back to numbers.
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
use core::convert::Infallible;
use core::ops::Range;

use half::{bf16, f16};
use lowbit_kernels::{Blocks, Kernels};

use super::QTensor;
use super::tiles::{Line, Stored, TILE, TileScales, rows_per_chunk};
use crate::format::Zero;
use crate::parallel::map_chunks;
use crate::shape::Shape;

impl QTensor<'_> {
    /// Writes all values, row-major, matrix after matrix.
    ///
    /// # Panics
    /// If `out` does not have as many elements as the tensor has values.
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

    /// [`dequantize`](Self::dequantize) with the kernels of one SIMD level. All levels give the same bits.
    ///
    /// # Panics
    /// As [`dequantize`](Self::dequantize).
    pub fn dequantize_with(&self, kernels: Kernels, out: &mut [f32]) {
        self.for_each_chunk(out, |matrix, values, out| self.decode(kernels, matrix, values, out));
    }

    /// Writes all values as f16; what is too large for it becomes infinity.
    ///
    /// # Panics
    /// As [`dequantize`](Self::dequantize).
    pub fn dequantize_f16(&self, out: &mut [f16]) {
        let kernels = Kernels::best();
        self.for_each_chunk(out, |matrix, values, out| {
            self.decode_narrowed(kernels, matrix, values, out, |x, out| kernels.narrow_f16(x, out));
        });
    }

    /// Writes all values as bf16.
    ///
    /// # Panics
    /// As [`dequantize`](Self::dequantize).
    pub fn dequantize_bf16(&self, out: &mut [bf16]) {
        let kernels = Kernels::best();
        self.for_each_chunk(out, |matrix, values, out| {
            self.decode_narrowed(kernels, matrix, values, out, |x, out| kernels.narrow_bf16(x, out));
        });
    }

    /// All values, row-major, matrix after matrix.
    #[must_use]
    pub fn to_f32_vec(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.len()];
        self.dequantize(&mut out);
        out
    }

    /// Writes the values of some rows of one matrix; any rows, wherever blocks begin.
    ///
    /// # Panics
    /// If there is no such matrix or row, or `out` does not have `rows.len() * cols` elements.
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

    /// The effective scales of one matrix, row-major over [`Format::scale_grid`](crate::Format::scale_grid).
    ///
    /// # Panics
    /// If there is no such matrix.
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

    /// Calls `work` with a matrix, a range of its values, row-major, and the part of `out` where they belong.
    fn for_each_chunk<T: Send>(&self, out: &mut [T], work: impl Fn(usize, Range<usize>, &mut [T]) + Sync) {
        assert_eq!(out.len(), self.len(), "values in {}", self.shape);
        if out.is_empty() {
            return;
        }
        let chunk = rows_per_chunk(&self.format, self.shape) * self.shape.cols;
        let done: Result<_, Infallible> =
            map_chunks(out, self.shape.rows * self.shape.cols, |matrix, out| {
                map_chunks(out, chunk, |index, out| {
                    work(matrix, index * chunk..index * chunk + out.len(), out);
                    Ok(())
                })
            });
        let Ok(_) = done;
    }

    fn decode_narrowed<T>(
        &self,
        kernels: Kernels,
        matrix: usize,
        values: Range<usize>,
        out: &mut [T],
        narrow: impl Fn(&[f32], &mut [T]),
    ) {
        let mut wide = vec![0.0; TILE.min(values.len())];
        for (index, out) in out.chunks_mut(TILE).enumerate() {
            let (start, wide) = (values.start + index * TILE, &mut wide[..out.len()]);
            self.decode(kernels, matrix, start..start + out.len(), wide);
            narrow(wide, out);
        }
    }

    /// Writes some values of one matrix, row-major, line by line and tile by tile.
    pub(crate) fn decode(&self, kernels: Kernels, matrix: usize, values: Range<usize>, out: &mut [f32]) {
        let Stored { format, shape, .. } = self.stored();
        let base = matrix * (self.codes.len() / shape.matrices);
        let (mut tile, mut spare) = (TileScales::default(), Vec::new());
        let mut at = values.start;
        while at < values.end {
            let line = Line::at(&format, shape, at);
            let start = at - line.first;
            let end = line.tile_end(start, line.len.min(values.end - line.first));
            let begin = line.aligned(start);
            self.stored().read(matrix, &line, begin..end, &mut tile);
            let byte = base + line.byte + format.row_bytes(begin);
            let codes = &self.codes[byte..byte + format.row_bytes(end - begin)];
            let out = &mut out[at - values.start..][..end - start];
            if begin == start {
                decode_tile(kernels, &format, codes, &tile, out);
            } else {
                // The first code lies inside a byte: read from the byte's start, and drop what comes before.
                spare.resize(end - begin, 0.0);
                decode_tile(kernels, &format, codes, &tile, &mut spare);
                out.copy_from_slice(&spare[start - begin..]);
            }
            at = line.first + end;
        }
    }
}

fn decode_tile(kernels: Kernels, format: &crate::Format, codes: &[u8], tile: &TileScales, out: &mut [f32]) {
    let zeros = matches!(format.zero, Zero::Int | Zero::Float).then_some(&tile.zeros[..]);
    kernels.decode(format.element, codes, Blocks { len: tile.len, scales: &tile.scales, zeros }, out);
    if format.zero == Zero::Bias {
        for (values, bias) in out.chunks_mut(tile.len).zip(&tile.zeros) {
            values.iter_mut().for_each(|value| *value += bias);
        }
    }
}
