//! Rows of stored weights times columns of f32: in registers where a level has a loop for that, by way of a tile otherwise.

use super::prepared::Prepared;
use super::rows::Rows;
use super::scales::{ScaleRange, Scales};
use super::{float_registers, float_tiles};
use crate::Blocks;
use crate::lanes::LANES;
use crate::level::Level;

/// Rows times columns, to results that are rows by columns.
type Dot = fn(Level, Rows<'_>, &[f32], &mut [f32]);

/// The loop for such rows.
fn choose(level: Level, rows: &Rows<'_>) -> Dot {
    if float_registers::takes(level, rows) { float_registers::dot } else { float_tiles::dot }
}

pub(super) fn dot(level: Level, rows: Rows<'_>, x: &[f32], out: &mut [f32]) {
    choose(level, &rows)(level, rows, x, out);
}

/// One block a row: products with f32, whose sums are scaled.
pub(super) fn whole_rows(
    level: Level,
    rows: Rows<'_>,
    scales: Scales<'_>,
    values: &[f32],
    x: Prepared<'_>,
    out: &mut [f32],
) {
    let columns = out.len() / rows.count;
    let bytes = rows.element.packed_len(rows.len);
    let one_block = Rows { blocks: Blocks { len: rows.len, ..rows.blocks }, ..rows };
    let dot = choose(level, &one_block);
    for (first, out) in (0..).step_by(LANES).zip(out.chunks_mut(LANES * columns)) {
        let count = out.len() / columns;
        let zeros = rows.blocks.zeros.map(|zeros| &zeros[first..][..count]);
        let blocks = Blocks { len: rows.len, scales: &[1.0; LANES][..count], zeros };
        dot(level, Rows { count, codes: &rows.codes[first * bytes..], blocks, ..rows }, values, out);
        let range = ScaleRange { start: first, run: 1, first: 0, blocks: count };
        for (out, scale) in out.chunks_mut(columns).zip(scales.of_sixteen_blocks(level, range)) {
            for (out, x_scale) in out.iter_mut().zip(x.scales) {
                // The first of sixteen lanes, and no other block.
                *out = 0.0 + (*out * scale) * x_scale;
            }
        }
    }
}
