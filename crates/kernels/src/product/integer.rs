//! Products of whole numbers of steps: what is laid out once for many rows, and the loop over rows and columns.
//!
//! Up to sixteen rows and a segment of each are a [`Band`], which a level's kernel ([`sums`](super::sums)) adds to the lanes of each row; the
//! lanes of sixteen rows are folded together. What depends on the activations alone is laid out before the first row.

use super::digits::has_digits;
use super::fine::is_fine;
use super::plan::{Plan, spread};
use super::prepared::SUM;
use super::scales::{Laid, Room, Which};
use super::weights::offset;
use super::{AllScales, Prepared, Rows, Scales, Values};
use crate::lanes::LANES;
use crate::level::Level;

/// Blocks whose activations are laid out at once.
pub(super) const SEGMENT: usize = 64 * LANES;
/// As many as most rows have: room for more takes time to clear.
const SHORT: usize = 16 * LANES;
/// Columns that are multiplied together where there are that many.
const TOGETHER: usize = 4;

/// What the blocks of a segment know of `C` columns.
pub(super) struct Segment<'a, const C: usize> {
    /// Of activations.
    pub(super) scales: [&'a mut [f32]; C],
    /// What the offset of the weights added, negative.
    pub(super) corrections: [&'a mut [i32]; C],
    /// Of activations, for zero points.
    pub(super) sums: [&'a mut [f32]; C],
}

/// What a [`Segment`] and a [`Room`] of up to `S` blocks lie in.
#[repr(align(64))]
struct Buffers<const C: usize, const S: usize> {
    scales: [[f32; S]; C],
    corrections: [[i32; S]; C],
    sums: [[f32; S]; C],
    room: Laid<S>,
    room_of_zeros: Laid<S>,
}

/// Up to sixteen rows and [`SEGMENT`] blocks of each.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// All rows and all their blocks.
    pub(super) rows: Rows<'a>,
    /// Of all rows, in place of those of `rows`.
    pub(super) scales: Scales<'a>,
    pub(super) zeros: Option<Scales<'a>>,
    pub(super) level: Level,
    pub(super) first_row: usize,
    pub(super) count: usize,
    pub(super) plan: Plan,
    /// Up to [`SEGMENT`] of them.
    pub(super) first_block: usize,
    pub(super) blocks: usize,
    /// Bytes and scales from one row to the next.
    pub(super) strides: (usize, usize),
    /// What a product of two codes of 1 is worth.
    pub(super) unit: f32,
    /// Whether all activations can change their sign.
    pub(super) negates: bool,
}

impl Place<'_> {
    /// The value that the first block begins with.
    pub(super) fn first_value(&self) -> usize {
        self.first_block * self.plan.block
    }

    /// The scales of the first row of all.
    pub(super) fn which(&self) -> Which {
        Which { start: 0, run: self.plan.run, first: self.first_block, blocks: self.blocks }
    }

    /// How many values of a row there are from there to the end of the blocks.
    pub(super) fn values(&self) -> usize {
        (self.rows.len - self.first_value()).min(self.blocks * self.plan.block)
    }
}

