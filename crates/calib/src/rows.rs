//! One call of `quantize_rows`: chunks of the rows, their scales, their codes.
//!
//! ```text
//! stream   blocks along the rows, or along the flat matrix; rows without padding between them are one stream
//! tiles    strips of whole tiles as high as the tile, gathered run by run
//! ```

use core::ops::Range;

use lowbit_blocks::{Block, Values, Zero};
use lowbit_kernels::Blocks;

use crate::chunk::Chunk;
use crate::encoder::Quotients;
use crate::error::Error;
use crate::quantizer::{Matrix, Out, Quantizer};
use crate::rules::{Chosen, Extremes, SearchBuffers};

/// Values of a chunk: 32 KB of f32, read or widened, which stay in the first- or second-level cache, as does the chunk after it.
const CHUNK: usize = 4096;
/// Values of a cache line.
const LINE: usize = 16;
/// Values of a strip of tiles: 4 MB of f32, which stays in the cache that cores share. Whole rows of a layer, one after the other, are
/// read faster twice from there than runs of narrower strips, which begin a page each, once from the second-level cache.
const STRIP: usize = 1 << 20;
/// The same for values that are widened first: 256 KB of f32.
const WIDENED_STRIP: usize = 1 << 16;

/// Buffers of one call.
#[derive(Default)]
struct Scratch {
    seen: Extremes,
    scales: Vec<f32>,
    zeros: Vec<f32>,
    quotients: Quotients,
    search: SearchBuffers,
}

/// Where the bytes of a chunk go: the codes of each of its runs, and those of its blocks.
struct ChunkOut<'a, I> {
    codes: I,
    scales: &'a mut [u8],
    zeros: &'a mut [u8],
}

/// One call of `quantize_rows`.
pub(crate) struct Pass<'a> {
    quantizer: &'a Quantizer,
    of_matrix: &'a Matrix,
    matrix: usize,
    first_row: usize,
    scratch: Scratch,
}

impl<'a> Pass<'a> {
    pub(crate) fn new(
        quantizer: &'a Quantizer,
        of_matrix: &'a Matrix,
        matrix: usize,
        first_row: usize,
    ) -> Self {
        Self { quantizer, of_matrix, matrix, first_row, scratch: Scratch::default() }
    }

