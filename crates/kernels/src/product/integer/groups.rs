//! The loop of exact sums over groups of sixteen blocks.
//!
//! ```text
//! vectors of bytes -> sums of 4 or 8 neighbours -> sums of blocks, sixteen to a vector, in order
//!   -> minus offset * sum of activations -> f32 -> * step -> * scale -> * x scale -> sixteen lanes
//! ```
//!
//! Everything before the conversion to f32 is exact, so its order is free.

use super::panel::{Column, Columns, GroupTerms, Panel, RowCodes, Segment};
use crate::lanes::{CHUNK, LANES};
use crate::level::{Level, on};
use crate::product::lanes::{SumLanes, first_lanes};
use crate::product::plan::Groups;
use crate::product::scales::groups::{
    Bf16Scales, E4m3Scales, E8m0Scales, F16Scales, InRegisters, LaidOut, ScaleGroups, Shared,
};
use crate::product::scales::stored::ScaleType;
use crate::product::scales::{ScaleBuffer, ScaleRange, Scales};
use crate::product::weights::e4m3::E4m3;
use crate::product::weights::exact::Exact;
use crate::product::weights::nf4::Nf4;
use crate::product::weights::{Activations, Bytes, Nibbles, Weights};

/// Adds the terms of a panel of one column to its lanes. Rows whose scales do not become f32 in registers go the other way.
pub(super) fn add_column(groups: Groups, in_registers: Option<ScaleType>, panel: &mut Panel<'_, 1>) {
    let mut rows = panel.segment.all_rows();
    if let Some(kind) = in_registers {
        rows = add_in_registers(groups, kind, panel);
    }
    let (level, e) = (panel.segment.level, panel.segment.rows.element);
    match groups {
        _ if rows == 0 => {}
        Groups::Nf4x32 => on!(level, l => laid_out::<_, _, 1, 4, false>(l, Nf4::new(l), panel, rows)),
        Groups::Bytes32Zeros => on!(level, l => laid_out::<_, _, 1, 8, true>(l, Bytes::new(e), panel, rows)),
        _ => add(groups, panel, rows),
    }
}

/// Adds the terms of a panel of several columns, whose rows share what it takes to lay scales out.
pub(super) fn add_columns<const C: usize>(groups: Groups, panel: &mut Panel<'_, C>) {
    add(groups, panel, panel.segment.all_rows());
}

/// Whether several columns at once have a loop. Two sums for each vector of each column of NF4 do not fit the registers.
pub(super) fn takes_columns(groups: Groups) -> bool {
    !matches!(groups, Groups::Nf4x32 | Groups::Bytes32Zeros)
}

/// Adds the terms of some rows, one bit each, whose scales become f32 in registers; returns those whose scales do not.
fn add_in_registers(groups: Groups, kind: ScaleType, panel: &mut Panel<'_, 1>) -> u32 {
    let Segment { level, rows, scales, unit, .. } = panel.segment;
    let (e, all) = (rows.element, panel.segment.all_rows());
    let Scales::Stored(stored) = scales else { return all };
    macro_rules! run {
        ($l:ident, $weights:expr, $kind:expr, $vectors:literal) => {
            on!(level, $l => in_registers::<_, _, _, $vectors, _>($l, $weights, $kind, panel))
        };
    }
    match (groups, kind) {
        (Groups::Nibbles16, ScaleType::E4m3) => {
            run!(l, Nibbles::new(l, e), E4m3Scales::new(l, stored.factor, unit), 2)
        }
        (Groups::Nibbles32, ScaleType::E8m0) => run!(l, Nibbles::new(l, e), E8m0Scales, 4),
        (Groups::Nibbles32, ScaleType::Bf16) => run!(l, Nibbles::new(l, e), Bf16Scales, 4),
        (Groups::Nibbles32, ScaleType::F16) => run!(l, Nibbles::new(l, e), F16Scales, 4),
        (Groups::E4m3x32, ScaleType::E8m0) => run!(l, E4m3::new(l, e), E8m0Scales, 8),
        (Groups::Bytes32, ScaleType::Bf16) => run!(l, Bytes::new(e), Bf16Scales, 8),
        (Groups::Bytes32, ScaleType::F16) => run!(l, Bytes::new(e), F16Scales, 8),
        _ => all,
    }
}

/// Adds the terms of some rows, one bit each, whose scales are laid out.
fn add<const C: usize>(groups: Groups, panel: &mut Panel<'_, C>, rows: u32) {
    let (level, e) = (panel.segment.level, panel.segment.rows.element);
    macro_rules! run {
        ($l:ident, $weights:expr, $vectors:literal, $zeros:literal) => {
            on!(level, $l => laid_out::<_, _, C, $vectors, $zeros>($l, $weights, panel, rows))
        };
    }
    match groups {
        Groups::Nibbles16 => run!(l, Nibbles::new(l, e), 2, false),
        Groups::Nibbles32 => run!(l, Nibbles::new(l, e), 4, false),
        Groups::Nibbles32Zeros => run!(l, Nibbles::new(l, e), 4, true),
        Groups::E4m3x32 => run!(l, E4m3::new(l, e), 8, false),
        Groups::Bytes32 => run!(l, Bytes::new(e), 8, false),
        Groups::Nf4x32 | Groups::Bytes32Zeros => unreachable!("one column at a time"),
    }
}

