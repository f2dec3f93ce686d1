//! The kernel of products of whole numbers of steps: sixteen blocks at a time.
//!
//! ```text
//! vectors of bytes -> sums of 4 or 8 neighbours -> sums of blocks, sixteen to a vector, in order
//!   -> minus offset * sum of activations -> f32 -> * step -> * scale -> * x scale -> sixteen lanes
//! ```
//!
//! Everything before the conversion to f32 is exact, so its order is free.

use super::integer::{Band, SEGMENT, Segment};
use super::lanes::SumLanes;
use super::plan::{Plan, spread};
use super::weights::{Bytes, Nibbles, Packed, Weights};
use crate::lanes::{CHUNK, LANES};

/// Whether several columns at once have code of their own.
#[inline(always)]
pub(crate) fn takes_columns<L: SumLanes>(_: L) -> bool {
    L::UNROLLED
}

/// Adds the terms of a band to the lanes of its rows.
#[inline(always)]
pub(crate) fn add_band<L: SumLanes, const C: usize>(l: L, band: &mut Band<'_, C>) {
    assert!(C == 1 || L::UNROLLED, "one column at a time");
    match band.rows.element.bits() {
        4 => rows(l, Nibbles::new(l, band.rows.element), band),
        8 => rows(l, Bytes::new(band.rows.element), band),
        _ => rows(l, Packed::new(band.rows.element), band),
    }
}

#[inline(always)]
fn rows<L: SumLanes, W: Weights<L>, const C: usize>(l: L, w: W, band: &mut Band<'_, C>) {
    let Band { rows, plan, first_block, blocks, .. } = *band;
    let [mut scales, mut zeros] = [[0.0; SEGMENT]; 2];
    let first_value = first_block * plan.block;
    let first_vector = first_value / W::VALUES;
    let mut x = [&[][..]; C];
    for (x, codes) in x.iter_mut().zip(band.x) {
        *x = &W::column(codes)[first_vector..];
    }
    for (row, (codes, of_row)) in rows.iter().enumerate() {
        let part = Part {
            codes: &codes[first_vector * w.bytes()..],
            vectors: (rows.len - first_value).min(blocks * plan.block).div_ceil(W::VALUES),
            scales: in_segment(of_row.scales, plan, first_block, blocks, &mut scales),
            zeros: match of_row.zeros {
                Some(all) => Some(in_segment(all, plan, first_block, blocks, &mut zeros)),
                None => None,
            },
            unit: l.splat(band.unit),
        };
        let per_group = LANES * plan.block / W::VALUES;
        let done = match per_group {
            2 if W::UNROLLED & L::UNROLLED => {
                whole_groups::<L, W, C, 2>(l, w, &part, &x, &band.segment, &mut band.lanes, row)
            }
            4 if W::UNROLLED & L::UNROLLED => {
                whole_groups::<L, W, C, 4>(l, w, &part, &x, &band.segment, &mut band.lanes, row)
            }
            8 if W::UNROLLED & L::UNROLLED => {
                whole_groups::<L, W, C, 8>(l, w, &part, &x, &band.segment, &mut band.lanes, row)
            }
            _ => 0,
        };
        if done < part.scales.len() {
            for (c, (x, lanes)) in x.iter().zip(&mut band.lanes).enumerate() {
                any_groups(l, w, &part, x, band.segment.column(c), per_group, done, &mut lanes[row]);
            }
        }
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
    /// Of codes, the last of which may be short.
    vectors: usize,
    scales: &'a [[f32; LANES]],
    zeros: Option<&'a [[f32; LANES]]>,
    unit: L::F,
}

/// One column of a [`Segment`], in groups of sixteen.
#[derive(Clone, Copy)]
struct Column<'a> {
    scales: &'a [[f32; LANES]],
    corrections: &'a [[i32; LANES]],
    sums: &'a [[f32; LANES]],
}

impl<const C: usize> Segment<C> {
    #[inline(always)]
    fn column(&self, c: usize) -> Column<'_> {
        Column {
            scales: self.scales[c].as_chunks().0,
            corrections: self.corrections[c].as_chunks().0,
            sums: self.sums[c].as_chunks().0,
        }
    }
}

impl<L: SumLanes> Part<'_, L> {
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
        for i in 0..N {
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
                for (codes, x) in part.codes[start * bytes..].chunks_exact(bytes).zip(x) {
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
        let sums = match sums {
            [a, b, ..] if vectors == 2 => l.sum_neighbours([a, b]),
            [a, b, c, d, ..] if vectors == 4 => l.sum_neighbours([a, b, c, d]),
            [a, b, c, d, e, f, g, h, ..] if vectors == 8 => l.sum_neighbours([a, b, c, d, e, f, g, h]),
            _ => l.sum_neighbours(sums),
        };
        let sum = part.add_terms(l, group, sums, column, l.load(lanes));
        l.store(sum, lanes);
    }
}

/// The lanes of sixteen rows to sixteen numbers.
#[inline(always)]
pub(crate) fn fold<L: SumLanes>(l: L, lanes: &[[f32; LANES]; LANES]) -> [f32; LANES] {
    let mut vectors = [l.splat(0.0); LANES];
    for (vector, lanes) in vectors.iter_mut().zip(lanes) {
        *vector = l.load(lanes);
    }
    let mut out = [0.0; LANES];
    l.store(l.add_neighbours(vectors), &mut out);
    out
}
