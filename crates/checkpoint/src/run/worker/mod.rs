//! The work of one thread on one tile: read, then observe or quantize, arrange and write. A worker
//! owns its buffers, which are as large as its largest tile.

mod constants;
mod convert;

use super::Output;
use super::spent::{Spent, timed};
use super::tiles::{Tile, What};
use crate::layout::{Holds, Part};
use crate::plan::{Placed, Plan, QuantizedUnit, Source, Unit, Way};
use crate::values::{bytes_of, values};
use crate::{Error, Result};
use lowbit_blocks::{ErrorStats, Values};
use lowbit_calib::{Out, Quantizer, TensorStats};
use std::ops::Range;

/// Errors of requantization for each tile: number of the tile, index of the unit, error sums,
/// number of values.
pub(super) type Losses = Vec<(usize, usize, ErrorStats, u64)>;

/// Buffers of one thread.
#[derive(Default)]
pub(super) struct Worker {
    /// Source bytes, kept as words so that f32 values can be read in place.
    source: Vec<u32>,
    /// Decoded values.
    values: Vec<f32>,
    codes: Vec<u8>,
    scales: Vec<u8>,
    zeros: Vec<u8>,
    packed: Vec<u8>,
    /// Time spent on each kind of work.
    pub(super) spent: Spent,
    /// Errors of requantization.
    pub(super) losses: Losses,
}

impl Worker {
    /// Adds the values of a tile to statistics.
    pub(super) fn observe(&mut self, plan: &Plan, tile: &Tile, stats: &mut TensorStats) -> Result<()> {
        let (Unit::Quantized(q), What::Rows { matrix, rows, .. }) = (&plan.units[tile.unit], &tile.what)
        else {
            return Ok(());
        };
        let values = self.read(plan, q, *matrix, rows)?;
        let mut computing = 0.0;
        let seen = timed(&mut computing, || stats.observe(values));
        self.spent.computing += computing;
        seen.map_err(|e| match e {
            lowbit_calib::Error::Observed { index, value } => {
                let row = rows.start + index / q.linear.shape.cols;
                non_finite(plan, q, *matrix, row, index % q.linear.shape.cols, value)
            }
            other => Error::tensor(plan.source().dir(), q.from(), other.to_string()),
        })
    }

    /// Writes a tile; `at` is its number.
    pub(super) fn write(
        &mut self,
        plan: &Plan,
        (at, tile): (usize, &Tile),
        quantizer: Option<&Quantizer>,
        outputs: &[Output],
    ) -> Result<()> {
        match (&plan.units[tile.unit], &tile.what) {
            (Unit::Quantized(q), What::Rows { matrix, rows, first }) => {
                match (&q.way, quantizer) {
                    (Way::Quantize(_), Some(quantizer)) => {
                        self.quantize(plan, q, quantizer, *matrix, rows)?
                    }
                    (Way::Transcode(way), _) => self.transcode(plan, q, way, *matrix, rows)?,
                    (Way::Quantize(_), None) => return Ok(()),
                }
                if let Some(reason) = plan.layout().and_then(|l| l.refuses(&q.format, &self.zeros)) {
                    return Err(Error::tensor(plan.source().dir(), q.from(), reason));
                }
                if *first {
                    self.write_constants(q, quantizer, outputs)?;
                }
                // `Made` parts round the scales once more, so the buffers do not hold what is
                // stored.
                let whole = !q.parts.iter().any(|(part, _)| matches!(part.holds, Holds::Made(_)));
                if whole && quantizer.is_some() && matches!(q.source, Source::Quantized(_)) {
                    let lost = self.lost(q, quantizer, *matrix, rows)?;
                    self.losses.push((at, tile.unit, lost, self.values.len() as u64));
                }
                for (part, place) in &q.parts {
                    self.write_part(q, part, place, outputs, *matrix, rows)?;
                }
                Ok(())
            }
            (Unit::Decoded(d), What::Rows { matrix, rows, .. }) => {
                self.decode(plan, d, outputs, *matrix, rows)
            }
            (Unit::Copied(copied), What::Bytes(range)) => {
                let bytes = bytes_of(&mut self.source, (range.end - range.start) as usize);
                let tensor = plan.source().require(&copied.tensor)?;
                timed(&mut self.spent.reading, || match &copied.sparse {
                    Some(sparse) => sparse.read(plan.source(), range.start as usize, bytes),
                    None => tensor.read(range.start, bytes).map_err(Into::into),
                })?;
                let at = copied.place.begin + range.start;
                timed(&mut self.spent.writing, || outputs[copied.place.file].write(bytes, at))
            }
            (Unit::Constant(constant), What::Bytes(range)) => {
                let bytes = &constant.bytes[range.start as usize..range.end as usize];
                outputs[constant.place.file].write(bytes, constant.place.begin + range.start)
            }
            _ => Ok(()),
        }
    }

