//! The runs of encoding and decoding, and their effective scales.
//!
//! If blocks do not end on bytes, or a row of a `Flat` matrix starts inside a byte, every value of
//! the run gets its own scale (`Blocks { len: 1, .. }`). That is slower, with the same arithmetic.

use alloc::vec::Vec;
use core::ops::Range;

use crate::effective::Stored;
use crate::grid::{Grid, Run, rows_holding};

/// The maximum number of values of a run: 16 KiB of f32, so that values, codes and scales stay in
/// the L1 cache.
pub(super) const ENCODED: usize = 4096;

/// The maximum number of values of a decoded run. Values are written to their final place, so only
/// codes and scales need to stay in the cache.
pub(super) const DECODED: usize = 4 * ENCODED;

/// Effective scales and zero points of one run, in the layout of kernels.
#[derive(Default)]
pub(super) struct RunScales {
    /// The number of values of a block.
    pub(super) len: usize,
    pub(super) scales: Vec<f32>,
    /// As many as scales, or empty.
    pub(super) zeros: Vec<f32>,
    /// The blocks of the buffered scales. The rows of a tile have the same blocks.
    of: Range<usize>,
}

impl RunScales {
    /// Reads scales and zero points of a run, including its skipped values.
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

/// The number of rows that one thread takes at a time: about 64 thousand values. Rows of tiles only
/// share scales, which are read, so a chunk may be a single row of a tile.
pub(super) fn rows_per_chunk(grid: &Grid) -> usize {
    let quantum = if grid.is_flat() { grid.row_quantum() } else { 1 };
    rows_holding(grid.shape(), quantum, 16 * ENCODED)
}
