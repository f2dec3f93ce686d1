//! The kernel of products of whole numbers of steps: sixteen blocks at a time.
//!
//! ```text
//! vectors of bytes -> sums of 4 or 8 neighbours -> sums of blocks, sixteen to a vector, in order
//!   -> minus offset * sum of activations -> f32 -> * step -> * scale -> * x scale -> sixteen lanes
//! ```
//!
//! Everything before the conversion to f32 is exact, so its order is free.

use super::integer::{Band, Place, SEGMENT, Segment};
use super::lanes::SumLanes;
use super::later::Later;
use super::plan::{Plan, spread};
use super::weights::{Bytes, Nibbles, Packed, Weights};
use crate::lanes::{CHUNK, LANES};

/// Whether several columns at once have code of their own.
#[inline(always)]
pub(super) fn takes_columns<L: SumLanes>(_: L) -> bool {
    L::UNROLLED
}

/// Adds the terms of the groups of sixteen blocks that have all their codes, where their vectors have a loop of their own. Returns how
/// many groups that are.
#[inline(always)]
pub(super) fn add_whole<L: SumLanes, const C: usize>(l: L, band: &mut Band<'_, C>) -> usize {
    let e = band.place.rows.element;
    match (e.bits(), band.place.plan.block) {
        (4, 16) if L::UNROLLED => rows::<L, _, C, 2>(l, Nibbles::new(l, e), band),
        (4, 32) if L::UNROLLED => rows::<L, _, C, 4>(l, Nibbles::new(l, e), band),
        (8, 32) if L::UNROLLED => rows::<L, _, C, 8>(l, Bytes::new(e), band),
        _ => 0,
    }
}

/// [`add_whole`] of groups of `N` vectors.
#[inline(always)]
fn rows<L: SumLanes, W: Weights<L>, const C: usize, const N: usize>(
    l: L,
    w: W,
    band: &mut Band<'_, C>,
) -> usize {
    let [mut scales, mut zeros] = [[0.0; SEGMENT]; 2];
    let mut x = [&[][..]; C];
    for (x, codes) in x.iter_mut().zip(band.x) {
        *x = &W::column(codes)[band.place.first_value() / W::VALUES..];
    }
    let mut done = 0;
    for row in 0..band.place.count {
        let part = Part::new(l, w, band.place, row, &mut scales, &mut zeros);
        done = whole_groups::<L, W, C, N>(l, w, &part, &x, &band.segment, &mut band.lanes, row);
    }
    done
}

/// Adds the terms of all groups but the first `done` to the lanes of a column.
#[inline(always)]
pub(super) fn add_rest<L: SumLanes>(
    l: L,
    place: Place<'_>,
    done: usize,
    x: &[i8],
    column: Column<'_>,
    lanes: &mut [[f32; LANES]; LANES],
) {
    let e = place.rows.element;
    match e.bits() {
        4 if L::UNROLLED => rest(l, Nibbles::new(l, e), place, done, x, column, lanes),
        8 if L::UNROLLED => rest(l, Bytes::new(e), place, done, x, column, lanes),
        _ => rest(l, Packed::new(e), place, done, x, column, lanes),
    }
}

#[inline(always)]
fn rest<L: SumLanes, W: Weights<L>>(
    l: L,
    w: W,
    place: Place<'_>,
    done: usize,
    x: &[i8],
    column: Column<'_>,
    lanes: &mut [[f32; LANES]; LANES],
) {
    let [mut scales, mut zeros] = [[0.0; SEGMENT]; 2];
    let x = &W::column(x)[place.first_value() / W::VALUES..];
    for (row, lanes) in lanes.iter_mut().enumerate().take(place.count) {
        let part = Part::new(l, w, place, row, &mut scales, &mut zeros);
        any_groups(l, w, &part, x, column, LANES * place.plan.block / W::VALUES, done, lanes);
    }
}

/// The scales of a segment in groups of sixteen: where they are, if no scale is repeated and none is missing, or laid out.
#[inline(always)]
fn in_segment<'a>(
    of_row: &'a [f32],
    plan: Plan,
    first: usize,
    blocks: usize,
    buffer: &'a mut [f32; SEGMENT],
) -> &'a [[f32; LANES]] {
    if plan.run == 1 && blocks.is_multiple_of(LANES) {
        return of_row[first..][..blocks].as_chunks().0;
    }
    spread(of_row, plan.run, first, blocks, buffer);
    buffer[..blocks.next_multiple_of(LANES)].as_chunks().0
}

/// A row's share of a band.
struct Part<'a, L: SumLanes> {
    /// To the end of the row.
    codes: &'a [u8],
    later: Later<'a>,
    /// Of codes, the last of which may be short.
    vectors: usize,
    scales: &'a [[f32; LANES]],
    zeros: Option<&'a [[f32; LANES]]>,
    unit: L::F,
}

/// One column of a [`Segment`], in groups of sixteen.
#[derive(Clone, Copy)]
pub(super) struct Column<'a> {
    scales: &'a [[f32; LANES]],
    corrections: &'a [[i32; LANES]],
    sums: &'a [[f32; LANES]],
}

impl<const C: usize> Segment<C> {
    #[inline(always)]
    pub(super) fn column(&self, c: usize) -> Column<'_> {
        Column {
            scales: self.scales[c].as_chunks().0,
            corrections: self.corrections[c].as_chunks().0,
            sums: self.sums[c].as_chunks().0,
        }
    }
}

