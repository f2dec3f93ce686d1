//! Comparison of a quantized tensor with its original values.

use alloc::vec;
use alloc::vec::Vec;

use lowbit_kernels::Kernels;

use super::QTensor;
use super::runs::rows_per_chunk;
use crate::error::Error;
use crate::error_stats::{ErrorReport, ErrorStats};
use crate::parallel::map_chunks;
use crate::values::Values;

impl QTensor<'_> {
    /// The error of quantization: mean squared error, SQNR, largest error and cosine.
    ///
    /// The result is the same for any number of threads: rows are summed one by one, and their sums
    /// are added in order.
    ///
    /// # Errors
    /// [`Error::Length`] if `original` has another number of values.
    ///
    /// ```
    /// use lowbit_blocks::{MXFP4, QTensor, Shape, TensorScale};
    /// let tensor = QTensor::new(MXFP4, Shape::matrix(1, 32), vec![0x22; 16], vec![127], None, TensorScale::None)?;
    /// let mut original = [1.0f32; 32]; // what the codes say
    /// original[3] = 3.0; // except here: one error of 2
    /// let report = tensor.compare(&original)?;
    /// assert_eq!((report.mse, report.max_error), (4.0 / 32.0, 2.0));
    /// # Ok::<(), lowbit_blocks::Error>(())
    /// ```
    pub fn compare<'x>(&self, original: impl Into<Values<'x>>) -> Result<ErrorReport, Error> {
        Ok(self.error_stats(original)?.report())
    }

    /// The sums of [`compare`](Self::compare), which can be merged with those of other tensors.
    ///
    /// # Errors
    /// As [`compare`](Self::compare).
    pub fn error_stats<'x>(&self, original: impl Into<Values<'x>>) -> Result<ErrorStats, Error> {
        let original = original.into();
        self.format.check_len(self.shape, "values", "numbers", original.len(), self.len())?;
        let mut total = ErrorStats::default();
        if self.is_empty() {
            return Ok(total);
        }
        let (rows, cols) = (self.shape.rows, self.shape.cols);
        let mut of_rows = vec![ErrorStats::default(); self.shape.matrices * rows];
        let chunk = rows_per_chunk(&self.grid());
        let kernels = Kernels::best();
        map_chunks(&mut of_rows, rows, |matrix, of_rows| {
            map_chunks(of_rows, chunk, |index, of_rows| {
                let (mut restored, mut wide): (Vec<f32>, Vec<f32>) = (vec![0.0; cols], vec![0.0; cols]);
                for (row, stats) in (index * chunk..).zip(of_rows) {
                    self.decode(kernels, matrix, row * cols..(row + 1) * cols, &mut restored);
                    let first = (matrix * rows + row) * cols;
                    stats.observe(original.slice(first..first + cols).widened(&mut wide), &restored);
                }
                Ok::<(), Error>(())
            })
        })?;
        of_rows.iter().for_each(|row| total.merge(row));
        Ok(total)
    }
}
