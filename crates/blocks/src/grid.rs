//! The grid: the positions of values, blocks and bytes of a format in a stack of matrices. All code
//! that walks a tensor uses it.
//!
//! ```text
//! bytes     matrix by matrix; row by row, each padded to a whole byte
//!           (Flat: one stream per matrix, padded at its end)
//! blocks    matrix by matrix; row-major over the grid of blocks; scales and zero points in this order
//!
//! block of row r, column c      Flat      (r * cols + c) / len
//!                               others    r / high * across + c / len
//!
//!           high   len    across          Tensor   rows   cols   1
//! Channel   1      cols   1               Group    1      g      cols / g        Tile   r   c   ceil(cols / c)
//! ```
//!
//! Kernels take runs: dense codes that start on a byte, in consecutive blocks of one length.
//! [`Grid::runs`] divides a matrix into runs. Products take whole rows that begin with a block:
//! [`Grid::rectangles`].

mod counts;
mod overlaps;
mod runs;
mod sizes;

use core::ops::Range;

use counts::gcd;
pub(crate) use counts::{lcm, rows_holding};
pub use overlaps::Overlap;
pub(crate) use overlaps::refines;
pub use runs::{Run, Runs};

use crate::error::Error;
use crate::format::{Block, Format};
use crate::shape::Shape;

/// The positions of the values of a format in matrices of one shape: their blocks, and the bytes of
/// their codes.
///
/// Rows and columns are counted from the start of a matrix. Blocks and bytes are counted over all
/// matrices, as they are stored.
///
/// ```
/// use lowbit_blocks::{NVFP4, Shape};
/// let grid = NVFP4.grid(Shape { matrices: 2, rows: 3, cols: 32 })?;
/// // 32 codes of 4 bits are 16 bytes; 2 blocks of 16 values in a row, 6 in a matrix.
/// assert_eq!(grid.bytes(1, 2..3), 16 * 5..16 * 6);
/// assert_eq!(grid.block(1, 2, 31), 6 + 2 * 2 + 1);
/// # Ok::<(), lowbit_blocks::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grid {
    format: Format,
    shape: Shape,
    /// Bits of a code.
    bits: usize,
    /// The number of values after which codes end on a byte again.
    align: usize,
    /// The bytes of a row, if rows are padded.
    row_bytes: usize,
    /// Bytes of a matrix; blocks of a matrix.
    matrix_bytes: usize,
    matrix_blocks: usize,
    /// Rows that share a block.
    high: usize,
    /// Columns of a block; for a flat format, the values of a block.
    len: usize,
    /// Blocks across a row.
    across: usize,
    /// Values of a line: dense codes in consecutive blocks.
    line: usize,
    /// Values of a block within a line.
    line_len: usize,
}

impl Format {
    /// The grid of matrices of this shape.
    ///
    /// # Errors
    /// Errors of [`check`](Self::check).
    pub fn grid(&self, shape: Shape) -> Result<Grid, Error> {
        self.check(shape)?;
        Ok(Grid::of(self, shape))
    }

    /// The byte range of the codes of some rows of one matrix.
    ///
    /// `rows` starts at a multiple of [`row_quantum`](Self::row_quantum), and ends at one or at the
    /// last row.
    ///
    /// ```
    /// use lowbit_blocks::{NVFP4, Shape};
    /// let experts = Shape { matrices: 2, rows: 4, cols: 32 };
    /// assert_eq!(NVFP4.codes_range(experts, 1, 1..3), 64 + 16..64 + 48);
    /// assert_eq!(NVFP4.scales_range(experts, 1, 1..3), 8 + 2..8 + 6);
    /// ```
    ///
    /// # Panics
    /// If [`check`](Self::check) refuses the shape, or `rows` is out of range or not aligned.
    #[must_use]
    pub fn codes_range(&self, shape: Shape, matrix: usize, rows: Range<usize>) -> Range<usize> {
        self.assert_rows(shape, matrix, &rows);
        Grid::of(self, shape).bytes(matrix, rows)
    }

