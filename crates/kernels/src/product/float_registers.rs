//! Products of weights of 4 and 8 bits with f32, where what is decoded stays in registers.
//!
//! ```text
//! 64 codes -> four vectors of values (-> less zero) -> * scale -> * x -> lanes 0-15, 16-31, 0-15, 16-31
//! ```
//!
//! Where a block of 4 bits has many chunks, its zero point and scale go into the table. What follows the last whole chunk of a row goes through a tile.

use super::columns::{COLUMNS, Results, fold_halves};
use super::float_tiles::add_products;
use super::lanes::{SumLanes, WithDecoder, decodes_in_registers};
use super::prefetch::Ahead;
use super::rows::Rows;
use super::tile::Tile;
use crate::Blocks;
use crate::codecs::{Affine, Decoder};
use crate::lanes::{CHUNK, LANES};
use crate::level::{Level, on};
use core::ops::Range;

/// Lanes of 32 for each of sixteen rows of `C` columns.
type RowLanes<const C: usize> = [[[f32; 2 * LANES]; LANES]; C];

/// Whether this loop takes such rows.
pub(super) fn takes(level: Level, rows: &Rows<'_>) -> bool {
    let (len, nibbles) = (rows.blocks.len, rows.element.bits() == 4);
    on!(level, l => decodes_in_registers(l, rows.element))
        && (len == 16 && nibbles || len == 32 || len.is_multiple_of(CHUNK) || len >= rows.len)
}

/// Rows times columns.
pub(super) fn dot(level: Level, rows: Rows<'_>, x: &[f32], out: &mut [f32]) {
    Results::by_columns(
        rows.count,
        out,
        on!(level, l => is_unrolled(l)),
        |results| dot_columns::<COLUMNS>(level, rows, x, results),
        |results| dot_columns::<1>(level, rows, x, results),
    );
}

#[inline(always)]
fn is_unrolled<L: SumLanes>(_: L) -> bool {
    L::UNROLLED
}

/// Rows times `C` columns.
fn dot_columns<const C: usize>(level: Level, rows: Rows<'_>, x: &[f32], mut results: Results<'_>) {
    let len = rows.len;
    let x: [&[f32]; C] = core::array::from_fn(|c| &x[results.column(c) * len..][..len]);
    let mut lanes: RowLanes<C> = [[[0.0; 2 * LANES]; LANES]; C];
    let mut tile = Tile::new();
    let whole = len / CHUNK * CHUNK;
    for first_row in (0..rows.count).step_by(LANES) {
        let count = LANES.min(rows.count - first_row);
        on!(level, l => add_rows(l, rows, first_row..first_row + count, &x, &mut lanes));
        if whole < len {
            for row in 0..count {
                let (codes, blocks) = rows.row(first_row + row);
                let codes = &codes[rows.element.packed_len(whole)..];
                let weights = tile.decode(level, rows.element, codes, blocks, whole, len - whole);
                for (x, lanes) in x.iter().zip(&mut lanes) {
                    add_products(level, weights, x, len, whole, len - whole, &mut lanes[row..=row]);
                }
            }
        }
        results.store(first_row, count, &lanes, |lanes| fold_halves(level, lanes));
    }
}

/// Adds the products of the whole chunks of up to sixteen rows.
#[inline(always)]
fn add_rows<L: SumLanes, const C: usize>(
    l: L,
    rows: Rows<'_>,
    some: Range<usize>,
    x: &[&[f32]; C],
    lanes: &mut RowLanes<C>,
) {
    assert!(C == 1 || L::UNROLLED, "one column at a time");
    l.with_decoder(rows.element, RowsAndColumns { rows, some, x, lanes });
}

/// Some rows, columns, and where their products go.
struct RowsAndColumns<'a, const C: usize> {
    rows: Rows<'a>,
    some: Range<usize>,
    x: &'a [&'a [f32]; C],
    lanes: &'a mut RowLanes<C>,
}

