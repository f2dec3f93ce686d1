//! Columns of a product, several at a time, and how lanes become results.

use super::lanes::SumLanes;
use crate::lanes::{LANES, Lanes};
use crate::level::{Level, on};

/// Columns that are multiplied together where there are that many.
pub(super) const COLUMNS: usize = 4;

/// Some columns of the results, which are rows by columns.
pub(super) struct Results<'a> {
    out: &'a mut [f32],
    columns: usize,
    first: usize,
}

impl Results<'_> {
    /// Calls `several` for [`COLUMNS`] columns at a time, if they are multiplied `together`, and `one` for each of the others. Of three, the last is
    /// multiplied twice.
    pub(super) fn by_columns(
        rows: usize,
        out: &mut [f32],
        together: bool,
        several: impl Fn(Results<'_>),
        one: impl Fn(Results<'_>),
    ) {
        let columns = out.len() / rows;
        let mut first = 0;
        while together && columns - first >= COLUMNS - 1 {
            several(Results { out, columns, first });
            first = (first + COLUMNS).min(columns);
        }
        for first in first..columns {
            one(Results { out, columns, first });
        }
    }

    /// Column `c` of these; the last one if there are fewer.
    pub(super) fn column(&self, c: usize) -> usize {
        (self.first + c).min(self.columns - 1)
    }

    /// Stores the results of up to sixteen rows from `row` on, whose lanes, column by column, `fold` makes numbers of.
    pub(super) fn store<T>(
        &mut self,
        row: usize,
        count: usize,
        lanes: &[T],
        fold: impl Fn(&T) -> [f32; LANES],
    ) {
        // In variables: behind the reference they would be read again after each store.
        let (out, columns, first) = (&mut *self.out, self.columns, self.first);
        for (column, lanes) in (first..columns).zip(lanes) {
            let results = fold(lanes);
            let mut at = row * columns + column;
            for result in &results[..count] {
                out[at] = *result;
                at += columns;
            }
        }
    }
}

/// The lanes of sixteen rows to sixteen numbers.
pub(super) fn fold(level: Level, rows: &[[f32; LANES]; LANES]) -> [f32; LANES] {
    on!(level, l => {
        let mut vectors = [l.splat(0.0); LANES];
        for (vector, lanes) in vectors.iter_mut().zip(rows) {
            *vector = l.load(lanes);
        }
        fold_vectors(l, vectors)
    })
}

/// Lanes `l` and `l + 16` of sixteen rows, then neighbours, to sixteen numbers.
pub(super) fn fold_halves(level: Level, rows: &[[f32; 2 * LANES]; LANES]) -> [f32; LANES] {
    on!(level, l => {
        let mut vectors = [l.splat(0.0); LANES];
        for (vector, lanes) in vectors.iter_mut().zip(rows) {
            let [low, high] = lanes.as_chunks().0 else { unreachable!() };
            *vector = l.load(low) + l.load(high);
        }
        fold_vectors(l, vectors)
    })
}

#[inline(always)]
fn fold_vectors<L: SumLanes>(l: L, vectors: [L::F; LANES]) -> [f32; LANES] {
    let mut out = [0.0; LANES];
    l.store(l.add_neighbours(vectors), &mut out);
    out
}

/// The lanes of one row: neighbours are added until one is left.
pub(super) fn fold_row(mut lanes: [f32; LANES]) -> f32 {
    for left in [8, 4, 2, 1] {
        for i in 0..left {
            lanes[i] = lanes[2 * i] + lanes[2 * i + 1];
        }
    }
    lanes[0]
}
