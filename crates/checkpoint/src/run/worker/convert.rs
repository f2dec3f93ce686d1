//! Tiles of quantized linears, transcoded or decoded.

use super::Worker;
use crate::arch::Orientation;
use crate::layout::columns;
use crate::plan::{Decoded, Plan, QuantizedUnit, Strip};
use crate::run::Output;
use crate::run::spent::timed;
use crate::{Error, Result};
use lowbit_blocks::transcode::Transcoder;
use lowbit_blocks::{Dtype, ErrorStats, QTensor, Shape, TensorScale};
use lowbit_calib::Quantizer;
use std::borrow::Cow;
use std::ops::Range;

impl Worker {
    /// Transcodes the codes, scales and zero points of a tile into the buffers.
    pub(super) fn transcode(
        &mut self,
        plan: &Plan,
        q: &QuantizedUnit,
        transcoder: &Transcoder,
        matrix: usize,
        rows: &Range<usize>,
    ) -> Result<()> {
        let crate::plan::Source::Quantized(strips) = &q.source else { return Ok(()) };
        let (source, linears, shape) = (plan.source(), &plan.linears, q.linear.shape);
        let read = || linears.rows(source, strips, shape, matrix, rows.clone());
        let tile = timed(&mut self.spent.reading, read)?;
        let image = timed(&mut self.spent.computing, || transcoder.rows(matrix, &tile));
        let tile = image.map_err(|e| Error::tensor(source.dir(), q.from(), e.to_string()))?;
        self.codes.clear();
        self.codes.extend_from_slice(tile.codes());
        self.scales.clear();
        self.scales.extend_from_slice(tile.scales());
        self.zeros.clear();
        self.zeros.extend_from_slice(tile.zeros().unwrap_or_default());
        if let Some(perm) = &q.perm {
            columns::scatter(q.format.element.bits(), shape.cols, perm, &mut self.codes);
        }
        Ok(())
    }

    /// Decodes rows into the buffer of values.
    pub(super) fn read_values(
        &mut self,
        plan: &Plan,
        strips: &[Strip],
        shape: Shape,
        matrix: usize,
        rows: &Range<usize>,
    ) -> Result<()> {
        let Self { values, spent, .. } = self;
        values.resize(rows.len() * shape.cols, 0.0);
        timed(&mut spent.reading, || {
            plan.linears.values(plan.source(), strips, shape, matrix, rows.clone(), values)
        })
    }

    /// The error of the codes in the buffers against the values that they were chosen for.
    pub(super) fn lost(
        &self,
        q: &QuantizedUnit,
        quantizer: Option<&Quantizer>,
        matrix: usize,
        rows: &Range<usize>,
    ) -> Result<ErrorStats> {
        let shape = Shape::matrix(rows.len(), q.linear.shape.cols);
        let scale = match quantizer.map(Quantizer::tensor_scale) {
            None | Some(TensorScale::None) => TensorScale::None,
            Some(scale) => scale.matrix(matrix),
        };
        let zeros = q.format.has_zeros().then_some(Cow::Borrowed(&self.zeros[..]));
        let tile = QTensor::new(q.format, shape, &self.codes[..], &self.scales[..], zeros, scale);
        let tile = tile.map_err(|e| Error::tensor(std::path::Path::new(""), q.from(), e.to_string()))?;
        let mut stats = ErrorStats::default();
        stats.observe(&self.values, &tile.to_f32_vec());
        Ok(stats)
    }

    /// Writes rows of a linear decoded.
    pub(super) fn decode(
        &mut self,
        plan: &Plan,
        d: &Decoded,
        outputs: &[Output],
        matrix: usize,
        rows: &Range<usize>,
    ) -> Result<()> {
        let shape = d.linear.shape;
        self.read_values(plan, &d.strips, shape, matrix, rows)?;
        let size = d.linear.dtype.bytes();
        let mut at = (matrix * shape.rows + rows.start) * shape.cols * size;
        if d.linear.orientation == Orientation::InOut {
            // A transposed matrix is one tile.
            let mut turned = vec![0.0; self.values.len()];
            for (row, values) in self.values.chunks_exact(shape.cols.max(1)).enumerate() {
                for (col, value) in values.iter().enumerate() {
                    turned[col * shape.rows + row] = *value;
                }
            }
            self.values = turned;
            at = matrix * shape.rows * shape.cols * size;
        }
        let kernels = plan.settings().kernels;
        let bytes = crate::values::bytes_of(&mut self.source, self.values.len() * size);
        timed(&mut self.spent.computing, || match d.linear.dtype {
            Dtype::F32 => bytes.copy_from_slice(bytemuck::cast_slice(&self.values)),
            Dtype::F16 => kernels.narrow_f16(&self.values, bytemuck::cast_slice_mut(bytes)),
            Dtype::Bf16 => kernels.narrow_bf16(&self.values, bytemuck::cast_slice_mut(bytes)),
        });
        if cfg!(target_endian = "big") {
            bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        let place = d.place;
        timed(&mut self.spent.writing, || outputs[place.file].write(bytes, place.begin + at as u64))
    }
}
