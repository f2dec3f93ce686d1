//! Runs of values that lie in one block of the source and in one of the target.
//!
//! ```text
//! source, groups of 32    [            0             ][            1             ]
//! target, groups of 48    [                 0                 ][        1     ...
//! runs                    |            a             |    b    |        c    ...
//! ```
//!
//! Rows and blocks are counted from the start of a tile of rows, which is that of a block in both formats.

use core::ops::Range;

use crate::format::Block;
use crate::grid::gcd;
use crate::shape::Shape;

/// Values of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) row: usize,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Block of the source.
    pub(super) source: usize,
    /// Block of the target.
    pub(super) target: usize,
}

/// Blocks along a row.
struct Along {
    /// The first.
    block: usize,
    /// Where it ends, in columns.
    end: usize,
    len: usize,
}

impl Along {
    fn row(block: Block, cols: usize, row: usize) -> Self {
        let from_start = |block, len: usize| Self { block, end: len, len };
        match block {
            Block::Tensor => from_start(0, cols),
            Block::Channel => from_start(row, cols),
            Block::Group(len) => from_start(row * (cols / len), len),
            Block::Tile { rows, cols: wide } => from_start(row / rows * cols.div_ceil(wide), wide),
            Block::Flat(len) => {
                let first = row * cols;
                Self { block: first / len, end: len - first % len, len }
            }
        }
    }

    fn pass(&mut self, at: usize) {
        if self.end == at {
            self.block += 1;
            self.end = self.end.saturating_add(self.len);
        }
    }
}

/// Visits all runs of some rows, in the order of their values.
pub(super) fn each(from: Block, to: Block, cols: usize, rows: Range<usize>, mut visit: impl FnMut(Run)) {
    for row in rows {
        let (mut source, mut target) = (Along::row(from, cols, row), Along::row(to, cols, row));
        let mut start = 0;
        while start < cols {
            let end = source.end.min(target.end).min(cols);
            visit(Run { row, start, end, source: source.block, target: target.block });
            source.pass(end);
            target.pass(end);
            start = end;
        }
    }
}

/// Whether every block of `to` lies in one of `from`, for any number of rows. False where that is not clear from lengths.
pub(super) fn refines(from: Block, to: Block, cols: usize) -> bool {
    use Block::{Channel, Flat, Group, Tensor, Tile};
    // Columns after which every block of `to` ends, if none crosses a row.
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
            // Flat blocks that rows cut apart meet blocks of rows where both divide.
            let aligned = !matches!(from, Flat(_)) || cols.is_multiple_of(len);
            whole_rows || wide.is_multiple_of(len) && aligned
        }),
    }
}

/// Rows that tiles of both are whole numbers of.
pub(super) fn quantum(from: usize, to: usize) -> usize {
    (from / gcd(from, to)).saturating_mul(to)
}

/// The rows of a matrix, some at a time: about 64 thousand values, in whole quanta.
pub(super) fn strips(quantum: usize, shape: Shape) -> impl Iterator<Item = Range<usize>> {
    let wanted = (65536 / shape.cols.max(1)).max(1);
    let strip = wanted.div_ceil(quantum).saturating_mul(quantum).min(shape.rows).max(1);
    (0..shape.rows).step_by(strip).map(move |start| start..(start + strip).min(shape.rows))
}
