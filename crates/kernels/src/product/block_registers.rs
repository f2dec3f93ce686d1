//! Products of blocks with f32 where what is decoded stays in registers, sixteen blocks at a time.
//!
//! ```text
//! 64 codes -> four vectors of values -> * x -> sixteen lanes of each block, those of 16-31 added to those of 0-15
//! sixteen blocks -> folded together -> * scale -> * x scale -> sixteen lanes of the row
//! ```
//!
//! Lanes of a block start with their first product: adding it to +0.0 would only make +0.0 of -0.0, and the lanes of the row, which the sum of the block
//! is added to, are never -0.0.

use super::columns::{COLUMNS, Results, fold};
use super::lanes::{SumLanes, WithDecoder, first_lanes};
use super::plan::{HALF_CHUNK, Plan};
use super::prefetch::Ahead;
use super::prepared::{Prepared, Values};
use super::rows::Rows;
use super::scales::groups::{LaidOut, ScaleGroups};
use super::scales::{ScaleBuffer, ScaleMemory, ScaleRange, Scales, spread};
use super::tile::{TILE, Tile};
use crate::codecs::Decoder;
use crate::lanes::{CHUNK, LANES};
use crate::level::{Level, on};

/// Blocks at a time.
const PIECE: usize = 256;
/// Chunks of sixteen blocks of half a chunk.
const GROUP: usize = LANES * HALF_CHUNK / CHUNK;

/// Lanes of sixteen rows.
type RowLanes = [[f32; LANES]; LANES];

/// Rows times columns.
pub(super) fn dot(
    level: Level,
    rows: Rows<'_>,
    scales: Scales<'_>,
    x: Prepared<'_>,
    plan: Plan,
    out: &mut [f32],
) {
    let operands = Operands { level, rows, scales, plan };
    Results::by_columns(
        rows.count,
        out,
        true,
        |results| product::<COLUMNS>(operands, x, results),
        |results| product::<1>(operands, x, results),
    );
}

/// What stays the same in all loops.
#[derive(Clone, Copy)]
struct Operands<'a> {
    level: Level,
    rows: Rows<'a>,
    /// Of all rows, in place of those of `rows`.
    scales: Scales<'a>,
    plan: Plan,
}

/// Rows times `C` columns.
fn product<const C: usize>(operands: Operands<'_>, x: Prepared<'_>, mut results: Results<'_>) {
    let Operands { level, rows, plan, .. } = operands;
    let mut x = Columns::<C>::new(x, &results);
    let mut memory = ScaleMemory::<PIECE>::ZEROS;
    let mut buffer = memory.buffer();
    let piece = match x.widened {
        Some(_) => TILE / plan.block,
        None => PIECE,
    };
    let is_one = plan.blocks <= piece;
    for first_row in (0..rows.count).step_by(LANES) {
        let count = LANES.min(rows.count - first_row);
        let mut lanes: [RowLanes; C] = [[[0.0; LANES]; LANES]; C];
        // Rows of several pieces are read one after the other, as they lie, if nothing has to be widened for them.
        let together = if is_one || x.widened.is_some() { count } else { 1 };
        for row in (0..count).step_by(together) {
            for first_block in (0..plan.blocks).step_by(piece) {
                let blocks = piece.min(plan.blocks - first_block);
                if !is_one || first_row == 0 {
                    x.lay_out(level, plan, first_block, blocks);
                }
                let panel = Panel {
                    operands,
                    first_row: first_row + row,
                    count: together,
                    first_block,
                    blocks,
                    x: core::array::from_fn(|c| x.values(c, first_block * plan.block).as_chunks().0),
                    last: x.last.each_ref().map(|x| &x[..]),
                    x_scales: &x.scales,
                    buffer: &mut buffer,
                    lanes: &mut lanes,
                    lane: row,
                };
                on!(level, l => add_groups(l, panel));
            }
        }
        results.store(first_row, count, &lanes, |lanes| fold(level, lanes));
    }
}

/// `C` columns, and what a piece of them is laid out in.
struct Columns<'a, const C: usize> {
    x: [Prepared<'a>; C],
    /// Integers as f32.
    widened: Option<[Tile; C]>,
    /// The last group, if it ends with a part of a chunk, then zeros.
    last: [[[f32; CHUNK]; GROUP]; C],
    /// One for each block, then zeros.
    scales: [[f32; PIECE]; C],
}

impl<'a, const C: usize> Columns<'a, C> {
    fn new(x: Prepared<'a>, results: &Results<'_>) -> Self {
        let widened = matches!(x.values, Values::Int { .. }).then(|| core::array::from_fn(|_| Tile::new()));
        let x = core::array::from_fn(|c| x.column(results.column(c)));
        Self { x, widened, last: [[[0.0; CHUNK]; GROUP]; C], scales: [[0.0; PIECE]; C] }
    }

