//! A matrix cut into tiles that a kernel takes in one call, with the effective scales of each.
//!
//! A kernel wants one dense stream of codes that starts on a byte, and blocks of one length from its first value on. A matrix is
//! one such stream, a *line*, where its rows end on bytes and blocks follow one another (and always for `Flat`); otherwise each
//! row is a line. Tiles of a line start and end with blocks, bytes, and at most [`TILE`] values:
//!
//! ```text
//! values    0 ......... | ............... | ............... | .....        tiles, the scales of one fit in the L1 cache
//! blocks    [   ][   ][   ][   ][   ] ...                                  whole blocks: Blocks { len: block, .. }
//!                  ^ at                                                    a start inside a block: up to its end first
//! ```
//!
//! Where blocks do not end on bytes, or a row of a `Flat` matrix starts between two, every value of the tile gets its own scale
//! (`Blocks { len: 1, .. }`): slower, and the same arithmetic.

use alloc::vec::Vec;
use core::ops::Range;

use crate::effective::Stored;
use crate::format::{Block, Format};
use crate::grid::gcd;
use crate::shape::Shape;

/// Most values in a tile: 16 KiB of f32, so that tile, codes and scales stay in the L1 cache.
pub(super) const TILE: usize = 4096;

/// Most values in a tile that is decoded: they are written where they belong, so only codes and scales need stay in the cache.
pub(super) const DECODE_TILE: usize = 4 * TILE;

/// A run of codes that is dense from its first byte on, with blocks of one length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// Index of its first value in the matrix, row-major.
    pub(super) first: usize,
    /// Number of values, at least one.
    pub(super) len: usize,
    /// First byte of its codes in the matrix.
    pub(super) byte: usize,
    /// Values in a block.
    block: usize,
    /// Index of its first block in the matrix.
    first_block: usize,
    /// Values after which codes end on a byte again.
    align: usize,
}

impl Line {
    /// The line of `format` that holds value `index` of a matrix, row-major.
    pub(super) fn at(format: &Format, shape: Shape, index: usize) -> Self {
        let Shape { rows, cols, .. } = shape;
        let align = 8 / gcd(8, format.element.bits() as usize);
        let whole = rows * cols;
        let bytes_match = cols.is_multiple_of(align);
        let stream = |block: usize| Self {
            first: 0,
            len: whole,
            byte: 0,
            block: block.min(whole),
            first_block: 0,
            align,
        };
        let row = index / cols;
        let single = |block: usize, first_block: usize| Self {
            first: row * cols,
            len: cols,
            byte: row * format.row_bytes(cols),
            block: block.min(cols),
            first_block,
            align,
        };
        match format.block {
            Block::Flat(block) => stream(block),
            Block::Tensor if bytes_match => stream(whole),
            Block::Channel if bytes_match => stream(cols),
            Block::Group(block) if bytes_match => stream(block),
            Block::Tensor => single(cols, 0),
            Block::Channel => single(cols, row),
            Block::Group(block) => single(block, row * (cols / block)),
            Block::Tile { rows: high, cols: wide } => single(wide, row / high * cols.div_ceil(wide)),
        }
    }

    /// The last value of `at`'s byte-aligned start and after: where the codes of value `at` can be read from.
    pub(super) fn aligned(&self, at: usize) -> usize {
        at - at % self.align
    }

    /// Where the tile of at most `most` values that starts with value `at` ends, at `end` at the latest. Values count from the
    /// line's first.
    pub(super) fn tile_end(&self, at: usize, end: usize, most: usize) -> usize {
        let unit = (self.block / gcd(self.block, self.align)).saturating_mul(self.align);
        let stop = if unit <= most {
            let inside = at % unit;
            if inside == 0 { at + most / unit * unit } else { at - inside + unit }
        } else {
            let full = self.aligned(at) + most;
            if self.block.is_multiple_of(self.align) {
                full.min(at - at % self.block + self.block)
            } else {
                full
            }
        };
        stop.min(end)
    }
}

/// Effective scales and zero points of one tile, as kernels want them.
#[derive(Default)]
pub(super) struct TileScales {
    /// Values in a block.
    pub(super) len: usize,
    pub(super) scales: Vec<f32>,
    /// As many as scales, or none.
    pub(super) zeros: Vec<f32>,
    /// The blocks that have them, counted over all matrices. Rows of tiles have the same ones again and again.
    of: Range<usize>,
}

impl Stored<'_> {
    /// Fills `tile` with scales and zero points of the values `values` of a line, counted from the line's first.
    pub(super) fn read(&self, matrix: usize, line: &Line, values: Range<usize>, tile: &mut TileScales) {
        let (first, last) = (values.start / line.block, (values.end - 1) / line.block);
        let start = matrix * self.format.scales_per_matrix(self.shape) + line.first_block + first;
        let blocks = start..start + (last - first + 1);
        let inside = !values.start.is_multiple_of(line.block);
        tile.len = line.block;
        if tile.of == blocks && !inside {
            return;
        }
        self.scales_of(matrix, blocks.clone(), &mut tile.scales);
        self.zeros_of(blocks.clone(), &mut tile.zeros);
        tile.of = if inside { 0..0 } else { blocks };
        if !inside {
            return;
        }
        if first == last {
            tile.len = values.len();
        } else {
            tile.len = 1;
            let block = |value: usize| value / line.block - first;
            for list in [&mut tile.scales, &mut tile.zeros].into_iter().filter(|list| !list.is_empty()) {
                *list = values.clone().map(|value| list[block(value)]).collect();
            }
        }
    }
}

/// Rows that one thread takes at a time: about 64 thousand values, in whole row quanta. Rows of tiles have codes of their own and share only
/// scales, which are read: there they are as few as in other formats.
pub(super) fn rows_per_chunk(format: &Format, shape: Shape) -> usize {
    let quantum = match format.block {
        Block::Tile { .. } => 1,
        _ => format.row_quantum(shape.cols),
    };
    let wanted = (16 * TILE / shape.cols.max(1)).max(1);
    wanted.div_ceil(quantum).saturating_mul(quantum).min(shape.rows).max(1)
}
