//! The operands of loops over exact sums: a segment of up to sixteen rows, and the same of some columns.

use crate::lanes::{LANES, Lanes};
use crate::level::Level;
use crate::product::lanes::SumLanes;
use crate::product::plan::Plan;
use crate::product::prefetch::Ahead;
use crate::product::rows::Rows;
use crate::product::scales::{ScaleBuffer, ScaleRange, Scales};
use crate::product::weights::Weights;
use crate::product::weights::exact::Exact;

/// Up to sixteen rows, and up to [`SEGMENT`](crate::product::scales::stored::SEGMENT) blocks of each.
#[derive(Clone, Copy)]
pub(super) struct Segment<'a> {
    /// All rows and all their blocks.
    pub(super) rows: Rows<'a>,
    /// Of all rows, in place of those of `rows`.
    pub(super) scales: Scales<'a>,
    pub(super) zeros: Option<Scales<'a>>,
    pub(super) level: Level,
    pub(super) plan: Plan,
    pub(super) first_row: usize,
    pub(super) count: usize,
    pub(super) first_block: usize,
    pub(super) blocks: usize,
    /// Bytes and scales from one row to the next.
    pub(super) strides: (usize, usize),
    /// The product of two codes of 1.
    pub(super) unit: f32,
}

impl Segment<'_> {
    /// The value that the first block begins with.
    pub(super) fn first_value(&self) -> usize {
        self.first_block * self.plan.block
    }

    /// The scales of the first row of all.
    pub(super) fn scale_range(&self) -> ScaleRange {
        ScaleRange { start: 0, run: self.plan.run, first: self.first_block, blocks: self.blocks }
    }

    /// Values of a row from there to the end of the blocks.
    pub(super) fn values(&self) -> usize {
        (self.rows.len - self.first_value()).min(self.blocks * self.plan.block)
    }

    /// A bit for each row.
    pub(super) fn all_rows(&self) -> u32 {
        (1 << self.count) - 1
    }
}

/// A segment, and `C` columns there.
#[repr(align(64))]
pub(super) struct Panel<'a, const C: usize> {
    /// Lanes of each row of each column.
    pub(super) lanes: [[[f32; LANES]; LANES]; C],
    pub(super) segment: Segment<'a>,
    /// Both orders of each column.
    pub(super) x: [&'a [i8]; C],
    pub(super) columns: Columns<'a, C>,
    /// For scales, and for zero points.
    pub(super) buffers: [ScaleBuffer<'a>; 2],
}

/// What each block of a segment needs of `C` columns.
pub(super) struct Columns<'a, const C: usize> {
    /// Of activations.
    pub(super) scales: [&'a mut [f32]; C],
    /// What the offset of the weights added, negative.
    pub(super) corrections: [&'a mut [i32]; C],
    /// Of activations, for zero points.
    pub(super) sums: [&'a mut [f32]; C],
}

/// One of the [`Columns`], in groups of sixteen blocks.
#[derive(Clone, Copy)]
pub(super) struct Column<'a> {
    scales: &'a [[f32; LANES]],
    corrections: &'a [[i32; LANES]],
    sums: &'a [[f32; LANES]],
}

impl<const C: usize> Columns<'_, C> {
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
    pub(super) fn split(self, count: usize) -> (Self, Self) {
        let (scales, corrections, sums) =
            (self.scales.split_at(count), self.corrections.split_at(count), self.sums.split_at(count));
        (
            Self { scales: scales.0, corrections: corrections.0, sums: sums.0 },
            Self { scales: scales.1, corrections: corrections.1, sums: sums.1 },
        )
    }
}

/// The codes of a row of a segment.
pub(super) struct RowCodes<'a> {
    /// To the end of all rows.
    pub(super) codes: &'a [u8],
    /// To the end of the row.
    pub(super) bytes: usize,
    pub(super) ahead: Ahead<'a>,
    /// The first scale of the row.
    pub(super) start: usize,
}

impl<'a> RowCodes<'a> {
    #[inline(always)]
    pub(super) fn new<L: SumLanes, W: Weights<L>>(w: W, segment: Segment<'a>, row: usize) -> Self {
        let Segment { rows, strides, .. } = segment;
        let row = segment.first_row + row;
        let skip = segment.first_value() / W::VALUES * w.bytes();
        let ahead = Ahead::of_codes(&rows.codes[row * strides.0 + skip..]);
        Self { codes: ahead.all_codes(), bytes: strides.0 - skip, ahead, start: row * strides.1 }
    }
}

/// What the terms of sixteen blocks have in common for all columns.
pub(super) struct GroupTerms<L: Lanes> {
    /// None where the scales are times it already.
    pub(super) unit: Option<L::F>,
    pub(super) scales: L::F,
    pub(super) zeros: Option<L::F>,
}

impl<L: SumLanes> GroupTerms<L> {
    /// Adds the terms of sixteen blocks to the lanes of a column, of which they are that group.
    #[inline(always)]
    pub(super) fn add<E: Exact<L>>(
        &self,
        l: L,
        sums: E::Sums,
        x: Column<'_>,
        group: usize,
        lanes: L::F,
    ) -> L::F {
        let mut sums = E::rounded(l, sums, l.ints(&x.corrections[group]));
        if let Some(unit) = self.unit {
            sums = sums * unit;
        }
        if let Some(zeros) = self.zeros {
            sums = sums - zeros * l.load(&x.sums[group]);
        }
        lanes + (sums * self.scales) * l.load(&x.scales[group])
    }
}
