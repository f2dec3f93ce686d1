//! The kernel of products of whole numbers of steps for what [`sums`](super::sums) has no loop for: blocks of any number of vectors, one column.

use super::digits::{Digits, has_digits};
use super::exact::Exact;
use super::fine::{Any, is_fine};
use super::integer::Place;
use super::lanes::SumLanes;
use super::scales::Which;
use super::sums::{Column, Part, Terms};
use super::weights::{Bytes, Nibbles, Packed, Weights};
use crate::lanes::{CHUNK, LANES, apart};

/// Adds the terms of all groups of some rows, one bit each, to the lanes of a column.
#[inline(always)]
pub(super) fn add_rest<L: SumLanes>(
    l: L,
    place: Place<'_>,
    some: u32,
    x: &[i8],
    column: Column<'_>,
    lanes: &mut [[f32; LANES]; LANES],
) {
    let e = place.rows.element;
    match e.bits() {
        4 if has_digits(e) => apart!(l, rest(l, Digits::new(l), place, some, x, column, lanes)),
        8 if is_fine(e) => apart!(l, rest(l, Any::new(e), place, some, x, column, lanes)),
        4 if L::UNROLLED => apart!(l, rest(l, Nibbles::new(l, e), place, some, x, column, lanes)),
        8 if L::UNROLLED => apart!(l, rest(l, Bytes::new(e), place, some, x, column, lanes)),
        _ => apart!(l, rest(l, Packed::new(e), place, some, x, column, lanes)),
    }
}

#[inline(always)]
fn rest<L: SumLanes, W: Weights<L>>(
    l: L,
    w: W,
    place: Place<'_>,
    some: u32,
    x: &[i8],
    column: Column<'_>,
    lanes: &mut [[f32; LANES]; LANES],
) {
    let x = &W::column(x)[place.first_value() / W::VALUES..];
    let vectors = place.values().div_ceil(W::VALUES);
    for row in (0..place.count).filter(|row| some >> row & 1 == 1) {
        let (part, lanes) = (Part::new(w, place, row), &mut lanes[row]);
        any_groups(l, w, &part, &x[..vectors], column, LANES * place.plan.block / W::VALUES, lanes);
        let bytes = part.bytes.min(vectors * w.bytes());
        if W::NAN && w.is_nan(&part.codes[..bytes]) {
            *lanes = [f32::NAN; LANES];
        }
    }
}

/// Groups of any number of vectors, with what is missing at the end.
#[inline(always)]
fn any_groups<L: SumLanes, W: Weights<L>>(
    l: L,
    w: W,
    part: &Part<'_>,
    x: &[W::X],
    column: Column<'_>,
    per_group: usize,
    lanes: &mut [f32; LANES],
) {
    // Vectors per block, or vectors of several blocks each.
    let (run, vectors) = ((per_group / LANES).max(1), per_group.min(LANES));
    let bytes = w.bytes();
    let whole = part.bytes / bytes;
    for group in 0..x.len().div_ceil(per_group) {
        let mut sums = [W::Sums::zero(l); LANES];
        for (i, out) in sums[..vectors].iter_mut().enumerate() {
            let start = group * per_group + i * run;
            let end = x.len().min(start + run);
            let mut sum = *out;
            if start < whole.min(end) {
                let x = &x[start..whole.min(end)];
                let codes = &part.codes[start * bytes..][..x.len() * bytes];
                let later = if L::UNROLLED { part.later.after(start * bytes) } else { &[] };
                let mut pairs = codes.chunks_exact(bytes).zip(x);
                // The end of all rows has nothing after it.
                for (later, (codes, x)) in later.chunks_exact(bytes).zip(&mut pairs) {
                    l.prefetch(&later[0]);
                    sum = sum.plus(w.dot(l, w.load(l, codes), x));
                }
                for (codes, x) in pairs {
                    sum = sum.plus(w.dot(l, w.load(l, codes), x));
                }
            }
            if (start..end).contains(&whole) {
                let rest = &part.codes[whole * bytes..part.bytes];
                let mut last = [0; CHUNK];
                last[..rest.len()].copy_from_slice(rest);
                sum = sum.plus(w.dot(l, w.load(l, &last[..bytes]), &x[whole]));
            }
            *out = sum;
        }
        let sums = if vectors == LANES {
            W::Sums::of_neighbours(l, sums)
        } else {
            W::Sums::of_few(l, &sums[..vectors])
        };
        let sum = terms(l, part, group).add(l, sums, column, group, l.load(lanes));
        l.store(sum, lanes);
    }
}

/// What one group of sixteen blocks has in common.
#[inline(always)]
fn terms<L: SumLanes>(l: L, part: &Part<'_>, group: usize) -> Terms<L> {
    let Part { start, place, .. } = *part;
    let Place { level, zeros, unit, scales, first_block, blocks, .. } = place;
    let done = group * LANES;
    let blocks = LANES.min(blocks - done);
    let which = Which { start, first: first_block + done, blocks, ..place.which() };
    let zeros = zeros.map(
        #[inline(always)]
        |zeros| l.load(&zeros.sixteen(level, which)),
    );
    let scales = l.load(&scales.sixteen(level, which));
    Terms { unit: Some(l.splat(unit)), scales, zeros }
}