    /// Some blocks.
    fn lay_out(&mut self, level: Level, plan: Plan, first_block: usize, blocks: usize) {
        let first = first_block * plan.block;
        let values = (self.x[0].len - first).min(blocks * plan.block);
        let group = values / (GROUP * CHUNK) * GROUP * CHUNK;
        for c in 0..C {
            let x = self.x[c];
            spread(x.scales, plan.x_run, first_block, blocks, &mut self.scales[c]);
            if let (Values::Int { codes, step, .. }, Some(tiles)) = (x.values, &mut self.widened) {
                // The padding is zeros.
                let codes = &codes[first..][..values.next_multiple_of(CHUNK)];
                tiles[c].widen(level, codes.as_chunks().0, step);
            }
            if !values.is_multiple_of(CHUNK) {
                let mut last = [[0.0; CHUNK]; GROUP];
                last.as_flattened_mut()[..values - group]
                    .copy_from_slice(&self.values(c, first)[group..values]);
                self.last[c] = last;
            }
        }
    }

    /// What was laid out of a column, with more after it: the first value is that of its place.
    fn values(&self, c: usize, first: usize) -> &[f32] {
        match (self.x[c].values, &self.widened) {
            (Values::Float(values), _) => &values[first..],
            (_, Some(tiles)) => tiles[c].values(),
            _ => unreachable!("integers are widened"),
        }
    }
}

