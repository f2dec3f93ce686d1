//! Products whose sums are exact: what is laid out once for many rows, and the loop over rows and columns.
//!
//! Up to sixteen rows and a segment of each are a [`Panel`], which a loop adds to the lanes of each row; the lanes of sixteen rows
//! are folded together. What depends on the activations alone is laid out before the first row.

mod groups;
mod panel;
mod vectors;

use super::columns::{COLUMNS, Results, fold};
use super::plan::{Loop, Plan};
use super::prepared::{Prepared, SUM, Values};
use super::rows::Rows;
use super::scales::stored::SEGMENT;
use super::scales::{AllScales, ScaleMemory, spread};
use super::weights::offset;
use crate::lanes::LANES;
use crate::level::Level;
use panel::{Columns, Panel, Segment};

/// Blocks of most rows, at most. Memory for more takes time to clear.
const SHORT: usize = 16 * LANES;

/// The memory of the [`Columns`] of a segment of up to `S` blocks, and of scales.
#[repr(align(64))]
struct Memory<const C: usize, const S: usize> {
    scales: [[f32; S]; C],
    corrections: [[i32; S]; C],
    sums: [[f32; S]; C],
    weight_scales: ScaleMemory<S>,
    weight_zeros: ScaleMemory<S>,
}

impl<const C: usize, const S: usize> Memory<C, S> {
    fn zeros() -> Self {
        Self {
            scales: [[0.0; S]; C],
            corrections: [[0; S]; C],
            sums: [[0.0; S]; C],
            weight_scales: ScaleMemory::ZEROS,
            weight_zeros: ScaleMemory::ZEROS,
        }
    }
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
    let Values::Int { step, .. } = x.values else { unreachable!("integers only") };
    let segment = Segment {
        rows,
        scales,
        zeros,
        level,
        plan,
        first_row: 0,
        count: 0,
        first_block: 0,
        blocks: 0,
        strides: rows.strides(),
        // Whether blocks are short enough for that step has been looked at.
        unit: rows.element.exact_step(1).unwrap() * step,
    };
    match plan.kernel {
        Loop::IntegerGroups { groups, in_registers } => Results::by_columns(
            rows.count,
            out,
            groups::takes_columns(groups),
            |results| product::<COLUMNS>(segment, x, results, |panel| groups::add_columns(groups, panel)),
            |results| {
                product::<1>(segment, x, results, |panel| groups::add_column(groups, in_registers, panel))
            },
        ),
        _ => Results::by_columns(
            rows.count,
            out,
            true,
            |results| product::<COLUMNS>(segment, x, results, vectors::add),
            |results| product::<1>(segment, x, results, vectors::add),
        ),
    }
}

/// Rows times `C` columns.
fn product<const C: usize>(
    segment: Segment<'_>,
    x: Prepared<'_>,
    results: Results<'_>,
    add: impl Fn(&mut Panel<'_, C>),
) {
    let x = core::array::from_fn(|c| x.column(results.column(c)));
    if segment.plan.blocks <= SHORT {
        product_in(segment, x, &mut Memory::<C, SHORT>::zeros(), results, &add);
    } else {
        product_in(segment, x, &mut Memory::<C, SEGMENT>::zeros(), results, &add);
    }
}

#[inline(never)]
fn product_in<const C: usize, const S: usize>(
    segment: Segment<'_>,
    x: [Prepared<'_>; C],
    memory: &mut Memory<C, S>,
    mut results: Results<'_>,
    add: &dyn Fn(&mut Panel<'_, C>),
) {
    let Segment { level, rows, plan, .. } = segment;
    let Memory { scales, corrections, sums, weight_scales, weight_zeros } = memory;
    let mut panel: Panel<'_, C> = Panel {
        lanes: [[[0.0; LANES]; LANES]; C],
        segment,
        x: x.map(|x| match x.values {
            Values::Int { codes, .. } => codes,
            Values::Float(_) => unreachable!("integers only"),
        }),
        columns: Columns {
            scales: scales.each_mut().map(|all| &mut all[..]),
            corrections: corrections.each_mut().map(|all| &mut all[..]),
            sums: sums.each_mut().map(|all| &mut all[..]),
        },
        buffers: [weight_scales.buffer(), weight_zeros.buffer()],
    };
    for first_row in (0..rows.count).step_by(LANES) {
        let count = LANES.min(rows.count - first_row);
        (panel.segment.first_row, panel.segment.count) = (first_row, count);
        for first_block in (0..plan.blocks).step_by(S) {
            (panel.segment.first_block, panel.segment.blocks) =
                (first_block, S.min(plan.blocks - first_block));
            if first_row == 0 || plan.blocks > S {
                for (c, x) in x.iter().enumerate() {
                    panel.lay_out(c, x);
                }
            }
            add(&mut panel);
        }
        results.store(first_row, count, &panel.lanes, |lanes| fold(level, lanes));
        panel.lanes = [[[0.0; LANES]; LANES]; C];
    }
}

impl<const C: usize> Panel<'_, C> {
    /// Fills a column of the segment.
    fn lay_out(&mut self, c: usize, x: &Prepared<'_>) {
        let Segment { rows, zeros, plan, first_block, blocks, .. } = self.segment;
        let Values::Int { sums, step, .. } = x.values else { unreachable!("integers only") };
        spread(x.scales, plan.x_run, first_block, blocks, self.columns.scales[c]);
        let groups = blocks.next_multiple_of(LANES);
        let totals = &mut self.columns.corrections[c][..groups];
        total(sums, plan.block / SUM, first_block, blocks, totals);
        if zeros.is_some() {
            for (out, &total) in self.columns.sums[c].iter_mut().zip(&*totals) {
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