    /// Blocks along the rows, or along the flat matrix.
    pub(crate) fn streams(&mut self, rows: usize, values: Values<'_>, out: Out<'_>) -> Result<(), Error> {
        let format = self.quantizer.recipe.format;
        let bits = format.element.bits() as usize;
        let cols = self.quantizer.shape.cols;
        // Rows without padding between them are one stream.
        let dense = matches!(format.block, Block::Flat(_)) || (cols * bits).is_multiple_of(8);
        let stream = if dense { rows * cols } else { cols };
        let len = match format.block {
            Block::Channel => cols,
            Block::Group(len) | Block::Flat(len) => len,
            _ => CHUNK.min(stream),
        };
        // A whole number of blocks that ends on a byte; a block of a flat format may be longer than any tensor.
        let bytes = if (len % 8 * bits).is_multiple_of(8) { 1 } else { 8 };
        let step = len.saturating_mul((CHUNK / len).max(1).next_multiple_of(bytes)).min(stream);
        let row_bytes = format.row_bytes(cols);
        let fixed = self.of_matrix.fixed.is_some();
        let (mut scales, mut zeros) =
            if fixed { (&mut [][..], &mut [][..]) } else { (out.scales, out.zeros) };
        let mut buffer = match values {
            Values::F32(_) => Vec::new(),
            _ => vec![0.0; step + LINE],
        };
        // A vector that crosses cache lines takes two loads, and two stores.
        let skip = buffer.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE.min(buffer.len()));
        let buffer = &mut buffer[skip..];
        for (index, first) in (0..values.len()).step_by(stream).enumerate() {
            for start in (first..first + stream).step_by(step) {
                let chunk = values.slice(start..(start + step).min(first + stream));
                let end = start + chunk.len();
                let len = if fixed { chunk.len() } else { len };
                let chooser = &self.of_matrix.chooser;
                let (chunk, finite) = chooser.look_widened(chunk, len, buffer, &mut self.scratch.seen);
                let blocks = if fixed { 0 } else { chunk.blocks() };
                let at = index * row_bytes + (start - first) * bits / 8;
                let codes = &mut out.codes[at..at + chunk.run_bytes(format.element)];
                let out = ChunkOut {
                    codes: core::iter::once(codes),
                    scales: take(&mut scales, format.scale_bytes(blocks)),
                    zeros: take(&mut zeros, format.zero_bytes(blocks)),
                };
                let next = values.slice(end..(end + step).min(values.len())).as_bytes();
                self.chunk(&chunk, finite, out, |at| ((start + at) / cols, (start + at) % cols), |_| next)?;
            }
        }
        Ok(())
    }

    /// Blocks of several rows: strips of whole tiles, where they are if they are f32, else widened.
    ///
    /// `values` are whole rows, of which some columns are encoded: they start with a tile, and on a byte, and end with one or with the row. `codes` are
    /// those of the columns for each row.
    pub(crate) fn tiles(
        &mut self,
        (high, wide): (usize, usize),
        values: Values<'_>,
        columns: Range<usize>,
        codes: &mut [&mut [u8]],
        (scales, zeros): (&mut [u8], &mut [u8]),
    ) -> Result<(), Error> {
        let format = self.quantizer.recipe.format;
        let bits = format.element.bits() as usize;
        let cols = self.quantizer.shape.cols;
        let tiles_across = columns.len().div_ceil(wide);
        let rows = values.len() / cols;
        let most = match values {
            Values::F32(_) => STRIP,
            _ => WIDENED_STRIP,
        };
        let mut buffer = Vec::new();
        for (tile_row, top) in (0..rows).step_by(high).enumerate() {
            let height = high.min(rows - top);
            let tiles = (most / wide.saturating_mul(height)).max(1);
            // Strips start on a byte, or there is only one.
            let strip =
                if (wide % 8 * bits).is_multiple_of(8) { wide.saturating_mul(tiles) } else { columns.len() };
            for left in columns.clone().step_by(strip) {
                let width = strip.min(columns.end - left);
                let chunk = match values {
                    Values::F32(x) => {
                        let last = (top + height - 1) * cols + left;
                        Chunk::tiles(&x[top * cols + left..last + width], width, cols, wide)
                    }
                    _ => {
                        buffer.resize(height * width, 0.0);
                        for (row, run) in buffer.chunks_exact_mut(width).enumerate() {
                            let start = (top + row) * cols + left;
                            values.widen_into(start..start + width, run);
                        }
                        Chunk::tiles(&buffer, width, width, wide)
                    }
                };
                let inside = left - columns.start;
                let first = tile_row * tiles_across + inside / wide;
                let last = first + chunk.blocks();
                let run_bytes = inside * bits / 8..inside * bits / 8 + chunk.run_bytes(format.element);
                let out = ChunkOut {
                    codes: codes[top..top + height].iter_mut().map(|row| &mut row[run_bytes.clone()]),
                    scales: &mut scales[format.scale_bytes(first)..format.scale_bytes(last)],
                    zeros: &mut zeros[format.zero_bytes(first)..format.zero_bytes(last)],
                };
                // The same row of the strip after it: memory would stand idle while codes are made of what lies in a cache.
                let next = |run: usize| {
                    let same = left + width < columns.end;
                    let (row, col) = if same { (top, left + width) } else { (top + height, columns.start) };
                    let start = ((row + run) * cols + col).min(values.len());
                    values.slice(start..values.len().min(start + strip.min(columns.end - col))).as_bytes()
                };
                let finite = self.of_matrix.chooser.look(&chunk, &mut self.scratch.seen);
                self.chunk(&chunk, finite, out, |at| (top + at / width, left + at % width), next)?;
            }
        }
        Ok(())
    }

    /// Chooses the scales of a chunk that has been looked at and encodes it. `place` says which row and column of the call a value of the chunk is.
    /// `next` says what will be read after a run.
    fn chunk<'v, 'o>(
        &mut self,
        chunk: &Chunk<'_>,
        finite: bool,
        out: ChunkOut<'_, impl Iterator<Item = &'o mut [u8]>>,
        place: impl Fn(usize) -> (usize, usize),
        next: impl Fn(usize) -> &'v [u8],
    ) -> Result<(), Error> {
        let Quantizer { kernels, encoder, .. } = self.quantizer;
        let Matrix { chooser, fixed } = self.of_matrix;
        let Scratch { seen, scales, zeros, quotients, search } = &mut self.scratch;
        if !finite {
            let found = |(index, run): (usize, &[f32])| {
                kernels.first_non_finite(run).map(|at| (index * chunk.width + at, run[at]))
            };
            if let Some((at, value)) = chunk.runs().enumerate().find_map(found) {
                let (row, col) = place(at);
                return Err(Error::NonFinite { matrix: self.matrix, row: self.first_row + row, col, value });
            }
        }
        let (scales, zeros) = match fixed {
            Some(fixed) => (&fixed.scale[..], &fixed.zero[..]),
            None => {
                scales.resize(chunk.blocks(), 0.0);
                zeros.resize(if out.zeros.is_empty() { 0 } else { chunk.blocks() }, 0.0);
                let mut chosen = Chosen { stored: out.scales, scales, zero_codes: out.zeros, zeros };
                chooser.choose(seen, &mut chosen);
                chooser.raise_short_block(chunk, &mut chosen);
                if chooser.candidates() > 0 {
                    let weights = self.quantizer.weights(place(0).1);
                    chooser.search(encoder, chunk, weights, seen, &mut chosen, search);
                }
                (&scales[..], &zeros[..])
            }
        };
        let zeros = (!zeros.is_empty()).then_some(zeros);
        for (run, (values, codes)) in chunk.runs().zip(out.codes).enumerate() {
            encoder.encode(values, Blocks { len: chunk.len, scales, zeros }, codes, quotients, next(run));
        }
        Ok(())
    }

    /// The scales of blocks that hold no value, in a matrix without columns.
    pub(crate) fn empty_blocks(&mut self, out: Out<'_>) {
        let format = &self.quantizer.recipe.format;
        let blocks = out.scales.len() / format.scale.kind.bytes();
        let zeros = if format.zero == Zero::None { 0 } else { blocks };
        let (mut scales, mut zero_values) = (vec![0.0; blocks], vec![0.0; zeros]);
        let chosen = Chosen {
            stored: out.scales,
            scales: &mut scales,
            zero_codes: out.zeros,
            zeros: &mut zero_values,
        };
        self.of_matrix.chooser.choose(&Extremes::zeros(blocks), &mut { chosen });
    }
}

/// Splits the first `n` bytes off.
pub(crate) fn take<'a>(bytes: &mut &'a mut [u8], n: usize) -> &'a mut [u8] {
    let (taken, rest) = core::mem::take(bytes).split_at_mut(n);
    *bytes = rest;
    taken
}
