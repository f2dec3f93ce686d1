//! Rows times quantized activations that are not whole numbers of steps on both sides: values are decoded without their
//! scales and summed block by block, sixteen blocks at a time.

use super::plan::{Plan, spread};
use super::tile::{TILE, Tile};
use super::{Prepared, Rows, Values};
use crate::Blocks;
use crate::lanes::{CHUNK, LANES};
use crate::level::Level;

/// Columns that share a decoded tile.
const COLUMNS: usize = 4;
/// Blocks of weights that a tile has at most, the first and the last one in part.
const SCALES: usize = TILE / LANES + 1;

pub(super) fn dot(level: Level, rows: Rows<'_>, x: Prepared<'_>, plan: Plan, out: &mut [f32]) {
    let columns = out.len() / rows.count;
    let mut buffers =
        Buffers { weights: Tile::new(), x: Tile::new(), sums: [[[0.0; 2 * LANES]; LANES]; COLUMNS] };
    for ((codes, blocks), out) in rows.iter().zip(out.chunks_mut(columns)) {
        let row = Row { level, rows, codes, blocks, plan };
        for (first, out) in (0..).step_by(COLUMNS).zip(out.chunks_mut(COLUMNS)) {
            row.times(x, first, &mut buffers, out);
        }
    }
}

struct Buffers {
    weights: Tile,
    x: Tile,
    /// Lanes of sixteen blocks of each column.
    sums: [[[f32; 2 * LANES]; LANES]; COLUMNS],
}

struct Row<'a> {
    level: Level,
    rows: Rows<'a>,
    codes: &'a [u8],
    blocks: Blocks<'a>,
    plan: Plan,
}

impl Row<'_> {
    /// Up to [`COLUMNS`] columns.
    fn times(&self, x: Prepared<'_>, first: usize, buffers: &mut Buffers, out: &mut [f32]) {
        let plan = self.plan;
        let sums = &mut buffers.sums[..out.len()];
        let mut lanes = [[0.0; LANES]; COLUMNS];
        for first_block in (0..plan.blocks).step_by(LANES) {
            let count = LANES.min(plan.blocks - first_block);
            let start = first_block * plan.block;
            let end = self.rows.len.min(start.saturating_add(count * plan.block));
            sums.fill([[0.0; 2 * LANES]; LANES]);
            for at in (start..end).step_by(TILE) {
                let len = TILE.min(end - at);
                let weights = self.decode(&mut buffers.weights, at, len);
                let block = (at - start) / plan.block;
                for (c, sums) in sums.iter_mut().enumerate() {
                    let x = match x.column(first + c).values {
                        Values::Float(x) if len.is_multiple_of(CHUNK) => x[at..at + len].as_chunks().0,
                        Values::Float(x) => buffers.x.copy(&x[at..at + len]),
                        // The padding is zeros.
                        Values::Int { codes, step, .. } => {
                            let codes = &codes[at..][..len.next_multiple_of(CHUNK)];
                            buffers.x.widen(self.level, codes.as_chunks().0, step)
                        }
                    };
                    self.level.add_to_blocks(
                        weights,
                        x,
                        plan.block,
                        (at - start) % plan.block,
                        &mut sums[block..],
                    );
                }
            }
            let [mut scales, mut x_scales] = [[0.0; LANES]; 2];
            spread(self.blocks.scales, plan.run, first_block, count, &mut scales);
            for (c, sums) in sums.iter().enumerate() {
                spread(x.column(first + c).scales, plan.x_run, first_block, count, &mut x_scales);
                self.level.add_block_terms(sums, &scales, &x_scales, &mut lanes[c]);
            }
        }
        for (out, mut lanes) in out.iter_mut().zip(lanes) {
            for left in [8, 4, 2, 1] {
                for i in 0..left {
                    lanes[i] = lanes[2 * i] + lanes[2 * i + 1];
                }
            }
            *out = lanes[0];
        }
    }

    /// `len` values from `at` on, without their scale.
    fn decode<'t>(&self, tile: &'t mut Tile, at: usize, len: usize) -> &'t [[f32; CHUNK]] {
        let e = self.rows.element;
        let Blocks { len: block, scales, zeros } = self.blocks;
        let (first, inside) = if scales.len() == 1 { (0, 0) } else { (at / block, at % block) };
        let count = (inside + len).div_ceil(block);
        let zeros = zeros.map(|zeros| &zeros[first..][..count]);
        let blocks = Blocks { len: block, scales: &[1.0; SCALES][..count], zeros };
        tile.decode(self.level, e, &self.codes[e.packed_len(at)..], blocks, inside, len)
    }
}