/// Groups of `N` vectors, whose scales become f32 in registers.
#[inline(always)]
fn in_registers<L: SumLanes, W: Weights<L>, K: InRegisters<L, B>, const N: usize, const B: usize>(
    l: L,
    w: W,
    kind: K,
    panel: &mut Panel<'_, 1>,
) -> u32 {
    let (all, scales) = (panel.segment.all_rows(), panel.segment.scales);
    let Scales::Stored(stored) = scales else { return all };
    if !L::NATIVE {
        return all;
    }
    each_row::<L, W, 1, N>(
        l,
        w,
        panel,
        all,
        #[inline(always)]
        |groups, row, range, sum, _| {
            let bytes = &stored.bytes[(range.start + range.first) * B / LANES..];
            let scales = kind.of_row(l, bytes, range.blocks, groups.whole)?;
            Some(groups.add(l, row, scales, NO_ZEROS, sum))
        },
    )
}

/// Groups of `N` vectors, whose scales are laid out.
#[inline(always)]
fn laid_out<L: SumLanes, W: Weights<L>, const C: usize, const N: usize, const ZEROS: bool>(
    l: L,
    w: W,
    panel: &mut Panel<'_, C>,
    rows: u32,
) {
    if !L::UNROLLED {
        return;
    }
    // Here and not in the loop, which would copy them for each row.
    let Segment { level, scales, zeros, .. } = panel.segment;
    let zeros = zeros.filter(|_| ZEROS).unwrap_or(scales);
    let mut rows = rows;
    // Each row of INT4 with zero points lays two out: what blocks share is worth a loop of its own, which reads it as it is.
    if ZEROS && C == 1 && N == 4 && matches!(panel.segment.plan.run, 2 | 4 | 8) {
        rows = each_row::<L, W, C, N>(
            l,
            w,
            panel,
            rows,
            #[inline(always)]
            |groups, row, range, sum, [buffer, zero_buffer]| {
                let scales = scales.shared(l, level, range, &mut buffer.window)?;
                let zeros = zeros.shared(l, level, range, &mut zero_buffer.window)?;
                let zeros = Shared::new(l, zeros, groups.whole);
                Some(groups.add(l, row, Shared::new(l, scales, groups.whole), Some(zeros), sum))
            },
        );
    }
    each_row::<L, W, C, N>(
        l,
        w,
        panel,
        rows,
        #[inline(always)]
        |groups, row, range, sum, [buffer, zero_buffer]| {
            let scales = LaidOut::new(scales.lay_out(l, level, range, buffer), groups.whole);
            let zeros = if ZEROS {
                Some(LaidOut::new(zeros.lay_out(l, level, range, zero_buffer), groups.whole))
            } else {
                None
            };
            Some(groups.add(l, row, scales, zeros, sum))
        },
    );
}

const NO_ZEROS: Option<LaidOut<'_>> = None;

/// Calls `add` with the lanes of each of some rows, one bit each; returns those for which it is not possible.
#[inline(always)]
fn each_row<L: SumLanes, W: Weights<L>, const C: usize, const N: usize>(
    l: L,
    w: W,
    panel: &mut Panel<'_, C>,
    rows: u32,
    mut add: impl FnMut(
        &GroupLoop<'_, L, W, C, N>,
        &RowCodes<'_>,
        ScaleRange,
        [L::F; C],
        &mut [ScaleBuffer<'_>; 2],
    ) -> Option<[L::F; C]>,
) -> u32 {
    let Panel { segment, x: ref x_codes, ref columns, ref mut buffers, ref mut lanes } = *panel;
    let groups = GroupLoop::<L, W, C, N>::new(l, w, segment, x_codes, columns);
    each_bit::<C>(
        segment.count,
        rows,
        #[inline(always)]
        |row| {
            let codes = RowCodes::new(w, segment, row);
            let mut sum = [l.splat(0.0); C];
            for c in 0..C {
                sum[c] = l.load(&lanes[c][row]);
            }
            let range = ScaleRange { start: codes.start, ..segment.scale_range() };
            let Some(sum) = add(&groups, &codes, range, sum, buffers) else { return false };
            for c in 0..C {
                l.store(sum[c], &mut lanes[c][row]);
            }
            true
        },
    )
}

/// Those of some rows, one bit each, that are not done.
#[inline(always)]
fn each_bit<const C: usize>(count: usize, rows: u32, mut done: impl FnMut(usize) -> bool) -> u32 {
    let (mut left, mut todo) = (0, rows);
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
        for row in (0..count).filter(|row| rows >> row & 1 == 1) {
            if !done(row) {
                left |= 1 << row;
            }
        }
    }
    left
}

/// What all rows of a panel have in common, in groups of `N` vectors.
struct GroupLoop<'a, L: SumLanes, W: Weights<L>, const C: usize, const N: usize> {
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
    blocks: usize,
}

