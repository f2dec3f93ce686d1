//! The kernel of products of whole numbers of steps: sixteen blocks at a time.
//!
//! ```text
//! vectors of bytes -> sums of 4 or 8 neighbours -> sums of blocks, sixteen to a vector, in order
//!   -> minus offset * sum of activations -> f32 -> * step -> * scale -> * x scale -> sixteen lanes
//! ```
//!
//! Everything before the conversion to f32 is exact, so its order is free. What has no loop here is left to [`rest`](super::rest).

use super::Scales;
use super::digits::{Digits, has_digits};
use super::exact::Exact;
use super::fine::{Fine, is_fine};
use super::groups::{Bf16, E4m3, E8m0, F16, Groups, InPlace, LaidOut, Shared};
use super::integer::{Band, Place, Segment};
use super::lanes::SumLanes;
use super::later::Later;
use super::scales::{Factor, Room, ScaleType, StoredScales, Which};
use super::weights::{Bytes, Nibbles, Weights};
use crate::lanes::{CHUNK, LANES, apart};

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

/// What all rows of a band meet.
struct Met<'a, L: SumLanes, W: Weights<L>, const C: usize, const N: usize> {
    w: W,
    /// Whole groups.
    whole: usize,
    /// Values after them.
    left: usize,
    x: [&'a [[W::X; N]]; C],
    last: [[W::X; N]; C],
    columns: [Column<'a>; C],
    last_columns: [Column<'a>; C],
    unit: L::F,
    place: Place<'a>,
}

impl<'a, L: SumLanes, W: Weights<L>, const C: usize, const N: usize> Met<'a, L, W, C, N> {
    /// All rows are of one length, which is looked at here and not in the loops.
    #[inline(always)]
    fn new(l: L, w: W, place: Place<'a>, of_columns: &[&'a [i8]; C], segment: &'a Segment<'_, C>) -> Self {
        // The last group is apart if it lacks blocks or codes.
        let values = place.values();
        let whole = values / (N * W::VALUES);
        let left = values - whole * N * W::VALUES;
        let mut x = [&[][..]; C];
        // What the last group meets, which may lack blocks: then there are zeros.
        let mut last = [[W::ZEROS; N]; C];
        let (mut columns, mut last_columns) = ([segment.column(0); C], [segment.column(0); C]);
        for c in 0..C {
            let all = &W::column(of_columns[c])[place.first_value() / W::VALUES..];
            x[c] = &all.as_chunks::<N>().0[..whole];
            let rest = &all[whole * N..];
            if left > 0 {
                let some = rest.len().min(N);
                last[c][..some].copy_from_slice(&rest[..some]);
            }
            (columns[c], last_columns[c]) = segment.column(c).split(whole);
        }
        Self { w, whole, left, x, last, columns, last_columns, unit: l.splat(place.unit), place }
    }

    /// Adds the terms of a row's groups to its lanes.
    #[inline(always)]
    fn add<G: Groups<L>>(
        &self,
        l: L,
        part: &Part<'_>,
        scales: G,
        zeros: Option<impl Groups<L>>,
        mut sum: [L::F; C],
    ) -> [L::F; C] {
        let Self { w, whole, left, unit, ref x, ref last, ref columns, ref last_columns, .. } = *self;
        let unit = if G::WITH_UNIT { None } else { Some(unit) };
        let bytes = whole * N * CHUNK;
        let codes = part.codes[..bytes].as_chunks::<CHUNK>().0.as_chunks::<N>().0;
        let later = part.later.as_many(W::AHEAD, bytes).as_chunks::<CHUNK>().0.as_chunks::<N>().0;
        let mut seen = l.splat_byte(0);
        for group in 0..whole {
            let mut sums = [[W::Sums::zero(l); N]; C];
            for i in 0..N {
                l.prefetch(&later[group][i]);
                let weights = w.load(l, &codes[group][i]);
                seen = w.see(l, seen, weights);
                for c in 0..C {
                    sums[c][i] = w.dot(l, weights, &x[c][group][i]);
                }
            }
            let zeros = zeros.map(
                #[inline(always)]
                |zeros| zeros.group(l, group),
            );
            let terms = Terms { unit, scales: scales.group(l, group), zeros };
            for c in 0..C {
                let sums = W::Sums::of_neighbours(l, sums[c]);
                sum[c] = terms.add(l, sums, columns[c], group, sum[c]);
            }
        }
        if left > 0 {
            let codes = &part.codes[bytes..];
            let copy;
            // What follows the row meets zeros. Nothing follows the last row.
            let codes = if let Some(codes) = codes.as_chunks::<CHUNK>().0.first_chunk::<N>() {
                codes
            } else {
                copy = vectors(codes);
                &copy
            };
            let mut sums = [[W::Sums::zero(l); N]; C];
            for i in 0..N {
                if i * W::VALUES >= left {
                    break;
                }
                part.later.codes(l, bytes + i * CHUNK);
                let weights = w.load(l, &codes[i]);
                if (i + 1) * W::VALUES <= left {
                    seen = w.see(l, seen, weights);
                }
                for c in 0..C {
                    sums[c][i] = w.dot(l, weights, &last[c][i]);
                }
            }
            let count = self.place.blocks - whole * LANES;
            let zeros = zeros.map(
                #[inline(always)]
                |zeros| up_to(l, zeros.last(l), count),
            );
            let terms = Terms { unit, scales: up_to(l, scales.last(l), count), zeros };
            for c in 0..C {
                let sums = W::Sums::of_neighbours(l, sums[c]);
                sum[c] = terms.add(l, sums, last_columns[c], 0, sum[c]);
            }
        }
        if !W::NAN {
            return sum;
        }
        // What is seen is whole vectors: the next row follows in the last one.
        let (own, rest) = part.codes[..bytes + left].split_at(bytes + left / CHUNK * CHUNK);
        let is_nan = if w.sees_nan() { l.any_byte_above(seen, 0x7e) } else { w.is_nan(own) };
        if is_nan || w.is_nan(rest) { [l.splat(f32::NAN); C] } else { sum }
    }
}

/// A row's share of a band.
pub(super) struct Part<'a> {
    /// To the end of all rows.
    pub(super) codes: &'a [u8],
    /// To the end of the row.
    pub(super) bytes: usize,
    pub(super) later: Later<'a>,
    pub(super) place: Place<'a>,
    /// The first scale of the row.
    pub(super) start: usize,
}

