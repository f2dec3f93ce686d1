//! What all rows of a band meet, and the loop over the groups of a row.

use super::{Column, Part, Terms, up_to};
use crate::lanes::{CHUNK, LANES};
use crate::product::exact::Exact;
use crate::product::groups::Groups;
use crate::product::integer::{Place, Segment};
use crate::product::lanes::SumLanes;
use crate::product::weights::Weights;

/// What all rows of a band meet.
pub(super) struct Met<'a, L: SumLanes, W: Weights<L>, const C: usize, const N: usize> {
    w: W,
    /// Whole groups.
    pub(super) whole: usize,
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
    pub(super) fn new(
        l: L,
        w: W,
        place: Place<'a>,
        of_columns: &[&'a [i8]; C],
        segment: &'a Segment<'_, C>,
    ) -> Self {
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
    pub(super) fn add<G: Groups<L>>(
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

/// Fewer bytes than some vectors, then zeros. It is for the last row, and kept apart, so that no other row stores zeros.
#[cold]
#[inline(never)]
fn vectors<const N: usize>(some: &[u8]) -> [[u8; CHUNK]; N] {
    let mut all = [[0; CHUNK]; N];
    all.as_flattened_mut()[..some.len()].copy_from_slice(some);
    all
}
