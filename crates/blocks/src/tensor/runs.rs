//! The runs that encoding and decoding take at a time, and the effective scales of one.
//!
//! Where blocks do not end on bytes, or a row of a `Flat` matrix starts between two, every value of the run gets its own scale
//! (`Blocks { len: 1, .. }`): slower, and the same arithmetic.

use alloc::vec::Vec;
use core::ops::Range;

use crate::effective::Stored;
use crate::grid::{Grid, Run, rows_holding};

/// Most values in a run: 16 KiB of f32, so that values, codes and scales stay in the L1 cache.
pub(super) const ENCODED: usize = 4096;

/// Most values in a run that is decoded: they are written where they belong, so only codes and scales need stay in the cache.
pub(super) const DECODED: usize = 4 * ENCODED;

/// Effective scales and zero points of one run, as kernels want them.
#[derive(Default)]
pub(super) struct RunScales {
    /// Values in a block.
    pub(super) len: usize,
    pub(super) scales: Vec<f32>,
    /// As many as scales, or none.
    pub(super) zeros: Vec<f32>,
    /// The blocks that have them. Rows of tiles have the same ones again and again.
    of: Range<usize>,
}

impl RunScales {
    /// Reads scales and zero points of a run, skipped values included.
    pub(super) fn read(&mut self, stored: &Stored<'_>, matrix: usize, run: &Run) {
        let inside = run.offset > 0;
        self.len = run.len;
        if self.of == run.blocks && !inside {
            return;
        }
        stored.scales_of(matrix, run.blocks.clone(), &mut self.scales);
        stored.zeros_of(matrix, run.blocks.clone(), &mut self.zeros);
        self.of = if inside { 0..0 } else { run.blocks.clone() };
        if !inside {
            return;
        }
        let values = run.skipped + run.values.len();
        if run.blocks.len() == 1 {
            self.len = values;
        } else {
            self.len = 1;
            for list in [&mut self.scales, &mut self.zeros].into_iter().filter(|list| !list.is_empty()) {
                *list = (run.offset..run.offset + values).map(|value| list[value / run.len]).collect();
            }
        }
    }
}

/// Rows that one thread takes at a time: about 64 thousand values. Rows of tiles share only scales, which are read, so that one row
/// of them may stand alone.
pub(super) fn rows_per_chunk(grid: &Grid) -> usize {
    let quantum = if grid.is_flat() { grid.row_quantum() } else { 1 };
    rows_holding(grid.shape(), quantum, 16 * ENCODED)
}
