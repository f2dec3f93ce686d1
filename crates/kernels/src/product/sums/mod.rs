//! The kernel of products of whole numbers of steps: sixteen blocks at a time.
//!
//! ```text
//! vectors of bytes -> sums of 4 or 8 neighbours -> sums of blocks, sixteen to a vector, in order
//!   -> minus offset * sum of activations -> f32 -> * step -> * scale -> * x scale -> sixteen lanes
//! ```
//!
//! Everything before the conversion to f32 is exact, so its order is free. What has no loop here is left to [`rest`](super::rest).

mod met;
mod part;

pub(super) use part::{Column, Part, Terms, up_to};

use super::Scales;
use super::digits::{Digits, has_digits};
use super::fine::{Fine, is_fine};
use super::groups::{Bf16, E4m3, E8m0, F16, InPlace, LaidOut, Shared};
use super::integer::{Band, Place};
use super::lanes::SumLanes;
use super::scales::{Factor, Room, ScaleType, StoredScales, Which};
use super::weights::{Bytes, Nibbles, Weights};
use crate::lanes::{LANES, apart};
use met::Met;

/// Whether several columns at once have code of their own.
#[inline(always)]
pub(super) fn takes_columns<L: SumLanes>(_: L) -> bool {
    L::UNROLLED
}

/// Adds the terms of all groups of rows whose scales become f32 in registers, and returns a bit for each row that is left: a row has other scales, or the
/// loop for these formats is another. One column, no zero points; with several columns, rows share what it takes to lay scales out.
#[inline(always)]
pub(super) fn add_in_place<L: SumLanes, const C: usize>(l: L, band: &mut Band<'_, C>) -> u32 {
    let (place, all) = (band.place, (1 << band.place.count) - 1);
    let Scales::Stored(StoredScales { kind, factor, .. }) = place.scales else { return all };
    let (e, alone) = (place.rows.element, factor == Factor::None);
    if C != 1 || !L::WIDENS || place.zeros.is_some() || place.plan.run != 1 || has_digits(e) {
        return all;
    }
    match (e.bits(), place.plan.block, kind) {
        (4, 16, ScaleType::E4m3) => match E4m3::new(l, factor, place.unit) {
            Some(kind) => in_place::<L, _, _, C, 2>(l, Nibbles::new(l, e), kind, band),
            None => all,
        },
        (4, 32, ScaleType::E8m0) if alone => in_place::<L, _, _, C, 4>(l, Nibbles::new(l, e), E8m0, band),
        (4, 32, ScaleType::Bf16) if alone => in_place::<L, _, _, C, 4>(l, Nibbles::new(l, e), Bf16, band),
        (4, 32, ScaleType::F16) if alone => in_place::<L, _, _, C, 4>(l, Nibbles::new(l, e), F16, band),
        (8, 32, ScaleType::E8m0) if alone && is_fine(e) && place.negates => {
            in_place::<L, _, _, C, 8>(l, Fine::new(l, e), E8m0, band)
        }
        (8, 32, ScaleType::Bf16) if alone && !is_fine(e) => {
            in_place::<L, _, _, C, 8>(l, Bytes::new(e), Bf16, band)
        }
        (8, 32, ScaleType::F16) if alone && !is_fine(e) => {
            in_place::<L, _, _, C, 8>(l, Bytes::new(e), F16, band)
        }
        _ => all,
    }
}

/// [`add_in_place`] of groups of `N` vectors.
#[inline(always)]
fn in_place<L: SumLanes, W: Weights<L>, K: InPlace<L>, const C: usize, const N: usize>(
    l: L,
    w: W,
    kind: K,
    band: &mut Band<'_, C>,
) -> u32 {
    let Scales::Stored(stored) = band.place.scales else { return 0 };
    let all = (1 << band.place.count) - 1;
    each_row::<L, W, C, N>(
        l,
        w,
        band,
        all,
        #[inline(always)]
        |met, part, which, sum, _| {
            let bytes = &stored.bytes[(which.start + which.first) * K::BYTES..];
            let scales = kind.of_row(l, bytes, which.blocks, met.whole)?;
            Some(met.add(l, part, scales, NO_ZEROS, sum))
        },
    )
}