    /// The byte range of the scales of some rows of one matrix; `rows` is as in
    /// [`codes_range`](Self::codes_range).
    ///
    /// In a `Tensor` format, all rows of a matrix share one scale.
    ///
    /// # Panics
    /// As [`codes_range`](Self::codes_range).
    #[must_use]
    pub fn scales_range(&self, shape: Shape, matrix: usize, rows: Range<usize>) -> Range<usize> {
        let (first, blocks) = self.blocks_of(shape, matrix, rows);
        let start = matrix * self.scale_bytes(first / matrix.max(1));
        start + self.scale_bytes(blocks.start - first)..start + self.scale_bytes(blocks.end - first)
    }

    /// The byte range of the zero points of some rows of one matrix; `rows` is as in
    /// [`codes_range`](Self::codes_range).
    ///
    /// # Panics
    /// As [`codes_range`](Self::codes_range).
    #[must_use]
    pub fn zeros_range(&self, shape: Shape, matrix: usize, rows: Range<usize>) -> Range<usize> {
        let (first, blocks) = self.blocks_of(shape, matrix, rows);
        let start = matrix * self.zero_bytes(first / matrix.max(1));
        start + self.zero_bytes(blocks.start - first)..start + self.zero_bytes(blocks.end - first)
    }

    /// The first block of a matrix, and the range of blocks of some of its rows.
    fn blocks_of(&self, shape: Shape, matrix: usize, rows: Range<usize>) -> (usize, Range<usize>) {
        (matrix * self.scales_per_matrix(shape), self.blocks_range(shape, matrix, rows))
    }

    /// The blocks of some rows of one matrix, counted over all matrices; `rows` is as in
    /// [`codes_range`](Self::codes_range).
    ///
    /// # Panics
    /// As [`codes_range`](Self::codes_range).
    #[must_use]
    pub fn blocks_range(&self, shape: Shape, matrix: usize, rows: Range<usize>) -> Range<usize> {
        self.assert_rows(shape, matrix, &rows);
        Grid::of(self, shape).blocks(matrix, rows)
    }

    fn assert_rows(&self, shape: Shape, matrix: usize, rows: &Range<usize>) {
        let quantum = self.row_quantum(shape.cols);
        assert!(matrix < shape.matrices, "matrix {matrix} of {}", shape.matrices);
        assert!(rows.start <= rows.end && rows.end <= shape.rows, "rows {rows:?} of {}", shape.rows);
        assert!(
            rows.start.is_multiple_of(quantum)
                && (rows.end.is_multiple_of(quantum) || rows.end == shape.rows),
            "rows {rows:?} of {} are not whole quanta of {quantum}",
            shape.rows
        );
    }
}

impl Grid {
    /// The grid of a format and a shape that passed [`Format::check`].
    pub(crate) fn of(format: &Format, shape: Shape) -> Self {
        let Shape { matrices, rows, cols } = shape;
        let bits = format.element.bits() as usize;
        let align = 8 / gcd(8, bits);
        let dense = cols.is_multiple_of(align);
        let (high, len, across) = match format.block {
            Block::Tensor => (rows.max(1), cols, 1),
            Block::Channel => (1, cols, 1),
            Block::Group(len) => (1, len, cols / len),
            Block::Tile { rows: high, cols: len } => (high, len, cols.div_ceil(len)),
            Block::Flat(len) => (1, len, 0),
        };
        let (line, line_len) = match format.block {
            Block::Flat(_) => (rows * cols, len),
            Block::Tensor if dense => (rows * cols, rows * cols),
            Block::Channel | Block::Group(_) if dense => (rows * cols, len),
            Block::Tensor | Block::Channel | Block::Group(_) | Block::Tile { .. } => (cols, len),
        };
        Self {
            format: *format,
            shape,
            bits,
            align,
            row_bytes: format.row_bytes(cols),
            matrix_bytes: format.codes_len(shape) / matrices.max(1),
            matrix_blocks: format.scales_per_matrix(shape),
            high,
            len,
            across,
            line,
            line_len,
        }
    }

