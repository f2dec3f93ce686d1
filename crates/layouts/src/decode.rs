//! Decodes rows of a quantized linear, for inspection, comparison, dequantization and
//! requantization.

use super::{Stored, read_floats};
use crate::{Checkpoint, Error, Result};
use std::ops::Range;

/// The data that every row of a linear needs besides its own bytes. Read once.
#[derive(Clone, Debug, Default)]
pub struct Whole {
    perm: Option<Vec<u32>>,
    factors: Option<Vec<f32>>,
}

impl Stored {
    /// Reads the data that [`values`](Self::values) needs. With `smoothed`, columns are multiplied
    /// by the `pre_quant_scale`, so that the values are those of a linear without it.
    pub fn whole(&self, checkpoint: &Checkpoint, smoothed: bool) -> Result<Whole> {
        let cols = self.shape().cols;
        let factors = match &self.pre_quant_scale {
            Some(name) if smoothed => {
                let tensor = checkpoint.require(name)?;
                let factors = read_floats(tensor)?;
                if factors.len() != cols {
                    return Err(tensor
                        .error(format!("has {} values for {cols} columns", factors.len()))
                        .into());
                }
                Some(factors)
            }
            _ => None,
        };
        Ok(Whole { perm: self.perm(checkpoint)?, factors })
    }

    /// The smallest range of rows that includes these and can be read on its own.
    pub fn tile(&self, rows: &Range<usize>) -> Range<usize> {
        let quantum = self.quantum();
        rows.start - rows.start % quantum..rows.end.next_multiple_of(quantum).min(self.shape().rows)
    }

    /// Decodes rows of one matrix into f32, row-major, with columns in the order of the input.
    /// `rows` may start and end anywhere.
    pub fn values(
        &self,
        checkpoint: &Checkpoint,
        whole: &Whole,
        matrix: usize,
        rows: Range<usize>,
        out: &mut [f32],
    ) -> Result<()> {
        let (shape, tile) = (self.shape(), self.tile(&rows));
        let tensor = self.rows(checkpoint, matrix, tile.clone())?;
        let got = (tensor.format(), tensor.shape());
        if got.0 != self.format || (got.1.rows, got.1.cols) != (tile.len(), shape.cols) {
            let reason =
                format!("was put together as {} of {}, not {} of {shape}", got.0, got.1, self.format);
            return Err(Error::tensor(checkpoint.dir(), &self.linear.weight, reason));
        }
        self.formula.dequantize_rows(&tensor, rows.start - tile.start..rows.end - tile.start, out);
        let mut stored = vec![0.0; shape.cols];
        for row in out.chunks_exact_mut(shape.cols.max(1)) {
            if let Some(perm) = &whole.perm {
                stored.copy_from_slice(row);
                perm.iter().zip(&stored).for_each(|(&feature, &value)| row[feature as usize] = value);
            }
            if let Some(factors) = &whole.factors {
                row.iter_mut().zip(factors).for_each(|(value, factor)| *value *= factor);
            }
        }
        Ok(())
    }

    /// The stored scales and zero points of some rows of one matrix. The codes are not read unless
    /// the layout requires it.
    pub fn numbers(
        &self,
        checkpoint: &Checkpoint,
        matrix: usize,
        rows: Range<usize>,
    ) -> Result<(Vec<u8>, Vec<u8>)> {
        if self.assemble.is_some() {
            let tensor = self.rows(checkpoint, matrix, rows)?;
            return Ok((tensor.scales().to_vec(), tensor.zeros().unwrap_or_default().to_vec()));
        }
        self.blocks(checkpoint, matrix, &rows)
    }
}