/// Adds the terms of all groups of sixteen blocks of some rows, one bit each, if their vectors have a loop of their own. Returns whether they have. Zero
/// points are what integers have.
#[inline(always)]
pub(super) fn add_unrolled<L: SumLanes, const C: usize>(l: L, band: &mut Band<'_, C>, some: u32) -> bool {
    let (e, zeros) = (band.place.rows.element, band.place.zeros.is_some());
    match (e.bits(), band.place.plan.block) {
        _ if !L::UNROLLED => return false,
        (4, 32) if C == 1 && has_digits(e) && !zeros => {
            rows::<L, _, C, 4, false>(l, Digits::new(l), band, some);
        }
        _ if has_digits(e) => return false,
        (4, 16) if !zeros => rows::<L, _, C, 2, false>(l, Nibbles::new(l, e), band, some),
        (4, 32) if !zeros => rows::<L, _, C, 4, false>(l, Nibbles::new(l, e), band, some),
        (4, 32) => rows::<L, _, C, 4, true>(l, Nibbles::new(l, e), band, some),
        (8, 32) if is_fine(e) => {
            if zeros || !L::FINE || !band.place.negates {
                return false;
            }
            rows::<L, _, C, 8, false>(l, Fine::new(l, e), band, some);
        }
        (8, 32) if !zeros => rows::<L, _, C, 8, false>(l, Bytes::new(e), band, some),
        (8, 32) => rows::<L, _, C, 8, true>(l, Bytes::new(e), band, some),
        _ => return false,
    }
    true
}

/// [`add_unrolled`] of groups of `N` vectors.
#[inline(always)]
fn rows<L: SumLanes, W: Weights<L>, const C: usize, const N: usize, const ZEROS: bool>(
    l: L,
    w: W,
    band: &mut Band<'_, C>,
    some: u32,
) {
    // Here and not in the loop, which would copy them for each row.
    let Place { level, scales, zeros, .. } = band.place;
    let zeros = zeros.filter(|_| ZEROS).unwrap_or(scales);
    let mut some = some;
    // Each row of INT4 with zero points lays two out: what blocks share is worth a loop of its own, which reads it as it is.
    if ZEROS && C == 1 && N == 4 && matches!(band.place.plan.run, 2 | 4 | 8) {
        some = each_row::<L, W, C, N>(
            l,
            w,
            band,
            some,
            #[inline(always)]
            |met, part, which, sum, [room, room_of_zeros]| {
                let scales = scales.shared(l, level, which, &mut room.window)?;
                let zeros = zeros.shared(l, level, which, &mut room_of_zeros.window)?;
                let zeros = Shared::new(l, zeros, met.whole);
                Some(met.add(l, part, Shared::new(l, scales, met.whole), Some(zeros), sum))
            },
        );
    }
    each_row::<L, W, C, N>(
        l,
        w,
        band,
        some,
        #[inline(always)]
        |met, part, which, sum, [room, room_of_zeros]| {
            let scales = LaidOut::new(scales.lay_out(l, level, which, room), met.whole);
            let zeros = if ZEROS {
                Some(LaidOut::new(zeros.lay_out(l, level, which, room_of_zeros), met.whole))
            } else {
                None
            };
            Some(met.add(l, part, scales, zeros, sum))
        },
    );
}

/// Does something to the lanes of each row of some, one bit each; returns those to which it could not be done.
#[inline(always)]
fn each_row<L: SumLanes, W: Weights<L>, const C: usize, const N: usize>(
    l: L,
    w: W,
    band: &mut Band<'_, C>,
    some: u32,
    mut add: impl FnMut(
        &Met<'_, L, W, C, N>,
        &Part<'_>,
        Which,
        [L::F; C],
        &mut [Room<'_>; 2],
    ) -> Option<[L::F; C]>,
) -> u32 {
    apart!(l, {
        let Band { place, x: ref of_columns, ref segment, ref mut room, ref mut lanes } = *band;
        let met = Met::<L, W, C, N>::new(l, w, place, of_columns, segment);
        left_of::<C>(
            place.count,
            some,
            #[inline(always)]
            |row| {
                let part = Part::new(w, place, row);
                let mut sum = [l.splat(0.0); C];
                for c in 0..C {
                    sum[c] = l.load(&lanes[c][row]);
                }
                let which = Which { start: part.start, ..place.which() };
                let Some(sum) = add(&met, &part, which, sum, room) else { return false };
                for c in 0..C {
                    l.store(sum[c], &mut lanes[c][row]);
                }
                true
            },
        )
    })
}

/// Those of some rows, one bit each, that are not done.
#[inline(always)]
fn left_of<const C: usize>(count: usize, some: u32, mut done: impl FnMut(usize) -> bool) -> u32 {
    let (mut left, mut todo) = (0, some);
    if C == 1 {
        // Of a range the compiler makes a counter for everything that depends on the row, and short rows wait for these.
        while todo != 0 {
            let row = todo.trailing_zeros() as usize % LANES;
            todo &= todo - 1;
            if !done(row) {
                left |= 1 << row;
            }
        }
    } else {
        // With several columns that is the faster one.
        for row in (0..count).filter(|row| some >> row & 1 == 1) {
            if !done(row) {
                left |= 1 << row;
            }
        }
    }
    left
}

const NO_ZEROS: Option<LaidOut<'_>> = None;

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