    /// The format.
    #[must_use]
    pub const fn format(&self) -> &Format {
        &self.format
    }

    /// The shape.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// The number of blocks of one matrix.
    #[must_use]
    pub const fn blocks_per_matrix(&self) -> usize {
        self.matrix_blocks
    }

    /// The smallest number of rows whose codes and scales can be written on their own:
    /// [`Format::row_quantum`].
    #[must_use]
    pub fn row_quantum(&self) -> usize {
        self.format.row_quantum(self.shape.cols)
    }

    /// The number of rows that hold about `values` values, in whole [quanta](Self::row_quantum): at
    /// least one, and at most all rows.
    ///
    /// ```
    /// use lowbit_blocks::{FP8_BLOCK, MXFP4, Shape};
    /// let shape = Shape::matrix(1000, 64);
    /// assert_eq!(MXFP4.grid(shape)?.rows_holding(6400), 100);
    /// assert_eq!(FP8_BLOCK.grid(shape)?.rows_holding(6400), 128); // tiles are 128 rows high
    /// # Ok::<(), lowbit_blocks::Error>(())
    /// ```
    #[must_use]
    pub fn rows_holding(&self, values: usize) -> usize {
        rows_holding(self.shape, self.row_quantum(), values)
    }

    /// The index of the block of a value.
    #[must_use]
    pub fn block(&self, matrix: usize, row: usize, col: usize) -> usize {
        let block = if self.is_flat() {
            (row * self.shape.cols + col) / self.len
        } else {
            row / self.high * self.across + col / self.len.max(1)
        };
        matrix * self.matrix_blocks + block
    }

    /// The blocks that contain values of some rows. In a `Tensor` format all rows share one block.
    ///
    /// ```
    /// use lowbit_blocks::{FP8_BLOCK, NVFP4, Shape};
    /// let shape = Shape { matrices: 2, rows: 256, cols: 320 };
    /// assert_eq!(NVFP4.grid(shape)?.blocks(1, 2..4), 256 * 20 + 2 * 20..256 * 20 + 4 * 20);
    /// assert_eq!(FP8_BLOCK.grid(shape)?.blocks(1, 2..4), 6..9); // a row of three tiles of 128 columns, the last of which is narrower
    /// # Ok::<(), lowbit_blocks::Error>(())
    /// ```
    #[must_use]
    pub fn blocks(&self, matrix: usize, rows: Range<usize>) -> Range<usize> {
        let cols = self.shape.cols;
        let (start, end) = match self.format.block {
            Block::Tensor => (0, 1),
            Block::Flat(len) => (rows.start * cols / len, (rows.end * cols).div_ceil(len)),
            Block::Channel | Block::Group(_) | Block::Tile { .. } => {
                (rows.start / self.high * self.across, rows.end.div_ceil(self.high) * self.across)
            }
        };
        let first = matrix * self.matrix_blocks;
        first + start..first + end
    }

    /// The byte range of the codes of some rows.
    ///
    /// # Panics
    /// If the first row starts inside a byte, which is possible in a `Flat` format.
    #[must_use]
    pub fn bytes(&self, matrix: usize, rows: Range<usize>) -> Range<usize> {
        let first = matrix * self.matrix_bytes;
        assert!(
            !self.is_flat() || (rows.start * self.shape.cols).is_multiple_of(self.align),
            "rows {rows:?} on bytes"
        );
        first + self.bytes_before(rows.start)..first + self.bytes_before(rows.end)
    }

    /// The number of bytes of the codes of the first `rows` rows of a matrix.
    pub(crate) fn bytes_before(&self, rows: usize) -> usize {
        if self.is_flat() { self.bytes_of(rows * self.shape.cols) } else { rows * self.row_bytes }
    }

