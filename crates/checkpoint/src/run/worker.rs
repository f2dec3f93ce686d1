//! What one thread does with one tile: read, look or quantize, arrange, write. It owns its buffers; they are as large as the largest tile.

use super::Output;
use super::spent::{Spent, timed};
use super::tiles::{Tile, What};
use crate::layout::{Holds, Part};
use crate::plan::{Copied, Placed, Plan, QuantizedUnit, Unit};
use crate::{Error, Result, Tensor};
use half::{bf16, f16};
use lowbit_blocks::{Block, Dtype, Format, Shape, Values};
use lowbit_calib::{Out, Quantizer, TensorStats};
use std::ops::Range;

/// Buffers of one thread.
#[derive(Default)]
pub(super) struct Worker {
    /// Source bytes; words, so that values of four bytes can be read in place.
    source: Vec<u32>,
    codes: Vec<u8>,
    scales: Vec<u8>,
    zeros: Vec<u8>,
    packed: Vec<u8>,
    /// Where its time went.
    pub(super) spent: Spent,
}

impl Worker {
    /// Adds a tile to statistics.
    pub(super) fn observe(&mut self, plan: &Plan, tile: &Tile, stats: &mut TensorStats) -> Result<()> {
        let (Unit::Quantized(q), What::Rows { matrix, rows, .. }) = (&plan.units[tile.unit], &tile.what)
        else {
            return Ok(());
        };
        let tensor = plan.source().require(&q.tensor)?;
        let values = self.read(q, tensor, *matrix, rows)?;
        let mut computing = 0.0;
        let seen = timed(&mut computing, || stats.observe(values));
        self.spent.computing += computing;
        seen.map_err(|e| match e {
            lowbit_calib::Error::Observed { index, value } => {
                let row = rows.start + index / q.linear.shape.cols;
                non_finite(q, tensor, *matrix, row, index % q.linear.shape.cols, value)
            }
            other => tensor.error(other.to_string()),
        })
    }

    /// Quantizes a tile and writes it.
    pub(super) fn quantize(
        &mut self,
        plan: &Plan,
        tile: &Tile,
        quantizer: &Quantizer,
        outputs: &[Output],
    ) -> Result<()> {
        let (Unit::Quantized(q), What::Rows { matrix, rows, first }) = (&plan.units[tile.unit], &tile.what)
        else {
            return Ok(());
        };
        let (matrix, shape, format) = (*matrix, q.linear.shape, &q.recipe.format);
        if *first {
            write_constants(q, quantizer, outputs)?;
        }
        let tensor = plan.source().require(&q.tensor)?;
        self.codes.resize(format.codes_range(shape, matrix, rows.clone()).len(), 0);
        self.scales.resize(format.scales_range(shape, matrix, rows.clone()).len(), 0);
        self.zeros.resize(format.zeros_range(shape, matrix, rows.clone()).len(), 0);
        // The buffers leave `self` while the source values are borrowed from it.
        let (mut codes, mut scales, mut zeros) = (
            std::mem::take(&mut self.codes),
            std::mem::take(&mut self.scales),
            std::mem::take(&mut self.zeros),
        );
        let values = self.read(q, tensor, matrix, rows)?;
        let out = Out { codes: &mut codes, scales: &mut scales, zeros: &mut zeros };
        let mut computing = 0.0;
        let quantized = timed(&mut computing, || quantizer.quantize_rows(matrix, rows.start, values, out));
        self.spent.computing += computing;
        quantized.map_err(|e| match e {
            lowbit_calib::Error::NonFinite { matrix, row, col, value } => {
                non_finite(q, tensor, matrix, row, col, value)
            }
            other => tensor.error(other.to_string()),
        })?;
        (self.codes, self.scales, self.zeros) = (codes, scales, zeros);
        for (part, place) in &q.parts {
            self.write_part(q, part, place, outputs, matrix, rows)?;
        }
        Ok(())
    }

    /// Copies a tile.
    pub(super) fn copy(&mut self, plan: &Plan, tile: &Tile, outputs: &[Output]) -> Result<()> {
        let (Unit::Copied(Copied { tensor, place, .. }), What::Bytes(range)) =
            (&plan.units[tile.unit], &tile.what)
        else {
            return Ok(());
        };
        let len = (range.end - range.start) as usize;
        let bytes = room(&mut self.source, len);
        let tensor = plan.source().require(tensor)?;
        timed(&mut self.spent.reading, || tensor.read(range.start, bytes))?;
        timed(&mut self.spent.writing, || outputs[place.file].write(bytes, place.begin + range.start))
    }

