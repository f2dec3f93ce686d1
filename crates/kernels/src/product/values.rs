//! Rows times quantized activations that are not whole numbers of steps on both sides: values are decoded without their
//! scales and summed block by block, sixteen blocks at a time.
//!
//! ```text
//! one block a row                     f32 products, whose sums are scaled                 here, and float.rs
//! where a level has a loop for them   from register to register                           columns.rs, terms.rs
//! what is left                        a tile of decoded values, lanes of blocks in memory here
//! ```

use super::columns;
use super::float::{self, fold_neighbours};
use super::plan::{Plan, spread};
use super::scales::Which;
use super::tile::{TILE, Tile};
use super::{Prepared, Rows, Scales, Values};
use crate::Blocks;
use crate::lanes::{CHUNK, LANES};
use crate::level::Level;

/// Values of blocks that have a loop of their own: those of int8 activations.
const SHORT: usize = 2 * LANES;
/// Columns that share a decoded tile.
const COLUMNS: usize = 4;
/// Blocks of weights that a tile has at most, the first and the last one in part.
const SCALES: usize = TILE / LANES + 1;

pub(super) fn dot(
    level: Level,
    rows: Rows<'_>,
    scales: Scales<'_>,
    x: Prepared<'_>,
    plan: Plan,
    out: &mut [f32],
) {
    match x.values {
        Values::Float(values) if plan.blocks == 1 => whole_rows(level, rows, scales, values, x.scales, out),
        _ if columns::takes(level, &rows, &x, plan) => columns::dot(level, rows, scales, x, plan, out),
        _ => tiles(level, rows, scales, x, plan, out),
    }
}

/// One block a row: f32 products whose sums are scaled.
fn whole_rows(
    level: Level,
    rows: Rows<'_>,
    scales: Scales<'_>,
    x: &[f32],
    x_scales: &[f32],
    out: &mut [f32],
) {
    let columns = out.len() / rows.count;
    let bytes = rows.element.packed_len(rows.len);
    for (first, out) in (0..).step_by(LANES).zip(out.chunks_mut(LANES * columns)) {
        let count = out.len() / columns;
        let zeros = rows.blocks.zeros.map(|zeros| &zeros[first..][..count]);
        let blocks = Blocks { len: rows.len, scales: &[1.0; LANES][..count], zeros };
        let some = Rows { count, codes: &rows.codes[first * bytes..], blocks, ..rows };
        float::dot(level, some, x, out);
        let scales = scales.sixteen(level, Which { start: first, run: 1, first: 0, blocks: count });
        for (out, scale) in out.chunks_mut(columns).zip(scales) {
            for (out, x_scale) in out.iter_mut().zip(x_scales) {
                // The first of sixteen lanes, and no other block.
                *out = 0.0 + (*out * scale) * x_scale;
            }
        }
    }
}

/// Any blocks that a [`Plan`] has, by way of tiles of decoded values.
fn tiles(level: Level, rows: Rows<'_>, scales: Scales<'_>, x: Prepared<'_>, plan: Plan, out: &mut [f32]) {
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
            let mut done = tile;
            if block == SHORT {
                // Tiles begin with groups: whole ones are summed in registers.
                while done + group <= tile_end {
                    let weights = weights[(done - tile) / CHUNK..][..group / CHUNK].try_into().unwrap();
                    let mut x_scales = [0.0; LANES];
                    let scales = self.scales_from(done / block, LANES);
                    for (c, lanes) in lanes[..out.len()].iter_mut().enumerate() {
                        let x = x.column(first + c);
                        spread(x.scales, self.plan.x_run, done / block, LANES, &mut x_scales);
                        let x = values(self.level, x, done, done + group, x_tile).try_into().unwrap();
                        self.level.add_short_blocks(weights, x, &scales, &x_scales, lanes);
                    }
                    done += group;
                }
            }
            for at in (done..tile_end).step_by(group) {
                let (start, end) = (at / group * group, tile_end.min(at.saturating_add(group)));
                let weights = &weights[(at - tile) / CHUNK..(end - tile).div_ceil(CHUNK)];
                for (c, sums) in sums.iter_mut().enumerate() {
                    let x = values(self.level, x.column(first + c), at, end, x_tile);
                    let (before, inside) = ((at - start) / block, (at - start) % block);
                    self.level.add_to_blocks(weights, x, block, inside, &mut sums[before..]);
                }
                if end == len || end - start == group {
                    self.add_terms(x, first, start / block, (end - start).div_ceil(block), sums, &mut lanes);
                    sums.fill(EMPTY);
                }
            }
        }
        for (out, lanes) in out.iter_mut().zip(lanes) {
            *out = fold_neighbours(lanes);
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
            self.level.add_block_terms(sums, &scales, &x_scales, lanes);
        }
    }

    /// Scales of up to sixteen blocks.
    fn scales_from(&self, first: usize, blocks: usize) -> [f32; LANES] {
        self.scales.sixteen(self.level, Which { start: self.start, run: self.plan.run, first, blocks })
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
