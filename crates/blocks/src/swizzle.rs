//! Swizzled scales: the order in which tensor cores read scale bytes, in tiles of 128x4 or 8x4.
//!
//! A checkpoint stores scales row-major; an engine reorders them for tensor cores when it loads.
//! For row `m` and column `k` of the grid of scales (one column per block of 16 or 32 values), with
//! `Kt = ceil(columns / 4)` tiles per row:
//!
//! ```text
//! 128x4   offset = ((m / 128) * Kt + k / 4) * 512 + (m % 32) * 16 + (m % 128) / 32 * 4 + k % 4
//!   8x4   offset = ((m /   8) * Kt + k / 4) *  32 + (m % 8) * 4 + k % 4
//! ```
//!
//! Rows are padded to whole tiles and columns to multiples of four, with zero bytes. Each matrix is
//! padded separately. A byte may be an E4M3 or an E8M0; only its position changes.
//!
//! Sources: cuBLASLt `VEC16_UE4M3` and `VEC32_UE8M0`, CUTLASS `SfAtom`, FlashInfer
//! `block_scale_interleave` (128x4) and the small-batch layout of TensorRT-LLM (8x4).

use crate::shape::Shape;

/// The columns of a tile, in both orders.
const TILE_COLS: usize = 4;

/// The rows of a band of the 128x4 tile. Rows of a band lie 16 bytes apart; four bands share those
/// 16 bytes.
const BAND: usize = 32;

/// An order of scale bytes.
///
/// Shapes are those of the grid of scales ([`Format::scale_grid`](crate::Format::scale_grid)), not
/// of the values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Swizzle {
    /// Tiles of 128x4: 512 bytes, four bands of 32 rows interleaved.
    Rows128,
    /// Tiles of 8x4: 32 bytes, row-major within a tile, for products with few rows.
    Rows8,
}

impl Swizzle {
    /// The rows of a tile: 128 or 8.
    #[must_use]
    pub const fn tile_rows(self) -> usize {
        match self {
            Self::Rows128 => 128,
            Self::Rows8 => 8,
        }
    }

    /// The number of bytes of a stack of grids in this order, with padding; saturates at
    /// `usize::MAX`.
    ///
    /// ```
    /// use lowbit_blocks::{Shape, swizzle::Swizzle};
    /// // 200 rows are two tiles of 128, 6 columns are two tiles of 4.
    /// assert_eq!(Swizzle::Rows128.padded_len(Shape::matrix(200, 6)), 2 * 2 * 512);
    /// ```
    #[must_use]
    pub const fn padded_len(self, grid: Shape) -> usize {
        let rows = grid.rows.div_ceil(self.tile_rows()).saturating_mul(self.tile_rows());
        let cols = grid.cols.div_ceil(TILE_COLS).saturating_mul(TILE_COLS);
        rows.saturating_mul(cols).saturating_mul(grid.matrices)
    }

    /// The offset of the scale of `row` and `col` in a grid of `cols` columns.
    ///
    /// ```
    /// use lowbit_blocks::swizzle::Swizzle;
    /// // Second tile of four columns, row 33 = second row of the second band: 512 + 16 + 4 + 1.
    /// assert_eq!(Swizzle::Rows128.offset(8, 33, 5), 533);
    /// assert_eq!(Swizzle::Rows8.offset(8, 33, 5), (4 * 2 + 1) * 32 + 4 + 1);
    /// ```
    #[must_use]
    pub const fn offset(self, cols: usize, row: usize, col: usize) -> usize {
        let rows = self.tile_rows();
        let tile = row / rows * cols.div_ceil(TILE_COLS) + col / TILE_COLS;
        let inside = match self {
            Self::Rows128 => row % BAND * (rows / BAND) + row % rows / BAND,
            Self::Rows8 => row % rows,
        };
        (tile * rows + inside) * TILE_COLS + col % TILE_COLS
    }

    /// Converts row-major scale bytes to this order; padding is zero.
    ///
    /// # Panics
    /// If `linear` is not `matrices * rows * cols` bytes, or `out` is not
    /// [`padded_len`](Self::padded_len).
    pub fn swizzle(self, grid: Shape, linear: &[u8], out: &mut [u8]) {
        self.check(grid, linear.len(), out.len());
        out.fill(0);
        self.for_each(grid, |at, padded| out[padded] = linear[at]);
    }

    /// Converts scale bytes back to row-major order, without padding.
    ///
    /// # Panics
    /// If `swizzled` is not [`padded_len`](Self::padded_len) bytes, or `out` is not `matrices *
    /// rows * cols`.
    pub fn unswizzle(self, grid: Shape, swizzled: &[u8], out: &mut [u8]) {
        self.check(grid, out.len(), swizzled.len());
        self.for_each(grid, |at, padded| out[at] = swizzled[padded]);
    }

    fn check(self, grid: Shape, linear: usize, padded: usize) {
        assert_eq!(Some(linear), grid.len(), "row-major bytes of {grid} scales");
        assert_eq!(padded, self.padded_len(grid), "swizzled bytes of {grid} scales");
    }

    /// Calls `place` with the row-major and the swizzled offset of every scale.
    fn for_each(self, grid: Shape, mut place: impl FnMut(usize, usize)) {
        let stride = self.padded_len(Shape { matrices: 1, ..grid });
        for matrix in 0..grid.matrices {
            for row in 0..grid.rows {
                let start = (matrix * grid.rows + row) * grid.cols;
                for col in 0..grid.cols {
                    place(start + col, matrix * stride + self.offset(grid.cols, row, col));
                }
            }
        }
    }
}
