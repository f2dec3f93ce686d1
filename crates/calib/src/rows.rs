//! Quantization of some rows of a matrix, chunk by chunk: scales, then codes.
//!
//! ```text
//! runs         blocks along the rows or the flat matrix; rows without padding between form one run
//! rectangles   blocks of several rows: strips of whole tiles, as high as the tile, gathered row by row
//! ```

use core::ops::Range;

use lowbit_blocks::grid::Grid;
use lowbit_blocks::{Values, Zero};
use lowbit_kernels::{Blocks, Kernels};

use crate::chunk::Chunk;
use crate::encoder::{Encoder, Quotients};
use crate::error::Error;
use crate::importance::{Weighting, Weights};
use crate::rules::{Chooser, Chosen, Extremes, Fixed, SearchBuffers};

/// Values of a chunk: 16 KB of f32, read or widened. The chunk and the next one stay in the first-
/// or second-level cache.
const CHUNK: usize = 4096;
/// Values of a cache line.
const LINE: usize = 16;
/// Values of a strip of tiles: 4 MB of f32, which stays in the cache that cores share. Reading
/// whole rows of a layer twice from that cache is faster than reading narrower strips once from the
/// second-level cache, since each of their runs begins on another page.
const STRIP: usize = 1 << 20;
/// Values of a strip that is widened first: 256 KB of f32.
const WIDENED_STRIP: usize = 1 << 16;

/// Output buffers for the bytes of some rows. Their exact lengths are those of
/// [`Format`](lowbit_blocks::Format)'s `codes_range`, `scales_range` and `zeros_range`.
#[derive(Debug, Default)]
pub struct Out<'a> {
    /// Codes of the rows.
    pub codes: &'a mut [u8],
    /// Scales of their blocks. `Block::Tensor` writes the scale of the matrix in every call, unless
    /// this buffer is empty.
    pub scales: &'a mut [u8],
    /// Zero points of their blocks, with the same exception.
    pub zeros: &'a mut [u8],
}

/// The rule for the scales of one matrix, and the scale itself if the matrix has only one.
#[derive(Clone, Debug)]
pub(crate) struct MatrixScales {
    pub(crate) chooser: Chooser,
    pub(crate) fixed: Option<Fixed>,
}

/// Buffers of one call.
#[derive(Default)]
struct Buffers {
    extremes: Extremes,
    scales: Vec<f32>,
    zeros: Vec<f32>,
    quotients: Quotients,
    search: SearchBuffers,
}

/// The output of a chunk: codes of each run, and the bytes of its blocks.
struct ChunkOut<'a, I> {
    codes: I,
    scales: &'a mut [u8],
    zeros: &'a mut [u8],
}

/// Quantizes some rows of one matrix.
pub(crate) struct RowQuantizer<'a> {
    grid: &'a Grid,
    kernels: Kernels,
    encoder: &'a Encoder,
    weighting: Option<&'a Weighting>,
    of_matrix: &'a MatrixScales,
    matrix: usize,
    buffers: Buffers,
}