impl<'a, L: SumLanes> Part<'a, L> {
    #[inline(always)]
    fn new<W: Weights<L>>(
        l: L,
        w: W,
        place: Place<'a>,
        row: usize,
        scales: &'a mut [f32; SEGMENT],
        zeros: &'a mut [f32; SEGMENT],
    ) -> Self {
        let Place { rows, plan, first_block, blocks, unit, .. } = place;
        let row = place.first_row + row;
        let (codes, of_row) = rows.row(row);
        let first_value = place.first_value();
        let skip = first_value / W::VALUES * w.bytes();
        Self {
            codes: &codes[skip..],
            later: Later::new(rows, row, skip, first_block / plan.run),
            vectors: (rows.len - first_value).min(blocks * plan.block).div_ceil(W::VALUES),
            scales: in_segment(of_row.scales, plan, first_block, blocks, scales),
            zeros: of_row.zeros.map(
                #[inline(always)]
                |all| in_segment(all, plan, first_block, blocks, zeros),
            ),
            unit: l.splat(unit),
        }
    }

    /// Adds the terms of sixteen blocks to the lanes of a column.
    #[inline(always)]
    fn add_terms(&self, l: L, group: usize, sums: L::I, x: Column<'_>, lanes: L::F) -> L::F {
        let mut sums = l.to_f32(sums + l.ints(&x.corrections[group])) * self.unit;
        if let Some(zeros) = self.zeros {
            sums = sums - l.load(&zeros[group]) * l.load(&x.sums[group]);
        }
        lanes + (sums * l.load(&self.scales[group])) * l.load(&x.scales[group])
    }
}

/// Groups of `N` vectors, as many as have all their codes. Returns how many that are.
#[inline(always)]
fn whole_groups<L: SumLanes, W: Weights<L>, const C: usize, const N: usize>(
    l: L,
    w: W,
    part: &Part<'_, L>,
    x: &[&[W::X]; C],
    segment: &Segment<C>,
    all_lanes: &mut [[[f32; LANES]; LANES]; C],
    row: usize,
) -> usize {
    let groups = part.scales.len().min(part.codes.len() / (N * CHUNK));
    let codes = part.codes[..groups * N * CHUNK].as_chunks::<CHUNK>().0.as_chunks::<N>().0;
    let mut in_groups = [&[][..]; C];
    let mut lanes = [l.splat(0.0); C];
    for c in 0..C {
        in_groups[c] = x[c].as_chunks::<N>().0;
        lanes[c] = l.load(&all_lanes[c][row]);
    }
    for (group, codes) in codes.iter().enumerate() {
        let mut sums = [[l.ints(&[0; LANES]); N]; C];
        part.later.scales(l, group * LANES);
        for i in 0..N {
            part.later.codes(l, (group * N + i) * CHUNK);
            let weights = w.load(l, &codes[i]);
            for c in 0..C {
                sums[c][i] = w.dot(l, weights, &in_groups[c][group][i]);
            }
        }
        for c in 0..C {
            lanes[c] = part.add_terms(l, group, l.sum_neighbours(sums[c]), segment.column(c), lanes[c]);
        }
    }
    for c in 0..C {
        l.store(lanes[c], &mut all_lanes[c][row]);
    }
    groups
}

/// Groups of any number of vectors from `first` on, with what is missing at the end.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "one caller")]
fn any_groups<L: SumLanes, W: Weights<L>>(
    l: L,
    w: W,
    part: &Part<'_, L>,
    x: &[W::X],
    column: Column<'_>,
    per_group: usize,
    first: usize,
    lanes: &mut [f32; LANES],
) {
    // Vectors per block, or vectors of several blocks each.
    let (run, vectors) = ((per_group / LANES).max(1), per_group.min(LANES));
    let bytes = w.bytes();
    let whole = part.codes.len() / bytes;
    for group in first..part.scales.len() {
        let mut sums = [l.ints(&[0; LANES]); LANES];
        for (i, out) in sums[..vectors].iter_mut().enumerate() {
            let start = group * per_group + i * run;
            let end = part.vectors.min(start + run);
            let mut sum = *out;
            if start < whole.min(end) {
                let x = &x[start..whole.min(end)];
                let codes = &part.codes[start * bytes..][..x.len() * bytes];
                let later = if L::UNROLLED { part.later.after(start * bytes) } else { &[] };
                let mut pairs = codes.chunks_exact(bytes).zip(x);
                // The end of all rows has nothing after it.
                for (later, (codes, x)) in later.chunks_exact(bytes).zip(&mut pairs) {
                    l.prefetch(&later[0]);
                    sum = sum + w.dot(l, w.load(l, codes), x);
                }
                for (codes, x) in pairs {
                    sum = sum + w.dot(l, w.load(l, codes), x);
                }
            }
            if (start..end).contains(&whole) {
                let rest = &part.codes[whole * bytes..];
                let mut last = [0; CHUNK];
                last[..rest.len()].copy_from_slice(rest);
                sum = sum + w.dot(l, w.load(l, &last[..bytes]), &x[whole]);
            }
            *out = sum;
        }
        let sums = if vectors == LANES { l.sum_neighbours(sums) } else { l.sum_few(&sums[..vectors]) };
        let sum = part.add_terms(l, group, sums, column, l.load(lanes));
        l.store(sum, lanes);
    }
}

/// The lanes of sixteen rows to sixteen numbers.
#[inline(always)]
pub(super) fn fold<L: SumLanes>(l: L, lanes: &[[f32; LANES]; LANES]) -> [f32; LANES] {
    let mut vectors = [l.splat(0.0); LANES];
    for (vector, lanes) in vectors.iter_mut().zip(lanes) {
        *vector = l.load(lanes);
    }
    let mut out = [0.0; LANES];
    l.store(l.add_neighbours(vectors), &mut out);
    out
}
