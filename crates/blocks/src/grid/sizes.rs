//! Sizes of tensors in bytes.
//!
//! ```text
//! scales  one per block, little endian
//! zeros   one per block: a byte (Int), or the scale's type (Float, Bias)
//!
//! grid of blocks in a matrix of R x C:  Tensor 1x1   Channel Rx1   Group(g) R x C/g
//!                                       Tile ceil(R/r) x ceil(C/c)   Flat(b) 1 x ceil(RC/b)
//! ```
//!
//! Shapes come from files, so no number may overflow. [`Format::check`] refuses shapes that are too
//! large, and the plain functions saturate at `usize::MAX`.

use super::counts::{gcd, lcm, packed};
use crate::error::Error;
use crate::format::{Block, Format, Zero};
use crate::shape::Shape;

impl Format {
    /// Checks that a tensor of this shape can be stored in this format.
    ///
    /// # Errors
    /// [`Error::BadFormat`] if the fields contradict each other; [`Error::RaggedRow`] if rows do
    /// not divide into groups; [`Error::TooLarge`] if its bytes cannot be addressed.
    pub fn check(&self, shape: Shape) -> Result<(), Error> {
        self.check_row()?;
        if let (Block::Group(_), Some(block)) = (self.block, self.values_per_run())
            && !shape.cols.is_multiple_of(block)
        {
            return Err(Error::RaggedRow { cols: shape.cols, block });
        }
        match (shape.len(), self.checked_bytes(shape)) {
            (Some(_), Some(bytes)) if bytes <= isize::MAX as usize => Ok(()),
            _ => Err(Error::TooLarge { shape }),
        }
    }

    /// Checks the length of a part of a tensor, in bytes or numbers (`unit`).
    pub(crate) fn check_len(
        &self,
        shape: Shape,
        part: &'static str,
        unit: &'static str,
        got: usize,
        want: usize,
    ) -> Result<(), Error> {
        if got == want {
            return Ok(());
        }
        Err(Error::Length { part, unit, got, want, shape, format: self.name() })
    }

    /// The number of bytes of the codes of one row. For a `Flat` format, it assumes that the row
    /// starts on a byte.
    #[must_use]
    pub fn row_bytes(&self, cols: usize) -> usize {
        packed(self.element.bits(), cols).unwrap_or(usize::MAX)
    }

    /// The number of bytes of all codes.
    #[must_use]
    pub fn codes_len(&self, shape: Shape) -> usize {
        self.checked_codes(shape).unwrap_or(usize::MAX)
    }

    /// The rows and columns of the grid of blocks of one matrix. Each block has one scale.
    #[must_use]
    pub fn scale_grid(&self, shape: Shape) -> (usize, usize) {
        let Shape { rows, cols, .. } = shape;
        match self.block {
            Block::Tensor => (1, 1),
            Block::Channel => (rows, 1),
            Block::Group(block) => (rows, cols.div_ceil(block.max(1))),
            Block::Tile { rows: high, cols: wide } => {
                (rows.div_ceil(high.max(1)), cols.div_ceil(wide.max(1)))
            }
            Block::Flat(block) => {
                (1, rows.checked_mul(cols).map_or(usize::MAX, |n| n.div_ceil(block.max(1))))
            }
        }
    }

    /// The number of scales of one matrix.
    #[must_use]
    pub fn scales_per_matrix(&self, shape: Shape) -> usize {
        let (rows, cols) = self.scale_grid(shape);
        rows.saturating_mul(cols)
    }

    /// The number of bytes of all scales.
    #[must_use]
    pub fn scales_len(&self, shape: Shape) -> usize {
        self.checked_scales(shape).unwrap_or(usize::MAX)
    }

    /// The number of bytes of all zero points; 0 if the format has none.
    #[must_use]
    pub fn zeros_len(&self, shape: Shape) -> usize {
        self.checked_zeros(shape).unwrap_or(usize::MAX)
    }

    /// True if blocks have zero points, biases or minima.
    #[must_use]
    pub const fn has_zeros(&self) -> bool {
        !matches!(self.zero, Zero::None)
    }