impl<'a> RowQuantizer<'a> {
    pub(crate) fn new(
        grid: &'a Grid,
        kernels: Kernels,
        encoder: &'a Encoder,
        weighting: Option<&'a Weighting>,
        (matrix, of_matrix): (usize, &'a MatrixScales),
    ) -> Self {
        Self { grid, kernels, encoder, weighting, of_matrix, matrix, buffers: Buffers::default() }
    }

    /// Quantizes whole rows whose blocks lie along the rows or along the flat matrix.
    pub(crate) fn runs(&mut self, rows: Range<usize>, values: Values<'_>, out: Out<'_>) -> Result<(), Error> {
        let (grid, matrix, of_matrix) = (self.grid, self.matrix, self.of_matrix);
        let (format, cols) = (grid.format(), grid.shape().cols);
        let (first, first_byte) = (rows.start * cols, grid.bytes(matrix, rows.clone()).start);
        let first_block = grid.blocks(matrix, rows.clone()).start;
        let fixed = of_matrix.fixed.is_some();
        // Scales are chosen from whole blocks.
        let most = if fixed { CHUNK } else { CHUNK.max(grid.unit()) };
        let mut buffer = match values {
            Values::F32(_) => Vec::new(),
            _ => vec![0.0; most.min(values.len()) + LINE],
        };
        // Aligned, since a vector that crosses cache lines takes two loads and two stores.
        let skip = buffer.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE.min(buffer.len()));
        let buffer = &mut buffer[skip..];
        for run in grid.runs(matrix, first..rows.end * cols, most) {
            let (start, end) = (run.values.start - first, run.values.end - first);
            let (len, blocks) = match fixed {
                true => (end - start, 0..0),
                false => (run.len, run.blocks.start - first_block..run.blocks.end - first_block),
            };
            let extremes = &mut self.buffers.extremes;
            let (chunk, finite) =
                of_matrix.chooser.look_widened(values.slice(start..end), len, buffer, extremes);
            let codes = &mut out.codes[run.bytes.start - first_byte..run.bytes.end - first_byte];
            let out = ChunkOut {
                codes: core::iter::once(codes),
                scales: &mut out.scales[format.scale_bytes(blocks.start)..format.scale_bytes(blocks.end)],
                zeros: &mut out.zeros[format.zero_bytes(blocks.start)..format.zero_bytes(blocks.end)],
            };
            let next = values.slice(end..values.len().min(end + (end - start))).as_bytes();
            let place = |at| ((run.values.start + at) / cols, (run.values.start + at) % cols);
            self.chunk(&chunk, finite, out, place, |_| next)?;
        }
        Ok(())
    }

    /// Quantizes rows whose blocks are tiles of several rows, in strips of whole tiles. f32 values
    /// are read in place, others are widened.
    ///
    /// `values` are whole rows, of which `columns` are encoded. The columns start with a tile and
    /// on a byte, and end with a tile or with the row. `codes` are those of the columns in each
    /// row; `scales` and `zeros` are those of their tiles, in a single row of tiles if `columns`
    /// are not all.
    pub(crate) fn tiles(
        &mut self,
        rows: Range<usize>,
        values: Values<'_>,
        columns: Range<usize>,
        codes: &mut [&mut [u8]],
        (scales, zeros): (&mut [u8], &mut [u8]),
    ) -> Result<(), Error> {
        let Some((high, wide)) = self.grid.tiles() else { return Ok(()) };
        let (grid, matrix, of_matrix) = (self.grid, self.matrix, self.of_matrix);
        let (format, cols) = (grid.format(), grid.shape().cols);
        let bytes_of_codes = |codes| format.element.packed_len(codes);
        let first_block = grid.block(matrix, rows.start, columns.start);
        let most = match values {
            Values::F32(_) => STRIP,
            _ => WIDENED_STRIP,
        };
        let mut buffer = Vec::new();
        for top in rows.clone().step_by(high) {
            let height = high.min(rows.end - top);
            let row = top - rows.start;
            // Strips start on a byte, or there is only one.
            let tiles = (most / wide.saturating_mul(height)).max(1);
            let on_bytes = (wide % 8 * format.element.bits() as usize).is_multiple_of(8);
            let strip = if on_bytes { wide.saturating_mul(tiles) } else { columns.len() };
            for left in columns.clone().step_by(strip) {
                let width = strip.min(columns.end - left);
                let chunk = match values {
                    Values::F32(x) => {
                        let last = (row + height - 1) * cols + left;
                        Chunk::rectangle(&x[row * cols + left..last + width], width, cols, wide)
                    }
                    _ => {
                        buffer.resize(height * width, 0.0);
                        for (below, run) in buffer.chunks_exact_mut(width).enumerate() {
                            let start = (row + below) * cols + left;
                            values.widen_into(start..start + width, run);
                        }
                        Chunk::rectangle(&buffer, width, width, wide)
                    }
                };
                let first = grid.block(matrix, top, left) - first_block;
                let blocks = first..first + chunk.blocks();
                let start = bytes_of_codes(left - columns.start);
                let run_bytes = start..start + bytes_of_codes(width);
                let out = ChunkOut {
                    codes: codes[row..row + height].iter_mut().map(|row| &mut row[run_bytes.clone()]),
                    scales: &mut scales[format.scale_bytes(blocks.start)..format.scale_bytes(blocks.end)],
                    zeros: &mut zeros[format.zero_bytes(blocks.start)..format.zero_bytes(blocks.end)],
                };
                // The same row of the next strip, so that memory is busy while codes are computed
                // from the cache.
                let next = |run: usize| {
                    let same = left + width < columns.end;
                    let (row, col) = if same { (row, left + width) } else { (row + height, columns.start) };
                    let start = ((row + run) * cols + col).min(values.len());
                    values.slice(start..values.len().min(start + strip.min(columns.end - col))).as_bytes()
                };
                let finite = of_matrix.chooser.look(&chunk, &mut self.buffers.extremes);
                self.chunk(&chunk, finite, out, |at| (top + at / width, left + at % width), next)?;
            }
        }
        Ok(())
    }

