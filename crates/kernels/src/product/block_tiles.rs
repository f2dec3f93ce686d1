//! Products of blocks by way of tiles, sixteen blocks at a time, whose lanes are in memory: what no other loop takes, and levels that have no others.

use super::columns::{COLUMNS, fold_halves, fold_row};
use super::plan::Plan;
use super::prepared::{Prepared, Values};
use super::rows::Rows;
use super::scales::{ScaleRange, Scales, spread};
use super::tile::{TILE, Tile};
use crate::Blocks;
use crate::lanes::{CHUNK, LANES, Lanes};
use crate::level::{Level, on};

/// Blocks of weights that a tile has at most, the first and the last one in part.
const SCALES: usize = TILE / LANES + 1;

/// Rows times columns.
pub(super) fn dot(
    level: Level,
    rows: Rows<'_>,
    scales: Scales<'_>,
    x: Prepared<'_>,
    plan: Plan,
    out: &mut [f32],
) {
    let columns = out.len() / rows.count;
    let mut buffers = Buffers { weights: Tile::new(), x: Tile::new(), sums: [EMPTY; COLUMNS] };
    for (row, ((codes, blocks), out)) in rows.iter().zip(out.chunks_mut(columns)).enumerate() {
        let start = row * rows.blocks_per_row();
        let row = Row { level, rows, codes, blocks, scales, start, plan };
        for (first, out) in (0..).step_by(COLUMNS).zip(out.chunks_mut(COLUMNS)) {
            row.times(x, first, &mut buffers, out);
        }
    }
}

struct Buffers {
    weights: Tile,
    x: Tile,
    sums: [BlockLanes; COLUMNS],
}

/// Lanes of each of sixteen blocks.
type BlockLanes = [[f32; 2 * LANES]; LANES];
const EMPTY: BlockLanes = [[0.0; 2 * LANES]; LANES];

struct Row<'a> {
    level: Level,
    rows: Rows<'a>,
    codes: &'a [u8],
    /// Of this row, but for the scales.
    blocks: Blocks<'a>,
    scales: Scales<'a>,
    /// The first scale of this row.
    start: usize,
    plan: Plan,
}

impl Row<'_> {
    /// Up to [`COLUMNS`] columns. A tile has whole groups of sixteen blocks, or a group has whole tiles.
    fn times(&self, x: Prepared<'_>, first: usize, buffers: &mut Buffers, out: &mut [f32]) {
        let (len, block) = (self.rows.len, self.plan.block);
        let group = block.saturating_mul(LANES);
        let Buffers { weights, x: x_tile, sums } = buffers;
        let sums = &mut sums[..out.len()];
        sums.fill(EMPTY);
        let mut lanes = [[0.0; LANES]; COLUMNS];
        for tile in (0..len).step_by(TILE) {
            let tile_end = len.min(tile + TILE);
            let weights = self.decode(weights, tile, tile_end - tile);
            for at in (tile..tile_end).step_by(group) {
                let (start, end) = (at / group * group, tile_end.min(at.saturating_add(group)));
                let weights = &weights[(at - tile) / CHUNK..(end - tile).div_ceil(CHUNK)];
                for (c, sums) in sums.iter_mut().enumerate() {
                    let x = values(self.level, x.column(first + c), at, end, x_tile);
                    let (before, inside) = ((at - start) / block, (at - start) % block);
                    add_to_blocks(self.level, weights, x, block, inside, &mut sums[before..]);
                }
                if end == len || end - start == group {
                    self.add_terms(x, first, start / block, (end - start).div_ceil(block), sums, &mut lanes);
                    sums.fill(EMPTY);
                }
            }
        }
        for (out, lanes) in out.iter_mut().zip(lanes) {
            *out = fold_row(lanes);
        }
    }

    /// Adds the terms of up to sixteen blocks.
    fn add_terms(
        &self,
        x: Prepared<'_>,
        first: usize,
        first_block: usize,
        blocks: usize,
        sums: &[BlockLanes],
        lanes: &mut [[f32; LANES]; COLUMNS],
    ) {
        let mut x_scales = [0.0; LANES];
        let scales = self.scales_from(first_block, blocks);
        for (c, (sums, lanes)) in sums.iter().zip(lanes).enumerate() {
            spread(x.column(first + c).scales, self.plan.x_run, first_block, blocks, &mut x_scales);
            let sums = fold_halves(self.level, sums);
            for (i, lane) in lanes.iter_mut().enumerate() {
                *lane += (sums[i] * scales[i]) * x_scales[i];
            }
        }
    }

    /// Scales of up to sixteen blocks.
    fn scales_from(&self, first: usize, blocks: usize) -> [f32; LANES] {
        self.scales.of_sixteen_blocks(
            self.level,
            ScaleRange { start: self.start, run: self.plan.run, first, blocks },
        )
    }

    /// `len` values from `at` on, without their scale.
    fn decode<'t>(&self, tile: &'t mut Tile, at: usize, len: usize) -> &'t [[f32; CHUNK]] {
        let e = self.rows.element;
        let Blocks { len: block, zeros, .. } = self.blocks;
        let (first, inside) = if block >= self.rows.len { (0, 0) } else { (at / block, at % block) };
        let count = (inside + len).div_ceil(block);
        let zeros = zeros.map(|zeros| &zeros[first..][..count]);
        let blocks = Blocks { len: block, scales: &[1.0; SCALES][..count], zeros };
        tile.decode(self.level, e, &self.codes[e.packed_len(at)..], blocks, inside, len)
    }
}

/// Values `at..end` of a column, padded to whole chunks.
fn values<'a>(
    level: Level,
    x: Prepared<'a>,
    at: usize,
    end: usize,
    tile: &'a mut Tile,
) -> &'a [[f32; CHUNK]] {
    match x.values {
        Values::Float(x) if (end - at).is_multiple_of(CHUNK) => x[at..end].as_chunks().0,
        Values::Float(x) => tile.copy(&x[at..end]),
        // The padding is zeros.
        Values::Int { codes, step, .. } => {
            tile.widen(level, codes[at..][..(end - at).next_multiple_of(CHUNK)].as_chunks().0, step)
        }
    }
}

/// Adds the products of a tile to the 32 lanes of each of its blocks: `block` values each, of which the first has had `had` before.
fn add_to_blocks(
    level: Level,
    weights: &[[f32; CHUNK]],
    x: &[[f32; CHUNK]],
    block: usize,
    had: usize,
    lanes: &mut [[f32; 2 * LANES]],
) {
    let (weights, x) = (weights.as_flattened(), x.as_flattened());
    let weights = weights.as_chunks::<LANES>().0;
    let x = &x.as_chunks::<LANES>().0[..weights.len()];
    let (mut vector, mut end) = (0, (block - had) / LANES);
    on!(level, l => {
        for lanes in lanes {
            let [low, high] = lanes.as_chunks_mut().0 else { unreachable!() };
            let (mut a, mut b) = (l.load(low), l.load(high));
            let end_here = end.min(weights.len());
            while vector < end_here {
                a += l.load(&weights[vector]) * l.load(&x[vector]);
                vector += 1;
                if vector < end_here {
                    b += l.load(&weights[vector]) * l.load(&x[vector]);
                    vector += 1;
                }
            }
            l.store(a, low);
            l.store(b, high);
            end = end.saturating_add(block / LANES);
        }
    });
}
