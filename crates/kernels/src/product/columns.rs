//! Products of blocks that are not whole numbers of steps, where a level has a loop for them ([`terms`](super::terms)): what is laid out once for many
//! rows, and the loop over rows and columns.

use super::lanes::is_fnuz;
use super::plan::{Plan, spread};
use super::scales::Laid;
use super::terms::{Band, GROUP, PIECE, SHORT, Sixteen};
use super::tile::{TILE, Tile};
use super::{Prepared, Rows, Scales, Values};
use crate::lanes::{CHUNK, LANES};
use crate::level::Level;

/// Columns that share what is decoded where there are that many.
const TOGETHER: usize = 4;

/// Whether there is a loop for such blocks, and no zero points.
pub(super) fn takes(level: Level, rows: &Rows<'_>, x: &Prepared<'_>, plan: Plan) -> bool {
    let fits = match x.values {
        Values::Float(_) => true,
        // Whole groups of sixteen blocks are widened at a time.
        Values::Int { .. } => plan.block <= TILE / LANES,
    };
    // Only of short blocks a row may end with a part of a chunk.
    let block = plan.block == SHORT || plan.block.is_multiple_of(CHUNK) && rows.len.is_multiple_of(CHUNK);
    let element = level.takes_element(rows.element) && !is_fnuz(rows.element);
    level.takes_columns() && element && rows.blocks.zeros.is_none() && block && fits
}

pub(super) fn dot(
    level: Level,
    rows: Rows<'_>,
    scales: Scales<'_>,
    x: Prepared<'_>,
    plan: Plan,
    out: &mut [f32],
) {
    let columns = out.len() / rows.count;
    let mut column = 0;
    while columns - column >= TOGETHER - 1 {
        product::<TOGETHER>(level, rows, scales, x, plan, column, columns, out);
        column = (column + TOGETHER).min(columns);
    }
    for column in column..columns {
        product::<1>(level, rows, scales, x, plan, column, columns, out);
    }
}

/// Rows times `C` columns from `column` on, the last of which is repeated if there are fewer.
#[allow(clippy::too_many_arguments, reason = "what a product is made of, handed on once")]
fn product<const C: usize>(
    level: Level,
    rows: Rows<'_>,
    scales: Scales<'_>,
    x: Prepared<'_>,
    plan: Plan,
    column: usize,
    columns: usize,
    out: &mut [f32],
) {
    let mut x = Columns::<C>::new(x, column, columns);
    let mut laid = Laid::<PIECE>::EMPTY;
    let mut room = laid.room();
    let piece = match x.widened {
        Some(_) => TILE / plan.block,
        None => PIECE,
    };
    let is_one = plan.blocks <= piece;
    for first_row in (0..rows.count).step_by(LANES) {
        let count = LANES.min(rows.count - first_row);
        let mut lanes: [Sixteen; C] = [[[0.0; LANES]; LANES]; C];
        // Rows of several pieces are read one after the other, as they lie, if nothing has to be widened for them.
        let together = if is_one || x.widened.is_some() { count } else { 1 };
        for row in (0..count).step_by(together) {
            for first_block in (0..plan.blocks).step_by(piece) {
                let blocks = piece.min(plan.blocks - first_block);
                if !is_one || first_row == 0 {
                    x.lay_out(level, plan, first_block, blocks);
                }
                level.add_groups(Band {
                    level,
                    rows,
                    scales,
                    plan,
                    first_row: first_row + row,
                    count: together,
                    first_block,
                    blocks,
                    x: core::array::from_fn(|c| x.values(c, first_block * plan.block).as_chunks().0),
                    last: x.last.each_ref().map(|x| &x[..]),
                    x_scales: &x.scales,
                    room: &mut room,
                    lanes: &mut lanes,
                    lane: row,
                });
            }
        }
        for (c, lanes) in lanes.iter().enumerate().take(columns - column) {
            for (row, result) in level.fold(lanes).into_iter().enumerate().take(count) {
                out[(first_row + row) * columns + column + c] = result;
            }
        }
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
    fn new(x: Prepared<'a>, column: usize, columns: usize) -> Self {
        let widened = matches!(x.values, Values::Int { .. }).then(|| core::array::from_fn(|_| Tile::new()));
        let x = core::array::from_fn(|c| x.column((column + c).min(columns - 1)));
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