    /// Chooses the scales of a chunk with known extremes, and encodes it. `place` maps a value of
    /// the chunk to its row and column in the matrix. `next` is the data to prefetch after a run.
    fn chunk<'v, 'o>(
        &mut self,
        chunk: &Chunk<'_>,
        finite: bool,
        out: ChunkOut<'_, impl Iterator<Item = &'o mut [u8]>>,
        place: impl Fn(usize) -> (usize, usize),
        next: impl Fn(usize) -> &'v [u8],
    ) -> Result<(), Error> {
        let Self { kernels, encoder, weighting, .. } = *self;
        let MatrixScales { chooser, fixed } = self.of_matrix;
        let Buffers { extremes, scales, zeros, quotients, search } = &mut self.buffers;
        if !finite {
            let found = |(index, run): (usize, &[f32])| {
                kernels.first_non_finite(run).map(|at| (index * chunk.width + at, run[at]))
            };
            if let Some((at, value)) = chunk.runs().enumerate().find_map(found) {
                let (row, col) = place(at);
                return Err(Error::NonFinite { matrix: self.matrix, row, col, value });
            }
        }
        let (scales, zeros) = match fixed {
            Some(fixed) => (&fixed.scale[..], &fixed.zero[..]),
            None => {
                scales.resize(chunk.blocks(), 0.0);
                zeros.resize(if out.zeros.is_empty() { 0 } else { chunk.blocks() }, 0.0);
                let mut chosen = Chosen { stored: out.scales, scales, zero_codes: out.zeros, zeros };
                let weights = || {
                    let first = place(0).1;
                    weighting.map_or(Weights::Uniform, |of| Weights::Columns { of, first })
                };
                let levels = &self.grid.format().scale;
                if levels.outer.count().is_some() {
                    chooser.super_block_scales(levels, chunk, weights(), extremes, &mut chosen);
                } else {
                    chooser.choose(extremes, &mut chosen);
                    chooser.raise_short_block(chunk, &mut chosen);
                }
                if levels.outer.count().is_none() && chooser.candidates() > 0 {
                    let weights = weights();
                    chooser.search(encoder, chunk, weights, extremes, &mut chosen, search);
                }
                chooser.replace(chunk, &mut chosen);
                (&scales[..], &zeros[..])
            }
        };
        let zeros = (!zeros.is_empty()).then_some(zeros);
        for (run, (values, codes)) in chunk.runs().zip(out.codes).enumerate() {
            encoder.encode(values, Blocks { len: chunk.len, scales, zeros }, codes, quotients, next(run));
        }
        Ok(())
    }

    /// Writes the scales of blocks without values, in a matrix without columns.
    pub(crate) fn empty_blocks(&mut self, out: Out<'_>) {
        let format = self.grid.format();
        let blocks = out.scales.len() / format.scale.kind.bytes();
        let zeros = if format.zero == Zero::None { 0 } else { blocks };
        let (mut scales, mut zero_values) = (vec![0.0; blocks], vec![0.0; zeros]);
        let mut chosen = Chosen {
            stored: out.scales,
            scales: &mut scales,
            zero_codes: out.zeros,
            zeros: &mut zero_values,
        };
        self.of_matrix.chooser.choose(&Extremes::zeros(blocks), &mut chosen);
    }
}
