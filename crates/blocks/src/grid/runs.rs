//! Division of a matrix into runs, each of which a kernel takes in one call.
//!
//! A kernel needs one dense stream of codes that starts on a byte, and blocks of one length from
//! its first value on. A matrix is one such stream, a *line*, if its rows end on bytes and blocks
//! are consecutive (and always for `Flat`). Otherwise each row is a line. Runs of a line start and
//! end with blocks and bytes if possible:
//!
//! ```text
//! values    0 ......... | ............... | ............... | .....        runs
//! blocks    [   ][   ][   ][   ][   ] ...                                  whole blocks
//!                  ^ first value                              inside a block: first to the block's end
//! ```

use core::iter::FusedIterator;
use core::ops::Range;

use super::Grid;
use super::counts::lcm;

/// Consecutive values of one matrix: dense codes that start on a byte, in consecutive blocks of one
/// length.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// The values, row-major from the start of their matrix.
    pub values: Range<usize>,
    /// The bytes of their codes, over all matrices.
    pub bytes: Range<usize>,
    /// The number of codes in the first byte that precede the first value.
    pub skipped: usize,
    /// The blocks of these values and of the skipped ones, over all matrices.
    pub blocks: Range<usize>,
    /// The number of values of a block.
    pub len: usize,
    /// The number of values of the first block that precede the first byte.
    pub offset: usize,
}

impl Grid {
    /// The runs of a row-major range of values of one matrix, each of at most `most` values.
    ///
    /// If a block and a byte end together within `most` values, the run ends there. Otherwise it
    /// ends on a byte within `most` values, and at the latest with a block. `most` is raised to the
    /// smallest number of codes that fill whole bytes.
    ///
    /// ```
    /// use lowbit_blocks::grid::Run;
    /// use lowbit_blocks::{Block, Format, Shape};
    /// // Rows of 12 codes of 4 bits, 6 bytes, in blocks of 6: all rows are one stream.
    /// let grid = Format::int(4, Block::Group(6)).grid(Shape::matrix(2, 12))?;
    /// let runs: Vec<Run> = grid.runs(0, 0..24, 18).collect();
    /// assert_eq!(runs[0], Run { values: 0..18, bytes: 0..9, skipped: 0, blocks: 0..3, len: 6, offset: 0 });
    /// assert_eq!(runs[1], Run { values: 18..24, bytes: 9..12, skipped: 0, blocks: 3..4, len: 6, offset: 0 });
    /// // A start inside a block and inside a byte: the first run ends with the block.
    /// let run = grid.runs(0, 15..24, 18).next();
    /// assert_eq!(run, Some(Run { values: 15..18, bytes: 7..9, skipped: 1, blocks: 2..3, len: 6, offset: 2 }));
    /// # Ok::<(), lowbit_blocks::Error>(())
    /// ```
    #[must_use]
    pub fn runs(&self, matrix: usize, values: Range<usize>, most: usize) -> Runs {
        Runs { grid: *self, matrix, values, most: most.max(self.align), unit: self.unit() }
    }

    /// The number of values after which a block (or a super-block) and a byte end together, from
    /// the start of a row or of a flat matrix.
    ///
    /// ```
    /// use lowbit_blocks::{Block, Format, Shape};
    /// // Blocks of 3 codes of 4 bits: two of them are three bytes.
    /// assert_eq!(Format::int(4, Block::Group(3)).grid(Shape::matrix(1, 12))?.unit(), 6);
    /// # Ok::<(), lowbit_blocks::Error>(())
    /// ```
    #[must_use]
    pub fn unit(&self) -> usize {
        lcm(self.line_len.max(1).saturating_mul(self.format.scale.run()), self.align)
    }

    /// The end of the run that starts at value `at` of a line, at most `end`.
    fn run_end(&self, at: usize, end: usize, most: usize, unit: usize) -> usize {
        let len = self.line_len;
        let stop = if unit <= most {
            let inside = at % unit;
            if inside == 0 { at.saturating_add(most / unit * unit) } else { at - inside + unit }
        } else {
            let full = at - at % self.align + most / self.align * self.align;
            if len.is_multiple_of(self.align) { full.min((at - at % len).saturating_add(len)) } else { full }
        };
        stop.min(end)
    }
}

/// Iterator over the runs of a range of values: [`Grid::runs`].
#[derive(Clone, Debug)]
pub struct Runs {
    grid: Grid,
    matrix: usize,
    values: Range<usize>,
    most: usize,
    unit: usize,
}

impl Iterator for Runs {
    type Item = Run;

    #[inline]
    fn next(&mut self) -> Option<Run> {
        let Self { grid, matrix, ref values, most, unit } = *self;
        if values.is_empty() {
            return None;
        }
        let line = if values.start < grid.line { 0 } else { values.start / grid.line };
        let first = line * grid.line;
        let start = values.start - first;
        let end = grid.run_end(start, grid.line.min(values.end - first), most, unit);
        let skipped = start % grid.align;
        let begin = start - skipped;
        let byte = matrix * grid.matrix_bytes + line * grid.row_bytes;
        // Lines other than the first are rows.
        let block = matrix * grid.matrix_blocks + line / grid.high * grid.across;
        let (len, before) = (grid.line_len, begin / grid.line_len);
        let run = Run {
            values: values.start..first + end,
            bytes: byte + grid.bytes_of(begin)..byte + grid.bytes_of(end),
            skipped,
            blocks: block + before..block + (end - 1) / len + 1,
            len,
            offset: begin - before * len,
        };
        self.values.start = run.values.end;
        Some(run)
    }
}

impl FusedIterator for Runs {}
