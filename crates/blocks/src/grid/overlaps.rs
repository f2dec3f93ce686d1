//! Overlaps of two grids: values that lie in one block of each.
//!
//! ```text
//! this grid, groups of 32     [            0             ][            1             ]
//! the other, groups of 48     [                 0                 ][        1     ...
//! overlaps                    |            a             |    b    |        c    ...
//! ```

use core::ops::Range;

use super::Grid;
use crate::format::Block;

/// Values of a row that lie in one block of either grid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overlap {
    /// The row.
    pub row: usize,
    /// The first column.
    pub start: usize,
    /// The end of the columns, exclusive.
    pub end: usize,
    /// The block of this grid, counted from the start of the matrix.
    pub source: usize,
    /// The block of the other grid.
    pub target: usize,
}

/// The position of a walk along a row.
struct Cursor {
    /// The block.
    block: usize,
    /// The end of its columns, exclusive.
    end: usize,
    len: usize,
}

impl Cursor {
    fn pass(&mut self, at: usize) {
        if self.end == at {
            self.block += 1;
            self.end = self.end.saturating_add(self.len);
        }
    }
}

impl Grid {
    fn cursor(&self, row: usize) -> Cursor {
        let (first, len) = (row * self.shape.cols, self.len);
        if self.is_flat() {
            return Cursor { block: first / len, end: len - first % len, len };
        }
        Cursor { block: row / self.high * self.across, end: len, len }
    }

    /// Visits all overlaps with another grid of the same shape, in the order of their values.
    ///
    /// ```
    /// use lowbit_blocks::{Block, Format, Shape};
    /// let grid = |group| Format::int(8, Block::Group(group)).grid(Shape::matrix(1, 12)).unwrap();
    /// let mut seen = Vec::new();
    /// grid(4).overlaps(&grid(6), 0..1, |overlap| seen.push((overlap.start..overlap.end, overlap.source, overlap.target)));
    /// assert_eq!(seen, [(0..4, 0, 0), (4..6, 1, 0), (6..8, 1, 1), (8..12, 2, 1)]);
    /// ```
    pub fn overlaps(&self, other: &Self, rows: Range<usize>, mut visit: impl FnMut(Overlap)) {
        let cols = self.shape.cols;
        for row in rows {
            let (mut source, mut target) = (self.cursor(row), other.cursor(row));
            let mut start = 0;
            while start < cols {
                let end = source.end.min(target.end).min(cols);
                visit(Overlap { row, start, end, source: source.block, target: target.block });
                source.pass(end);
                target.pass(end);
                start = end;
            }
        }
    }
}

/// True if every block of `to` lies in one block of `from`, for any number of rows. False if
/// lengths alone do not prove it.
pub(crate) fn refines(from: Block, to: Block, cols: usize) -> bool {
    use Block::{Channel, Flat, Group, Tensor, Tile};
    // Blocks of `to` end at multiples of this width, if none crosses a row.
    let width = match to {
        Group(len) => Some(len),
        Channel | Tile { rows: 1, .. } => Some(cols),
        Flat(len) if cols.is_multiple_of(len) => Some(len),
        _ => None,
    };
    match (from, to) {
        (Tensor, _) => true,
        (Flat(wide), Flat(len)) => wide.is_multiple_of(len),
        (Tile { rows, cols: wide }, Tile { rows: high, cols: len }) => {
            rows.is_multiple_of(high) && (wide.is_multiple_of(len) || wide >= cols)
        }
        (Channel, _) => width.is_some(),
        (Group(wide) | Tile { cols: wide, .. } | Flat(wide), _) => width.is_some_and(|len| {
            let whole_rows = !matches!(from, Flat(_)) && wide >= cols;
            // Flat blocks that are cut at row ends align with blocks of rows only if `len` divides
            // the columns.
            let aligned = !matches!(from, Flat(_)) || cols.is_multiple_of(len);
            whole_rows || wide.is_multiple_of(len) && aligned
        }),
    }
}