/// What the terms of sixteen blocks have in common for all columns.
pub(super) struct Terms<L: SumLanes> {
    /// None where the scales are times it already.
    pub(super) unit: Option<L::F>,
    pub(super) scales: L::F,
    pub(super) zeros: Option<L::F>,
}

/// One column of a [`Segment`], in groups of sixteen.
#[derive(Clone, Copy)]
pub(super) struct Column<'a> {
    scales: &'a [[f32; LANES]],
    corrections: &'a [[i32; LANES]],
    sums: &'a [[f32; LANES]],
}

impl<const C: usize> Segment<'_, C> {
    #[inline(always)]
    pub(super) fn column(&self, c: usize) -> Column<'_> {
        Column {
            scales: self.scales[c].as_chunks().0,
            corrections: self.corrections[c].as_chunks().0,
            sums: self.sums[c].as_chunks().0,
        }
    }
}

impl Column<'_> {
    /// The first `count` groups, and those after them.
    #[inline(always)]
    fn split(self, count: usize) -> (Self, Self) {
        let (scales, corrections, sums) =
            (self.scales.split_at(count), self.corrections.split_at(count), self.sums.split_at(count));
        (
            Self { scales: scales.0, corrections: corrections.0, sums: sums.0 },
            Self { scales: scales.1, corrections: corrections.1, sums: sums.1 },
        )
    }
}

impl<'a> Part<'a> {
    #[inline(always)]
    pub(super) fn new<L: SumLanes, W: Weights<L>>(w: W, place: Place<'a>, row: usize) -> Self {
        let Place { rows, strides, .. } = place;
        let row = place.first_row + row;
        let skip = place.first_value() / W::VALUES * w.bytes();
        let start = row * strides.1;
        let later = Later::new(&rows.codes[row * strides.0 + skip..], &[]);
        Self { codes: later.all_codes(), bytes: strides.0 - skip, later, place, start }
    }
}

impl<L: SumLanes> Terms<L> {
    /// Adds the terms of sixteen blocks to the lanes of a column, of which they are that group.
    #[inline(always)]
    pub(super) fn add(&self, l: L, sums: impl Exact<L>, x: Column<'_>, group: usize, lanes: L::F) -> L::F {
        let mut sums = sums.rounded(l, l.ints(&x.corrections[group]));
        if let Some(unit) = self.unit {
            sums = sums * unit;
        }
        if let Some(zeros) = self.zeros {
            sums = sums - zeros * l.load(&x.sums[group]);
        }
        lanes + (sums * self.scales) * l.load(&x.scales[group])
    }
}

/// The first `count` lanes, and zeros after them.
#[inline(always)]
pub(super) fn up_to<L: SumLanes>(l: L, lanes: L::F, count: usize) -> L::F {
    const INDEX: [f32; LANES] =
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0];
    let inside = l.gt_f32(l.splat(count as f32), l.load(&INDEX));
    l.float(l.select(inside, l.bits(lanes), l.splat_bits(0)))
}

/// Fewer bytes than some vectors, then zeros. It is for the last row, and kept apart, so that no other row stores zeros.
#[cold]
#[inline(never)]
fn vectors<const N: usize>(some: &[u8]) -> [[u8; CHUNK]; N] {
    let mut all = [[0; CHUNK]; N];
    all.as_flattened_mut()[..some.len()].copy_from_slice(some);
    all
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