    /// Chooses scales and codes of a tile, into the buffers.
    fn quantize(
        &mut self,
        plan: &Plan,
        q: &QuantizedUnit,
        quantizer: &Quantizer,
        matrix: usize,
        rows: &Range<usize>,
    ) -> Result<()> {
        let (shape, format) = (q.linear.shape, &q.format);
        self.codes.resize(format.codes_range(shape, matrix, rows.clone()).len(), 0);
        self.scales.resize(format.scales_range(shape, matrix, rows.clone()).len(), 0);
        self.zeros.resize(format.zeros_range(shape, matrix, rows.clone()).len(), 0);
        // The buffers are taken out of `self` while source values are borrowed from it.
        let (mut codes, mut scales, mut zeros) = (
            std::mem::take(&mut self.codes),
            std::mem::take(&mut self.scales),
            std::mem::take(&mut self.zeros),
        );
        let values = self.read(plan, q, matrix, rows)?;
        let out = Out { codes: &mut codes, scales: &mut scales, zeros: &mut zeros };
        let mut computing = 0.0;
        let quantized = timed(&mut computing, || quantizer.quantize_rows(matrix, rows.start, values, out));
        self.spent.computing += computing;
        quantized.map_err(|e| match e {
            lowbit_calib::Error::NonFinite { matrix, row, col, value } => {
                non_finite(plan, q, matrix, row, col, value)
            }
            other => Error::tensor(plan.source().dir(), q.from(), other.to_string()),
        })?;
        (self.codes, self.scales, self.zeros) = (codes, scales, zeros);
        Ok(())
    }

    /// Reads rows of a linear as values.
    fn read(
        &mut self,
        plan: &Plan,
        q: &QuantizedUnit,
        matrix: usize,
        rows: &Range<usize>,
    ) -> Result<Values<'_>> {
        let (shape, dtype) = (q.linear.shape, q.linear.dtype);
        match &q.source {
            Source::Floats { tensor, first } => {
                let first = first + ((matrix * shape.rows + rows.start) * shape.cols) as u64;
                let bytes = bytes_of(&mut self.source, rows.len() * shape.cols * dtype.bytes());
                let tensor = plan.source().require(tensor)?;
                timed(&mut self.spent.reading, || tensor.read(first * dtype.bytes() as u64, bytes))?;
                Ok(values(bytes, dtype))
            }
            Source::Quantized(strips) => {
                self.read_values(plan, strips, shape, matrix, rows)?;
                Ok(Values::F32(&self.values))
            }
        }
    }

    /// Writes the rows of a tile to one part.
    fn write_part(
        &mut self,
        q: &QuantizedUnit,
        part: &Part,
        place: &Placed,
        outputs: &[Output],
        matrix: usize,
        rows: &Range<usize>,
    ) -> Result<()> {
        let (format, shape) = (&q.format, q.linear.shape);
        let memory = match part.holds {
            Holds::Codes(_) => &self.codes,
            Holds::Scales(_) => &self.scales,
            Holds::Zeros(_) => &self.zeros,
            _ => return Ok(()),
        };
        let range = part.range(format, shape, matrix, rows.clone());
        let bytes = if part.packing().is_none() {
            memory
        } else {
            self.packed.resize(range.len(), 0);
            timed(&mut self.spent.computing, || {
                part.pack(format, shape, rows.clone(), memory, &mut self.packed);
            });
            &self.packed
        };
        timed(&mut self.spent.writing, || outputs[place.file].write(bytes, place.begin + range.start as u64))
    }
}

fn non_finite(plan: &Plan, q: &QuantizedUnit, matrix: usize, row: usize, col: usize, value: f32) -> Error {
    let (file, first) = match &q.source {
        Source::Floats { tensor, first } => {
            (plan.source().tensor(tensor).map(|t| t.file.path().to_owned()), *first)
        }
        Source::Quantized(_) => (None, 0),
    };
    let cols = q.linear.shape.cols as u64;
    let index = first + (matrix * q.linear.shape.rows + row) as u64 * cols + col as u64;
    Error::NonFinite {
        file: file.unwrap_or_else(|| plan.source().dir().to_owned()),
        tensor: q.from().to_owned(),
        index,
        row: index / cols,
        column: col as u64,
        value,
    }
}