impl<L: SumLanes, const C: usize> WithDecoder<L> for RowsAndColumns<'_, C> {
    const FNUZ: bool = true;

    #[inline(always)]
    fn with<const BYTES: usize>(self, l: L, decoder: impl Decoder<L>) {
        let Self { rows, some, x, lanes } = self;
        let chunks = rows.len / CHUNK;
        let mut x_chunks = [&[][..]; C];
        for (out, x) in x_chunks.iter_mut().zip(x) {
            *out = &x.as_chunks::<CHUNK>().0[..chunks];
        }
        let strides = rows.strides();
        for (lane, row) in some.enumerate() {
            let (codes, blocks) = rows.row(row);
            let ahead = Ahead::of_row(rows, row, strides, 0);
            let mut sums = RowSums { ahead, lanes: [[l.splat(0.0); 2]; C] };
            let codes = &codes.as_chunks::<BYTES>().0[..chunks];
            // 8 bits never come in blocks of 16.
            match blocks.len {
                16 if blocks.scales.len() > 1 && BYTES < CHUNK => {
                    blocks_in_chunks::<L, C, 4, BYTES>(l, decoder, codes, blocks, &x_chunks, &mut sums);
                }
                32 if blocks.scales.len() > 1 => {
                    blocks_in_chunks::<L, C, 2, BYTES>(l, decoder, codes, blocks, &x_chunks, &mut sums);
                }
                len => {
                    let run = if blocks.scales.len() > 1 { len / CHUNK } else { chunks };
                    chunks_in_blocks(l, decoder, codes, blocks, run, &x_chunks, &mut sums);
                }
            }
            for (lanes, sums) in lanes.iter_mut().zip(sums.lanes) {
                let [low, high] = lanes[lane].as_chunks_mut().0 else { unreachable!() };
                l.store(sums[0], low);
                l.store(sums[1], high);
            }
        }
    }
}

/// The lanes of a row for each column.
struct RowSums<'a, L: SumLanes, const C: usize> {
    ahead: Ahead<'a>,
    lanes: [[L::F; 2]; C],
}

impl<L: SumLanes, const C: usize> RowSums<'_, L, C> {
    /// Adds the products of a chunk of `BYTES` bytes.
    #[inline(always)]
    fn add<const BYTES: usize>(
        &mut self,
        l: L,
        [w0, w1, w2, w3]: [L::F; 4],
        x: &[&[[f32; CHUNK]]; C],
        chunk: usize,
    ) {
        self.ahead.codes(l, chunk * BYTES);
        for (sums, x) in self.lanes.iter_mut().zip(x) {
            let [x0, x1, x2, x3] = x[chunk].as_chunks().0 else { unreachable!() };
            let (low, high) = (sums[0] + w0 * l.load(x0), sums[1] + w1 * l.load(x1));
            *sums = [low + w2 * l.load(x2), high + w3 * l.load(x3)];
        }
    }
}

/// Blocks of `run` chunks.
#[inline(always)]
fn chunks_in_blocks<L: SumLanes, const C: usize, const BYTES: usize>(
    l: L,
    decoder: impl Decoder<L>,
    codes: &[[u8; BYTES]],
    blocks: Blocks<'_>,
    run: usize,
    x: &[&[[f32; CHUNK]]; C],
    sums: &mut RowSums<'_, L, C>,
) {
    let mut chunk = 0;
    for (block, codes) in codes.chunks(run.max(1)).enumerate() {
        let zero = blocks.zeros.map(
            #[inline(always)]
            |zeros| l.splat(zeros[block]),
        );
        let decode = decoder.in_block(l, Affine { zero, scale: l.splat(blocks.scales[block]) });
        for codes in codes {
            sums.add::<BYTES>(l, decode(codes), x, chunk);
            chunk += 1;
        }
    }
}

/// `N` blocks per chunk.
#[inline(always)]
fn blocks_in_chunks<L: SumLanes, const C: usize, const N: usize, const BYTES: usize>(
    l: L,
    decoder: impl Decoder<L>,
    codes: &[[u8; BYTES]],
    blocks: Blocks<'_>,
    x: &[&[[f32; CHUNK]]; C],
    sums: &mut RowSums<'_, L, C>,
) {
    let scales = &blocks.scales.as_chunks::<N>().0[..codes.len()];
    for (chunk, (codes, scales)) in codes.iter().zip(scales).enumerate() {
        sums.ahead.scales(l, chunk * N);
        let mut values = decoder.decode(l, codes);
        if let Some(zeros) = blocks.zeros {
            let zeros = &zeros.as_chunks::<N>().0[chunk];
            for i in 0..4 {
                values[i] = values[i] - l.splat(zeros[i * N / 4]);
            }
        }
        for i in 0..4 {
            values[i] = values[i] * l.splat(scales[i * N / 4]);
        }
        sums.add::<BYTES>(l, values, x, chunk);
    }
}