    /// True if the codes of all rows form one dense stream: rows end on bytes, or are not padded.
    #[must_use]
    pub const fn is_dense(&self) -> bool {
        self.is_flat() || self.rows_on_bytes()
    }

    /// True if every row starts and ends on a byte without padding.
    #[must_use]
    pub const fn rows_on_bytes(&self) -> bool {
        self.shape.cols.is_multiple_of(self.align)
    }

    /// True if blocks and codes continue across row ends.
    #[must_use]
    pub const fn is_flat(&self) -> bool {
        matches!(self.format.block, Block::Flat(_))
    }

    /// True if every block lies in one row, so that scales may change row by row.
    #[must_use]
    pub const fn blocks_in_rows(&self) -> bool {
        match self.format.block {
            Block::Channel | Block::Group(_) => true,
            Block::Flat(len) => self.shape.cols.is_multiple_of(len),
            Block::Tensor | Block::Tile { .. } => false,
        }
    }

    /// Rows and columns of a tile; `None` if blocks are not tiles.
    #[must_use]
    pub const fn tiles(&self) -> Option<(usize, usize)> {
        match self.format.block {
            Block::Tile { rows, cols } => Some((rows, cols)),
            Block::Tensor | Block::Channel | Block::Group(_) | Block::Flat(_) => None,
        }
    }

    /// The width of the columns that share blocks in every row: blocks begin and end at multiples
    /// of it, or with the row.
    ///
    /// ```
    /// use lowbit_blocks::{NF4, NVFP4, Shape};
    /// assert_eq!(NVFP4.grid(Shape::matrix(4, 96))?.shared_columns(), 16);
    /// // Blocks of 64 across rows of 96: every second row starts in the middle of a block.
    /// assert_eq!(NF4.grid(Shape::matrix(4, 96))?.shared_columns(), 32);
    /// # Ok::<(), lowbit_blocks::Error>(())
    /// ```
    #[must_use]
    pub fn shared_columns(&self) -> usize {
        let cols = self.shape.cols;
        if self.is_flat() { gcd(self.len, cols).max(1) } else { self.len.min(cols).max(1) }
    }

    /// The blocks as rectangles; `None` if a row may start inside a block or a byte.
    ///
    /// ```
    /// use lowbit_blocks::{NF4, Shape};
    /// use lowbit_blocks::grid::Rectangles;
    /// let rectangles = |cols| NF4.grid(Shape::matrix(4, cols)).unwrap().rectangles();
    /// assert_eq!(rectangles(128), Some(Rectangles { rows: 1, cols: 64, across: 2 }));
    /// assert_eq!(rectangles(32), Some(Rectangles { rows: 2, cols: 32, across: 1 })); // a block of 64 is two rows
    /// assert_eq!(rectangles(96), None);
    /// ```
    #[must_use]
    pub fn rectangles(&self) -> Option<Rectangles> {
        let cols = self.shape.cols;
        let Block::Flat(len) = self.format.block else {
            return Some(Rectangles { rows: self.high, cols: self.len.min(cols), across: self.across });
        };
        if cols == 0 || !self.rows_on_bytes() {
            None
        } else if cols.is_multiple_of(len) {
            Some(Rectangles { rows: 1, cols: len, across: cols / len })
        } else if len.is_multiple_of(cols) {
            Some(Rectangles { rows: len / cols, cols, across: 1 })
        } else {
            None
        }
    }

    /// The number of bytes of `values` dense codes.
    const fn bytes_of(&self, values: usize) -> usize {
        values / 8 * self.bits + (values % 8 * self.bits).div_ceil(8)
    }
}

/// Rectangular blocks. Those at the right and bottom edges of a matrix may be smaller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rectangles {
    /// Rows per block.
    pub rows: usize,
    /// Columns per block.
    pub cols: usize,
    /// Blocks per row.
    pub across: usize,
}