    /// The number of bytes of the scales of consecutive blocks of a matrix. With super-blocks, the
    /// first block must begin one.
    ///
    /// ```
    /// use lowbit_blocks::{NVFP4, Q4_K};
    /// assert_eq!((NVFP4.scale_bytes(8), Q4_K.scale_bytes(8)), (8, 2 + 6));
    /// ```
    #[must_use]
    pub const fn scale_bytes(&self, blocks: usize) -> usize {
        self.scale.len(blocks)
    }

    /// The number of bytes of the zero points of consecutive blocks, as in
    /// [`scale_bytes`](Self::scale_bytes); 0 if the format has none.
    #[must_use]
    pub const fn zero_bytes(&self, blocks: usize) -> usize {
        match self.zero {
            Zero::None => 0,
            Zero::Int => blocks,
            Zero::Float | Zero::Bias | Zero::Min => self.scale.len(blocks),
        }
    }

    /// The number of bytes of all parts: codes, scales, zero points and tensor scales.
    #[must_use]
    pub fn size_bytes(&self, shape: Shape) -> usize {
        self.checked_bytes(shape).unwrap_or(usize::MAX)
    }

    /// The mean number of bits per value, including all parts; NaN without values.
    ///
    /// ```
    /// use lowbit_blocks::{FP8_CHANNEL, Shape};
    /// assert_eq!(FP8_CHANNEL.bits_per_weight(Shape::matrix(10, 64)), 8.0 + 32.0 / 64.0);
    /// ```
    #[must_use]
    pub fn bits_per_weight(&self, shape: Shape) -> f64 {
        let values = shape.matrices as f64 * shape.rows as f64 * shape.cols as f64;
        8.0 * self.size_bytes(shape) as f64 / values
    }

    /// The smallest number of rows whose codes and scales can be written on their own.
    ///
    /// In a `Tile` format, the rows of a tile. In a `Flat` format, the rows after which block, byte
    /// and row end together. In all other formats 1.
    ///
    /// ```
    /// use lowbit_blocks::{FP8_BLOCK, NF4, NVFP4};
    /// assert_eq!((NVFP4.row_quantum(48), FP8_BLOCK.row_quantum(48)), (1, 128));
    /// assert_eq!(NF4.row_quantum(48), 4); // 4 rows of 48 are 3 blocks of 64
    /// ```
    #[must_use]
    pub fn row_quantum(&self, cols: usize) -> usize {
        match self.block {
            Block::Tensor | Block::Channel | Block::Group(_) => 1,
            Block::Tile { rows, .. } => rows.max(1),
            Block::Flat(block) => {
                let run = block.max(1).saturating_mul(self.scale.run());
                let blocks = run / gcd(run, cols);
                let bits = (self.element.bits() as usize).saturating_mul(cols % 8);
                let bytes = 8 / gcd(8, bits);
                lcm(blocks, bytes)
            }
        }
    }

    fn checked_codes(&self, shape: Shape) -> Option<usize> {
        let bits = self.element.bits();
        let matrix = match self.block {
            Block::Flat(_) => packed(bits, shape.rows.checked_mul(shape.cols)?)?,
            Block::Tensor | Block::Channel | Block::Group(_) | Block::Tile { .. } => {
                packed(bits, shape.cols)?.checked_mul(shape.rows)?
            }
        };
        matrix.checked_mul(shape.matrices)
    }

    fn checked_scales(&self, shape: Shape) -> Option<usize> {
        let (rows, cols) = self.scale_grid(shape);
        self.scale.checked_len(rows.checked_mul(cols)?)?.checked_mul(shape.matrices)
    }

    /// 0 if the format has no zero points, for any number of blocks.
    fn checked_zeros(&self, shape: Shape) -> Option<usize> {
        let (rows, cols) = self.scale_grid(shape);
        match self.zero {
            Zero::None => Some(0),
            Zero::Int => rows.checked_mul(cols)?.checked_mul(shape.matrices),
            Zero::Float | Zero::Bias | Zero::Min => self.checked_scales(shape),
        }
    }

    fn checked_bytes(&self, shape: Shape) -> Option<usize> {
        let tensor_scales =
            if self.has_tensor_scale() { shape.matrices.checked_mul(size_of::<f32>())? } else { 0 };
        self.checked_codes(shape)?
            .checked_add(self.checked_scales(shape)?)?
            .checked_add(self.checked_zeros(shape)?)?
            .checked_add(tensor_scales)
    }
}