/// Up to sixteen rows, up to [`PIECE`] blocks of each, and `C` columns there.
struct Panel<'a, 'r, const C: usize> {
    operands: Operands<'a>,
    first_row: usize,
    count: usize,
    /// Which of the sixteen lanes of rows is that of the first row.
    lane: usize,
    first_block: usize,
    blocks: usize,
    /// The whole chunks of those blocks.
    x: [&'a [[f32; CHUNK]]; C],
    /// The last group, if it ends with a part of a chunk, with zeros after it.
    last: [&'a [[f32; CHUNK]]; C],
    /// One for each block, then zeros.
    x_scales: &'a [[f32; PIECE]; C],
    buffer: &'a mut ScaleBuffer<'r>,
    lanes: &'a mut [RowLanes; C],
}

/// Adds the terms of all blocks to the lanes of each row.
#[inline(always)]
fn add_groups<L: SumLanes, const C: usize>(l: L, panel: Panel<'_, '_, C>) {
    if L::UNROLLED {
        l.with_decoder(panel.operands.rows.element, panel);
    }
}

impl<L: SumLanes, const C: usize> WithDecoder<L> for Panel<'_, '_, C> {
    const FNUZ: bool = false;

    #[inline(always)]
    fn with<const BYTES: usize>(self, l: L, decoder: impl Decoder<L>) {
        let Self {
            operands: Operands { level, rows, scales, plan }, first_block, blocks, buffer, lanes, ..
        } = self;
        let first = first_block * plan.block;
        let values = (rows.len - first).min(blocks * plan.block);
        let (skip, bytes) = (rows.element.packed_len(first), rows.element.packed_len(values));
        let strides = rows.strides();
        let is_whole = values.is_multiple_of(CHUNK);
        let per_group = LANES * plan.block / CHUNK;
        let mut last_codes = [[0; BYTES]; GROUP];
        for row in 0..self.count {
            let (place, lane) = (self.first_row + row, self.lane + row);
            let ahead = Ahead::of_codes(&rows.codes[place * strides.0 + skip..]);
            let codes = &ahead.all_codes()[..bytes];
            let range = ScaleRange { start: place * strides.1, run: plan.run, first: first_block, blocks };
            let scales = LaidOut::new(scales.lay_out(l, level, range, buffer), blocks / LANES);
            let mut sum = [l.splat(0.0); C];
            for c in 0..C {
                sum[c] = l.load(&lanes[c][lane]);
            }
            for group in 0..blocks.div_ceil(LANES) {
                let (left, start) = (blocks - group * LANES, group * per_group);
                let ahead = Ahead::of_codes(ahead.all_codes().get(start * BYTES..).unwrap_or(&[]));
                let chunks = if is_whole || left > LANES {
                    Chunks::<C, BYTES>::from(codes, self.x, start, per_group, ahead)
                } else {
                    let tail = &codes[start * BYTES..];
                    last_codes.as_flattened_mut()[..tail.len()].copy_from_slice(tail);
                    Chunks::<C, BYTES>::from(last_codes.as_flattened(), self.last, 0, left.div_ceil(2), ahead)
                };
                let mut quarters = [[l.splat(0.0); 4]; C];
                for quarter in 0..left.min(LANES).div_ceil(4) {
                    let sums = if plan.block == HALF_CHUNK {
                        chunks.short(l, decoder, 2 * quarter)
                    } else {
                        chunks.long(l, decoder, plan.block / CHUNK, 4 * quarter)
                    };
                    for c in 0..C {
                        quarters[c][quarter % 4] = sums[c];
                    }
                }
                let scales = if left < LANES {
                    // What follows them may be infinite.
                    first_lanes(l, scales.last(l), left)
                } else {
                    scales.group(l, group)
                };
                for c in 0..C {
                    let x_scales = l.load(&self.x_scales[c].as_chunks().0[group]);
                    sum[c] = sum[c] + (l.add_quarters(quarters[c]) * scales) * x_scales;
                }
            }
            for c in 0..C {
                l.store(sum[c], &mut lanes[c][lane]);
            }
        }
    }
}

/// Up to sixteen blocks in whole chunks.
struct Chunks<'a, const C: usize, const BYTES: usize> {
    codes: &'a [[u8; BYTES]],
    x: [&'a [[f32; CHUNK]]; C],
    /// From the first of them on.
    ahead: Ahead<'a>,
}

impl<'a, const C: usize, const BYTES: usize> Chunks<'a, C, BYTES> {
    /// The `count` chunks from `first` on, as far as there are any.
    #[inline(always)]
    fn from(
        codes: &'a [u8],
        x: [&'a [[f32; CHUNK]]; C],
        first: usize,
        count: usize,
        ahead: Ahead<'a>,
    ) -> Self {
        let codes = &codes.as_chunks().0[first..];
        let codes = &codes[..count.min(codes.len())];
        let mut some = [&[][..]; C];
        for c in 0..C {
            some[c] = &x[c][first..][..codes.len()];
        }
        Self { codes, x: some, ahead }
    }

    /// Four blocks of half a chunk each, from chunk `first` on, as far as there are any.
    #[inline(always)]
    fn short<L: SumLanes>(&self, l: L, decoder: impl Decoder<L>, first: usize) -> [L::F; C] {
        let mut sums = [[l.splat(0.0); 4]; C];
        for half in 0..2 {
            let i = first + half;
            let Some(codes) = self.codes.get(i) else { break };
            self.ahead.codes(l, i * BYTES);
            let [w0, w1, w2, w3] = decoder.decode(l, codes);
            for (sums, x) in sums.iter_mut().zip(&self.x) {
                let [x0, x1, x2, x3] = x[i].as_chunks().0 else { unreachable!() };
                sums[2 * half] = w0 * l.load(x0) + w1 * l.load(x1);
                sums[2 * half + 1] = w2 * l.load(x2) + w3 * l.load(x3);
            }
        }
        fold_fours(l, sums)
    }

    /// Four blocks of `run` chunks each, from block `first` on, as far as there are any.
    #[inline(always)]
    fn long<L: SumLanes>(&self, l: L, decoder: impl Decoder<L>, run: usize, first: usize) -> [L::F; C] {
        let mut sums = [[l.splat(0.0); 4]; C];
        let codes = &self.codes[first * run..];
        for (block, codes) in codes.chunks(run).enumerate().take(4) {
            let mut lanes = [[l.splat(0.0); 2]; C];
            for (i, codes) in codes.iter().enumerate() {
                self.ahead.codes(l, ((first + block) * run + i) * BYTES);
                let [w0, w1, w2, w3] = decoder.decode(l, codes);
                for (lanes, x) in lanes.iter_mut().zip(&self.x) {
                    let [x0, x1, x2, x3] = x[(first + block) * run + i].as_chunks().0 else { unreachable!() };
                    let (low, high) = (lanes[0] + w0 * l.load(x0), lanes[1] + w1 * l.load(x1));
                    *lanes = [low + w2 * l.load(x2), high + w3 * l.load(x3)];
                }
            }
            for (sums, lanes) in sums.iter_mut().zip(lanes) {
                sums[block % 4] = lanes[0] + lanes[1];
            }
        }
        fold_fours(l, sums)
    }
}

/// Four vectors of each column to one.
#[inline(always)]
fn fold_fours<L: SumLanes, const C: usize>(l: L, sums: [[L::F; 4]; C]) -> [L::F; C] {
    let mut folded = [l.splat(0.0); C];
    for c in 0..C {
        folded[c] = l.add_four(sums[c]);
    }
    folded
}