/// A place, and `C` columns there.
#[repr(align(64))]
pub(super) struct Band<'a, const C: usize> {
    /// Lanes of each row of each column.
    pub(super) lanes: [[[f32; LANES]; LANES]; C],
    pub(super) place: Place<'a>,
    /// Both orders of each column.
    pub(super) x: [&'a [i8]; C],
    pub(super) segment: Segment<'a, C>,
    /// For scales, and for zero points.
    pub(super) room: [Room<'a>; 2],
}

/// Rows times columns, `x.values` being integers.
pub(super) fn dot(
    level: Level,
    rows: Rows<'_>,
    AllScales { scales, zeros }: AllScales<'_>,
    x: Prepared<'_>,
    plan: Plan,
    out: &mut [f32],
) {
    let place = Place {
        rows,
        scales,
        zeros,
        level,
        first_row: 0,
        count: 0,
        plan,
        first_block: 0,
        blocks: 0,
        strides: rows.strides(),
        unit: 0.0,
        negates: true,
    };
    let columns = out.len() / rows.count;
    let mut column = 0;
    // Two sums for each vector of several columns do not fit the registers.
    let together = level.takes_columns() && !has_digits(rows.element);
    while together && columns - column >= TOGETHER - 1 {
        product::<TOGETHER>(place, x, column, columns, out);
        column = (column + TOGETHER).min(columns);
    }
    for column in column..columns {
        product::<1>(place, x, column, columns, out);
    }
}

/// Rows times `C` columns from `column` on, the last of which is repeated if there are fewer.
fn product<const C: usize>(
    place: Place<'_>,
    x: Prepared<'_>,
    column: usize,
    columns: usize,
    out: &mut [f32],
) {
    let x = core::array::from_fn(|c| x.column((column + c).min(columns - 1)));
    if place.plan.blocks <= SHORT {
        product_in(place, x, column, columns, &mut Buffers::<C, SHORT>::empty(), out);
    } else {
        product_in(place, x, column, columns, &mut Buffers::<C, SEGMENT>::empty(), out);
    }
}

#[inline(never)]
fn product_in<const C: usize, const S: usize>(
    place: Place<'_>,
    x: [Prepared<'_>; C],
    column: usize,
    columns: usize,
    buffers: &mut Buffers<C, S>,
    out: &mut [f32],
) {
    let Place { level, rows, plan, .. } = place;
    let Values::Int { step, .. } = x[0].values else { unreachable!("integers only") };
    // Whether blocks are short enough has been looked at.
    let unit = rows.element.exact_step(1).unwrap() * step;
    let negates = !is_fine(rows.element) || x.iter().all(|x| !codes(*x).contains(&i8::MIN));
    let Buffers { scales, corrections, sums, room, room_of_zeros } = buffers;
    let mut band: Band<'_, C> = Band {
        lanes: [[[0.0; LANES]; LANES]; C],
        place: Place { unit, negates, ..place },
        x: x.map(codes),
        segment: Segment {
            scales: scales.each_mut().map(|all| &mut all[..]),
            corrections: corrections.each_mut().map(|all| &mut all[..]),
            sums: sums.each_mut().map(|all| &mut all[..]),
        },
        room: [room.room(), room_of_zeros.room()],
    };
    for first_row in (0..rows.count).step_by(LANES) {
        let count = LANES.min(rows.count - first_row);
        (band.place.first_row, band.place.count) = (first_row, count);
        for segment in (0..plan.blocks).step_by(S) {
            (band.place.first_block, band.place.blocks) = (segment, S.min(plan.blocks - segment));
            if first_row == 0 || plan.blocks > S {
                for (c, x) in x.iter().enumerate() {
                    band.lay_out(c, x);
                }
            }
            band.add();
        }
        for (c, lanes) in band.lanes.iter().enumerate().take(columns - column) {
            for (row, result) in level.fold(lanes).into_iter().enumerate().take(count) {
                out[(first_row + row) * columns + column + c] = result;
            }
        }
        band.lanes = [[[0.0; LANES]; LANES]; C];
    }
}

impl<const C: usize, const S: usize> Buffers<C, S> {
    fn empty() -> Self {
        Self {
            scales: [[0.0; S]; C],
            corrections: [[0; S]; C],
            sums: [[0.0; S]; C],
            room: Laid::EMPTY,
            room_of_zeros: Laid::EMPTY,
        }
    }
}

fn codes(x: Prepared<'_>) -> &[i8] {
    match x.values {
        Values::Int { codes, .. } => codes,
        Values::Float(_) => unreachable!("integers only"),
    }
}

impl<const C: usize> Band<'_, C> {
    fn add(&mut self) {
        let level = self.place.level;
        let left = level.add_in_place(self);
        if left == 0 || level.add_unrolled(self, left) {
            return;
        }
        for (c, lanes) in self.lanes.iter_mut().enumerate() {
            self.place.level.add_rest(self.place, left, self.x[c], self.segment.column(c), lanes);
        }
    }

    /// Fills a column of the segment.
    fn lay_out(&mut self, c: usize, x: &Prepared<'_>) {
        let Place { rows, zeros, plan, first_block, blocks, .. } = self.place;
        let Values::Int { sums, step, .. } = x.values else { unreachable!("integers only") };
        spread(x.scales, plan.x_run, first_block, blocks, self.segment.scales[c]);
        let groups = blocks.next_multiple_of(LANES);
        let totals = &mut self.segment.corrections[c][..groups];
        total(sums, plan.block / SUM, first_block, blocks, totals);
        if zeros.is_some() {
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
fn total(sums: &[i32], per_block: usize, first: usize, blocks: usize, out: &mut [i32]) {
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
