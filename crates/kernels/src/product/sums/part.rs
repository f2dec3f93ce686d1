//! What one row, one column and one group of sixteen blocks bring to a sum.

use crate::lanes::LANES;
use crate::product::exact::Exact;
use crate::product::integer::{Place, Segment};
use crate::product::lanes::SumLanes;
use crate::product::later::Later;
use crate::product::weights::Weights;

/// A row's share of a band.
pub(crate) struct Part<'a> {
    /// To the end of all rows.
    pub(crate) codes: &'a [u8],
    /// To the end of the row.
    pub(crate) bytes: usize,
    pub(crate) later: Later<'a>,
    pub(crate) place: Place<'a>,
    /// The first scale of the row.
    pub(crate) start: usize,
}

/// What the terms of sixteen blocks have in common for all columns.
pub(crate) struct Terms<L: SumLanes> {
    /// None where the scales are times it already.
    pub(crate) unit: Option<L::F>,
    pub(crate) scales: L::F,
    pub(crate) zeros: Option<L::F>,
}

/// One column of a [`Segment`], in groups of sixteen.
#[derive(Clone, Copy)]
pub(crate) struct Column<'a> {
    scales: &'a [[f32; LANES]],
    corrections: &'a [[i32; LANES]],
    sums: &'a [[f32; LANES]],
}

impl<const C: usize> Segment<'_, C> {
    #[inline(always)]
    pub(crate) fn column(&self, c: usize) -> Column<'_> {
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
    pub(super) fn split(self, count: usize) -> (Self, Self) {
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
    pub(crate) fn new<L: SumLanes, W: Weights<L>>(w: W, place: Place<'a>, row: usize) -> Self {
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
    pub(crate) fn add(&self, l: L, sums: impl Exact<L>, x: Column<'_>, group: usize, lanes: L::F) -> L::F {
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
pub(crate) fn up_to<L: SumLanes>(l: L, lanes: L::F, count: usize) -> L::F {
    const INDEX: [f32; LANES] =
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0];
    let inside = l.gt_f32(l.splat(count as f32), l.load(&INDEX));
    l.float(l.select(inside, l.bits(lanes), l.splat_bits(0)))
}
