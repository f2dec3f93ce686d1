//! The loop of exact sums for what [`groups`](super::groups) does not take: blocks of any number of vectors, one column.

use super::panel::{Column, GroupTerms, Panel, RowCodes, Segment};
use crate::Element;
use crate::lanes::{CHUNK, LANES, apart};
use crate::level::{Level, on};
use crate::product::lanes::SumLanes;
use crate::product::scales::ScaleRange;
use crate::product::weights::e4m3::{E4m3AnyX, is_e4m3};
use crate::product::weights::exact::Exact;
use crate::product::weights::nf4::Nf4;
use crate::product::weights::{Activations, Bytes, Nibbles, Packed, Weights};

/// Adds the terms of a panel to the lanes of its rows, one column after the other.
pub(super) fn add<const C: usize>(panel: &mut Panel<'_, C>) {
    let Panel { segment, ref x, ref columns, ref mut lanes, .. } = *panel;
    for (c, lanes) in lanes.iter_mut().enumerate() {
        add_column(segment, x[c], columns.column(c), lanes);
    }
}

fn add_column(segment: Segment<'_>, x: &[i8], column: Column<'_>, lanes: &mut [[f32; LANES]; LANES]) {
    on!(segment.level, l => by_element(l, segment, x, column, lanes));
}

#[inline(always)]
fn by_element<L: SumLanes>(
    l: L,
    segment: Segment<'_>,
    x: &[i8],
    column: Column<'_>,
    lanes: &mut [[f32; LANES]; LANES],
) {
    let e = segment.rows.element;
    match e.bits() {
        _ if e == Element::Nf4 => apart!(l, each_row(l, Nf4::new(l), segment, x, column, lanes)),
        _ if is_e4m3(e) => apart!(l, each_row(l, E4m3AnyX::new(e), segment, x, column, lanes)),
        4 if L::UNROLLED => apart!(l, each_row(l, Nibbles::new(l, e), segment, x, column, lanes)),
        8 if L::UNROLLED => apart!(l, each_row(l, Bytes::new(e), segment, x, column, lanes)),
        _ => apart!(l, each_row(l, Packed::new(e), segment, x, column, lanes)),
    }
}

#[inline(always)]
fn each_row<L: SumLanes, W: Weights<L>>(
    l: L,
    w: W,
    segment: Segment<'_>,
    x: &[i8],
    column: Column<'_>,
    lanes: &mut [[f32; LANES]; LANES],
) {
    let x = &W::X::of_column(x)[segment.first_value() / W::VALUES..];
    let vectors = segment.values().div_ceil(W::VALUES);
    for (row, lanes) in lanes[..segment.count].iter_mut().enumerate() {
        let codes = RowCodes::new(w, segment, row);
        add_groups(l, w, segment, &codes, &x[..vectors], column, lanes);
        let bytes = codes.bytes.min(vectors * w.bytes());
        if W::NAN && w.has_nan(&codes.codes[..bytes]) {
            *lanes = [f32::NAN; LANES];
        }
    }
}

/// Groups of any number of vectors, with what is missing at the end.
#[inline(always)]
fn add_groups<L: SumLanes, W: Weights<L>>(
    l: L,
    w: W,
    segment: Segment<'_>,
    row: &RowCodes<'_>,
    x: &[W::X],
    column: Column<'_>,
    lanes: &mut [f32; LANES],
) {
    let per_group = LANES * segment.plan.block / W::VALUES;
    // Vectors per block, or vectors of several blocks each.
    let (run, vectors) = ((per_group / LANES).max(1), per_group.min(LANES));
    let bytes = w.bytes();
    let whole = row.bytes / bytes;
    for group in 0..x.len().div_ceil(per_group) {
        let mut sums = [W::Exact::zero(l); LANES];
        for (i, out) in sums[..vectors].iter_mut().enumerate() {
            let start = group * per_group + i * run;
            let end = x.len().min(start + run);
            let mut sum = *out;
            if start < whole.min(end) {
                let x = &x[start..whole.min(end)];
                let codes = &row.codes[start * bytes..][..x.len() * bytes];
                let ahead = if L::UNROLLED { row.ahead.after(start * bytes) } else { &[] };
                let mut pairs = codes.chunks_exact(bytes).zip(x);
                // The end of all rows has nothing after it.
                for (ahead, (codes, x)) in ahead.chunks_exact(bytes).zip(&mut pairs) {
                    l.prefetch(&ahead[0]);
                    sum = W::Exact::add(sum, w.dot(l, w.load(l, codes), x));
                }
                for (codes, x) in pairs {
                    sum = W::Exact::add(sum, w.dot(l, w.load(l, codes), x));
                }
            }
            if (start..end).contains(&whole) {
                let tail = &row.codes[whole * bytes..row.bytes];
                let mut last = [0; CHUNK];
                last[..tail.len()].copy_from_slice(tail);
                sum = W::Exact::add(sum, w.dot(l, w.load(l, &last[..bytes]), &x[whole]));
            }
            *out = sum;
        }
        let sums = if vectors == LANES {
            W::Exact::of_neighbours(l, sums)
        } else {
            W::Exact::of_few(l, &sums[..vectors])
        };
        let terms = terms(l, segment, row.start, group);
        let sum = terms.add::<W::Exact>(l, sums, column, group, l.load(lanes));
        l.store(sum, lanes);
    }
}

/// What one group of sixteen blocks has in common.
#[inline(always)]
fn terms<L: SumLanes>(l: L, segment: Segment<'_>, start: usize, group: usize) -> GroupTerms<L> {
    let Segment { level, zeros, unit, scales, first_block, blocks, .. } = segment;
    let done = group * LANES;
    let blocks = LANES.min(blocks - done);
    let range = ScaleRange { start, first: first_block + done, blocks, ..segment.scale_range() };
    let zeros = zeros.map(
        #[inline(always)]
        |zeros| l.load(&zeros.of_sixteen_blocks(level, range)),
    );
    let scales = l.load(&scales.of_sixteen_blocks(level, range));
    GroupTerms { unit: Some(l.splat(unit)), scales, zeros }
}