    /// Rows of a linear as values.
    fn read(
        &mut self,
        q: &QuantizedUnit,
        tensor: Tensor<'_>,
        matrix: usize,
        rows: &Range<usize>,
    ) -> Result<Values<'_>> {
        let (shape, dtype) = (q.linear.shape, q.linear.dtype);
        let first = q.first + ((matrix * shape.rows + rows.start) * shape.cols) as u64;
        let bytes = room(&mut self.source, rows.len() * shape.cols * dtype.bytes());
        timed(&mut self.spent.reading, || tensor.read(first * dtype.bytes() as u64, bytes))?;
        Ok(values(bytes, dtype))
    }

    /// Writes a part's share of a tile.
    fn write_part(
        &mut self,
        q: &QuantizedUnit,
        part: &Part,
        place: &Placed,
        outputs: &[Output],
        matrix: usize,
        rows: &Range<usize>,
    ) -> Result<()> {
        let (format, shape) = (&q.recipe.format, q.linear.shape);
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

/// Bytes of a repeated constant that are written at a time.
const FILL: usize = 1 << 16;

/// Writes the parts that do not belong to rows.
fn write_constants(q: &QuantizedUnit, quantizer: &Quantizer, outputs: &[Output]) -> Result<()> {
    for (part, place) in &q.parts {
        let bytes = match &part.holds {
            Holds::Fixed(bytes) => bytes.clone(),
            Holds::TensorScale => {
                quantizer.tensor_scale().stored().iter().flat_map(|s| s.to_le_bytes()).collect()
            }
            Holds::Groups => in_order(&q.recipe.format, q.linear.shape),
            Holds::Repeated(bytes) if !bytes.is_empty() => {
                let fill = bytes.repeat(FILL.div_ceil(bytes.len()));
                for at in (0..part.len()).step_by(fill.len()) {
                    let len = (part.len() - at).min(fill.len() as u64) as usize;
                    outputs[place.file].write(&fill[..len], place.begin + at)?;
                }
                continue;
            }
            _ => continue,
        };
        outputs[place.file].write(&bytes, place.begin)?;
    }
    Ok(())
}

/// The groups of columns that stand in the order of their groups.
fn in_order(format: &Format, shape: Shape) -> Vec<u8> {
    let size = match format.block {
        Block::Group(size) => size,
        _ => shape.cols.max(1),
    };
    (0..shape.cols).flat_map(|column| ((column / size) as i32).to_le_bytes()).collect()
}

fn non_finite(
    q: &QuantizedUnit,
    tensor: Tensor<'_>,
    matrix: usize,
    row: usize,
    col: usize,
    value: f32,
) -> Error {
    let cols = q.linear.shape.cols as u64;
    let index = q.first + (matrix * q.linear.shape.rows + row) as u64 * cols + col as u64;
    Error::NonFinite {
        file: tensor.file.path().to_owned(),
        tensor: q.tensor.clone(),
        index,
        row: index / cols,
        column: col as u64,
        value,
    }
}

/// The first `len` bytes of a buffer of words.
pub(super) fn room(words: &mut Vec<u32>, len: usize) -> &mut [u8] {
    words.resize(len.div_ceil(4), 0);
    &mut bytemuck::cast_slice_mut(words)[..len]
}

/// Little-endian bytes that start at a word, as values. On a big-endian machine they are turned first.
pub(crate) fn values(bytes: &mut [u8], dtype: Dtype) -> Values<'_> {
    if cfg!(target_endian = "big") {
        bytes.chunks_exact_mut(dtype.bytes()).for_each(<[u8]>::reverse);
    }
    match dtype {
        Dtype::F32 => Values::F32(bytemuck::cast_slice::<u8, f32>(bytes)),
        Dtype::F16 => Values::F16(bytemuck::cast_slice::<u8, f16>(bytes)),
        Dtype::Bf16 => Values::Bf16(bytemuck::cast_slice::<u8, bf16>(bytes)),
    }
}
