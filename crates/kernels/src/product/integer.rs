//! Products of whole numbers of steps: what is laid out once for many rows, and the loop over rows and columns.
//!
//! Sixteen rows and up to 256 blocks are a [`Band`], which a level's kernel ([`sums`](super::sums)) adds to the lanes of each row; the
//! lanes of sixteen rows are folded together. What depends on the activations alone is laid out before the first row.

use super::plan::{Plan, spread};
use super::prepared::SUM;
use super::weights::offset;
use super::{Prepared, Rows, Values};
use crate::lanes::LANES;
use crate::level::Level;

/// Blocks of a band.
pub(super) const SEGMENT: usize = 16 * LANES;
/// Columns that are multiplied together where there are that many.
const TOGETHER: usize = 4;

/// What the blocks of a band know of `C` columns.
pub(super) struct Segment<const C: usize> {
    /// Of activations.
    pub(super) scales: [[f32; SEGMENT]; C],
    /// What the offset of the weights added, negative.
    pub(super) corrections: [[i32; SEGMENT]; C],
    /// Of activations, for zero points.
    pub(super) sums: [[f32; SEGMENT]; C],
}

/// Up to sixteen rows and [`SEGMENT`] blocks of each.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// All rows and all their blocks.
    pub(super) rows: Rows<'a>,
    pub(super) first_row: usize,
    pub(super) count: usize,
    pub(super) plan: Plan,
    pub(super) first_block: usize,
    pub(super) blocks: usize,
    /// Bytes and scales from one row to the next.
    pub(super) strides: (usize, usize),
    /// What a product of two codes of 1 is worth.
    pub(super) unit: f32,
}

impl Place<'_> {
    /// The value that the first block begins with.
    pub(super) fn first_value(&self) -> usize {
        self.first_block * self.plan.block
    }

    /// How many values of a row there are from there to the end of the blocks.
    pub(super) fn values(&self) -> usize {
        (self.rows.len - self.first_value()).min(self.blocks * self.plan.block)
    }
}

/// A place, and `C` columns there.
pub(super) struct Band<'a, const C: usize> {
    pub(super) place: Place<'a>,
    /// Both orders of each column.
    pub(super) x: [&'a [i8]; C],
    pub(super) segment: Segment<C>,
    /// Lanes of each row of each column.
    pub(super) lanes: [[[f32; LANES]; LANES]; C],
}

/// Rows times columns, `x.values` being integers.
pub(super) fn dot(level: Level, rows: Rows<'_>, x: Prepared<'_>, plan: Plan, out: &mut [f32]) {
    let columns = out.len() / rows.count;
    let mut column = 0;
    while level.takes_columns() && columns - column >= TOGETHER - 1 {
        product::<TOGETHER>(level, rows, x, plan, column, columns, out);
        column = (column + TOGETHER).min(columns);
    }
    for column in column..columns {
        product::<1>(level, rows, x, plan, column, columns, out);
    }
}

/// Rows times `C` columns from `column` on, the last of which is repeated if there are fewer.
fn product<const C: usize>(
    level: Level,
    rows: Rows<'_>,
    x: Prepared<'_>,
    plan: Plan,
    column: usize,
    columns: usize,
    out: &mut [f32],
) {
    let x = core::array::from_fn(|c| x.column((column + c).min(columns - 1)));
    let Values::Int { step, .. } = x[0].values else { unreachable!("integers only") };
    let unit = rows.element.step().unwrap() * step;
    let mut band: Band<'_, C> = Band {
        place: Place {
            rows,
            first_row: 0,
            count: 0,
            plan,
            first_block: 0,
            blocks: 0,
            strides: rows.strides(),
            unit,
        },
        x: x.map(codes),
        segment: Segment {
            scales: [[0.0; SEGMENT]; C],
            corrections: [[0; SEGMENT]; C],
            sums: [[0.0; SEGMENT]; C],
        },
        lanes: [[[0.0; LANES]; LANES]; C],
    };
    for first_row in (0..rows.count).step_by(LANES) {
        let count = LANES.min(rows.count - first_row);
        (band.place.first_row, band.place.count) = (first_row, count);
        for first_block in (0..plan.blocks).step_by(SEGMENT) {
            band.place.first_block = first_block;
            band.place.blocks = SEGMENT.min(plan.blocks - first_block);
            if first_row == 0 || plan.blocks > SEGMENT {
                for (c, x) in x.iter().enumerate() {
                    band.lay_out(c, x);
                }
            }
            if !level.add_unrolled(&mut band) {
                for c in 0..C {
                    level.add_rest(band.place, band.x[c], band.segment.column(c), &mut band.lanes[c]);
                }
            }
        }
        for (c, lanes) in band.lanes.iter().enumerate().take(columns - column) {
            for (row, result) in level.fold(lanes).into_iter().enumerate().take(count) {
                out[(first_row + row) * columns + column + c] = result;
            }
        }
        band.lanes = [[[0.0; LANES]; LANES]; C];
    }
}

fn codes(x: Prepared<'_>) -> &[i8] {
    match x.values {
        Values::Int { codes, .. } => codes,
        Values::Float(_) => unreachable!("integers only"),
    }
}

impl<const C: usize> Band<'_, C> {
    /// Fills a column of the segment.
    fn lay_out(&mut self, c: usize, x: &Prepared<'_>) {
        let Place { rows, plan, first_block, blocks, .. } = self.place;
        let Values::Int { sums, step, .. } = x.values else { unreachable!("integers only") };
        spread(x.scales, plan.x_run, first_block, blocks, &mut self.segment.scales[c]);
        let totals = &mut self.segment.corrections[c];
        total(sums, plan.block / SUM, first_block, blocks, totals);
        if rows.blocks.zeros.is_some() {
            for (out, &total) in self.segment.sums[c].iter_mut().zip(&*totals) {
                *out = total as f32 * step;
            }
        }
        let offset = offset(rows.element);
        for total in totals {
            *total *= -offset;
        }
    }
}

/// The sum of each block from `first` on, of which each has `per_block` entries; zeros after the last one.
#[inline(never)]
fn total(sums: &[i32], per_block: usize, first: usize, blocks: usize, out: &mut [i32; SEGMENT]) {
    let sums = &sums[first * per_block..];
    let sums = &sums[..sums.len().min(blocks * per_block)];
    out[blocks..].fill(0);
    match per_block {
        1 => out.iter_mut().zip(sums).for_each(|(out, &sum)| *out = sum),
        2 => {
            let (pairs, last) = sums.as_chunks::<2>();
            out.iter_mut().zip(pairs).for_each(|(out, [a, b])| *out = a + b);
            last.iter().for_each(|&last| out[pairs.len()] = last);
        }
        _ => out.iter_mut().zip(sums.chunks(per_block)).for_each(|(out, sums)| *out = sums.iter().sum()),
    }
}
