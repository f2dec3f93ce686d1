//! Lazy updates: columns are visited a block at a time, and the changes of a block reach the other
//! columns in one matrix product.
//!
//! ```text
//! acc      rows x n      one number per row and column; changes as columns are visited
//! delta    rows x block  the changes of the visited columns
//! A        n x n         acc += delta A          A = M for feedback (only columns behind it), A = H for descent (all columns)
//!
//! within a block   columns in steps; after each step the rest of the block is updated
//! after a block    all other columns are updated, by one product
//! ```
//!
//! Matrices of rows are column-major, so that loops over rows are vectorized. The order of all sums
//! is fixed by block and step; every product runs on one thread.

use core::ops::Range;

use faer::Accum;

use super::loss::product;

/// Rows are padded to a multiple of this.
pub(super) const LANES: usize = 32;

/// The columns that are updated when a block is done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The columns after it.
    Behind,
    /// All columns, itself included.
    All,
}

/// The columns of one step, and of its block.
pub(super) struct Step {
    pub(super) cols: Range<usize>,
    pub(super) block: Range<usize>,
}

impl Step {
    /// The columns of the step, relative to its block.
    pub(super) fn within(&self) -> Range<usize> {
        self.cols.start - self.block.start..self.cols.end - self.block.start
    }
}

/// The division of all columns into blocks, and the matrix by which a change of one column affects
/// the others.
pub(super) struct LazyUpdates<'a> {
    /// A, row-major.
    pub(super) matrix: &'a [f32],
    pub(super) cols: usize,
    pub(super) rows: usize,
    /// Columns per block.
    pub(super) block: usize,
    pub(super) step: usize,
    pub(super) reach: Reach,
}

impl LazyUpdates<'_> {
    /// Visits all columns. `visit` gets the numbers of its block, updated for its own columns, and
    /// writes its changes into `delta`. It returns whether there are any.
    pub(super) fn run(&self, acc: &mut [f32], mut visit: impl FnMut(&Step, &[f32], &mut [f32]) -> bool) {
        let (n, rows) = (self.cols, self.rows);
        let (mut local, mut delta) = (Vec::new(), Vec::new());
        for start in (0..n).step_by(self.block) {
            let block = start..n.min(start + self.block);
            local.clear();
            local.extend_from_slice(&acc[block.start * rows..block.end * rows]);
            delta.clear();
            delta.resize(local.len(), 0.0);
            let mut changed = false;
            for first in block.clone().step_by(self.step) {
                let cols = first..block.end.min(first + self.step);
                let at = Step { cols: cols.clone(), block: block.clone() };
                if visit(&at, &local, &mut delta) {
                    changed = true;
                    let own = (cols.start - start) * rows..(cols.end - start) * rows;
                    let rest = &mut local[own.end..];
                    self.add(rest, &delta[own], cols.clone(), cols.end..block.end);
                }
            }
            if changed {
                let reached = if self.reach == Reach::All { 0..n } else { block.end..n };
                self.add(&mut acc[reached.start * rows..], &delta, block, reached);
            }
        }
    }

    /// `acc += delta A[from, to]`.
    fn add(&self, acc: &mut [f32], delta: &[f32], from: Range<usize>, to: Range<usize>) {
        product(acc, Accum::Add, 1.0, delta, (self.matrix, self.cols), (from, to));
    }
}

/// `sum[r] += sum_j columns[j][r] * weights[j]`, for the columns of one step in order.
pub(super) fn add_columns(sum: &mut [f32], columns: &[f32], weights: impl Iterator<Item = f32>) {
    let rows = sum.len();
    // They lie a matrix row apart, so each is loaded once.
    let weights: Vec<f32> = weights.collect();
    for (chunk, sum) in sum.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let mut total = *sum;
        for (column, &weight) in columns.chunks_exact(rows).zip(&weights) {
            let column = &column.as_chunks::<LANES>().0[chunk];
            total.iter_mut().zip(column).for_each(|(total, x)| *total += x * weight);
        }
        *sum = total;
    }
}