impl<'a, L: SumLanes, W: Weights<L>, const C: usize, const N: usize> GroupLoop<'a, L, W, C, N> {
    /// All rows are of one length, which is looked at here and not in the loops.
    #[inline(always)]
    fn new(l: L, w: W, segment: Segment<'a>, x_codes: &[&'a [i8]; C], all: &'a Columns<'_, C>) -> Self {
        // The last group is apart if it lacks blocks or codes.
        let values = segment.values();
        let whole = values / (N * W::VALUES);
        let left = values - whole * N * W::VALUES;
        let mut x = [&[][..]; C];
        // The activations of the last group, which may lack blocks: then there are zeros.
        let mut last = [[W::X::ZEROS; N]; C];
        let (mut columns, mut last_columns) = ([all.column(0); C], [all.column(0); C]);
        for c in 0..C {
            let vectors = &W::X::of_column(x_codes[c])[segment.first_value() / W::VALUES..];
            x[c] = &vectors.as_chunks::<N>().0[..whole];
            let tail = &vectors[whole * N..];
            if left > 0 {
                let some = tail.len().min(N);
                last[c][..some].copy_from_slice(&tail[..some]);
            }
            (columns[c], last_columns[c]) = all.column(c).split(whole);
        }
        let (unit, blocks) = (l.splat(segment.unit), segment.blocks);
        Self { w, whole, left, x, last, columns, last_columns, unit, blocks }
    }

    /// Adds the terms of a row's groups to its lanes.
    #[inline(always)]
    fn add<G: ScaleGroups<L>>(
        &self,
        l: L,
        row: &RowCodes<'_>,
        scales: G,
        zeros: Option<impl ScaleGroups<L>>,
        mut sum: [L::F; C],
    ) -> [L::F; C] {
        let Self { w, whole, left, unit, ref x, ref last, ref columns, ref last_columns, .. } = *self;
        let unit = if G::WITH_UNIT { None } else { Some(unit) };
        let bytes = whole * N * CHUNK;
        let codes = row.codes[..bytes].as_chunks::<CHUNK>().0.as_chunks::<N>().0;
        let ahead = row.ahead.as_many(W::X::AHEAD, bytes).as_chunks::<CHUNK>().0.as_chunks::<N>().0;
        let mut largest = l.splat_byte(0);
        for group in 0..whole {
            let mut sums = [[W::Exact::zero(l); N]; C];
            for i in 0..N {
                l.prefetch(&ahead[group][i]);
                let weights = w.load(l, &codes[group][i]);
                largest = w.track_nan(l, largest, weights);
                for c in 0..C {
                    sums[c][i] = w.dot(l, weights, &x[c][group][i]);
                }
            }
            let zeros = zeros.map(
                #[inline(always)]
                |zeros| zeros.group(l, group),
            );
            let terms = GroupTerms { unit, scales: scales.group(l, group), zeros };
            for c in 0..C {
                let sums = W::Exact::of_neighbours(l, sums[c]);
                sum[c] = terms.add::<W::Exact>(l, sums, columns[c], group, sum[c]);
            }
        }
        if left > 0 {
            let codes = &row.codes[bytes..];
            let copy;
            // What follows the row is multiplied with zeros. Nothing follows the last row.
            let codes = if let Some(codes) = codes.as_chunks::<CHUNK>().0.first_chunk::<N>() {
                codes
            } else {
                copy = padded(codes);
                &copy
            };
            let mut sums = [[W::Exact::zero(l); N]; C];
            for i in 0..N {
                if i * W::VALUES >= left {
                    break;
                }
                row.ahead.codes(l, bytes + i * CHUNK);
                let weights = w.load(l, &codes[i]);
                if (i + 1) * W::VALUES <= left {
                    largest = w.track_nan(l, largest, weights);
                }
                for c in 0..C {
                    sums[c][i] = w.dot(l, weights, &last[c][i]);
                }
            }
            let count = self.blocks - whole * LANES;
            let zeros = zeros.map(
                #[inline(always)]
                |zeros| first_lanes(l, zeros.last(l), count),
            );
            let terms = GroupTerms { unit, scales: first_lanes(l, scales.last(l), count), zeros };
            for c in 0..C {
                let sums = W::Exact::of_neighbours(l, sums[c]);
                sum[c] = terms.add::<W::Exact>(l, sums, last_columns[c], 0, sum[c]);
            }
        }
        if !W::NAN {
            return sum;
        }
        // What is tracked is whole vectors: the next row follows in the last one.
        let (own, tail) = row.codes[..bytes + left].split_at(bytes + left / CHUNK * CHUNK);
        let is_nan = if w.tracks_nan() { l.any_byte_above(largest, 0x7e) } else { w.has_nan(own) };
        if is_nan || w.has_nan(tail) { [l.splat(f32::NAN); C] } else { sum }
    }
}

/// Fewer bytes than some vectors, then zeros. The last row needs it: it is kept apart, so that no other row stores zeros.
#[cold]
#[inline(never)]
fn padded<const N: usize>(some: &[u8]) -> [[u8; CHUNK]; N] {
    let mut all = [[0; CHUNK]; N];
    all.as_flattened_mut()[..some.len()].copy_from_slice(some);
    all
}
