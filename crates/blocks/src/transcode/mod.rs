//! Exact transcoding: converts one format to another without rounding, if every stored number has
//! an exact counterpart.
//!
//! Codes are never decoded and encoded again. Three independent maps convert the parts:
//!
//! ```text
//! codes    a table of 256 entries: the target's code of the same value, times 2^shift, minus a zero point
//! blocks   overlaps: values in one block of either side; scales are repeated, or several become one
//! scales   the same number in another type, times 2^-m if a tensor scale of 2^m compensates for it
//! ```
//!
//! All decisions are made before the first row is written, from data that is cheap to read:
//!
//! ```text
//! Route::new(from, to, shape, tensor scales)   Err: codes without counterparts, under any scales
//!   |-- needs_facts() = false ---------------------------------.
//! Route::observe(scales and zero points of rows) -> Facts       |
//! Route::plan(&facts)                          Err: scales without counterparts         Exactness
//! Transcoder::rows(tile)                       tile by tile, borrowing unchanged bytes
//! ```
//!
//! A value is a product rounded once, `value(code) * scale`. If the exact product is the same, so
//! is the f32: a factor of two may move from the scale to the code without changing a bit.
//!
//! ```
//! use lowbit_blocks::transcode::Exactness;
//! use lowbit_blocks::{MXFP4, NVFP4, QTensor, Shape, TensorScale};
//! // Two blocks of 32 ones, with scales 2^3 and 2^-2.
//! let (codes, scales) = (vec![0x22; 32], vec![127 + 3, 127 - 2]);
//! let mxfp4 = QTensor::new(MXFP4, Shape::matrix(1, 64), codes, scales, None, TensorScale::None)?;
//! let (nvfp4, exactness) = mxfp4.transcode(NVFP4, false)?;
//! assert_eq!(exactness, Exactness::Exact);
//! // E4M3 represents both scales, so the tensor scale is 1. Blocks of 16 repeat them: 8 is 2^3 * 1.0,
//! // with the exponent 3 + 7 = 10 before 3 bits of mantissa.
//! assert_eq!(nvfp4.scales(), [10 << 3, 10 << 3, 5 << 3, 5 << 3]);
//! assert_eq!(nvfp4.tensor_scale(), &TensorScale::Multiply(vec![1.0]));
//! assert_eq!(nvfp4.codes(), mxfp4.codes());
//! // FP8 in tiles: both blocks share the scale 2^3, and the ones of the second become 2^-5.
//! let (fp8, _) = mxfp4.transcode(lowbit_blocks::FP8_BLOCK, false)?;
//! assert_eq!((fp8.scales(), &fp8.codes()[31..33]), (&8f32.to_le_bytes()[..], &[7 << 3, 2 << 3][..]));
//! # Ok::<(), lowbit_blocks::Error>(())
//! ```

mod codes;
mod exactness;
mod extent;
mod facts;
mod kept;
mod packed;
mod plan;
mod powers;
mod route;
mod source;
mod tensor_scale;
mod transcoder;
mod zeros;

use alloc::borrow::Cow;
use alloc::vec::Vec;

pub use crate::obstacle::Obstacle;
pub use exactness::Exactness;
pub use facts::Facts;
pub use route::Route;
pub use transcoder::Transcoder;

use crate::error::Error;
use crate::format::Format;
use crate::tensor::QTensor;

/// The stored bytes of some rows of one matrix.
#[derive(Clone, Copy, Debug)]
pub struct StoredRows<'a> {
    /// The number of rows.
    pub rows: usize,
    /// Scales of their blocks.
    pub scales: &'a [u8],
    /// Zero points of their blocks; empty if the format has none.
    pub zeros: &'a [u8],
    /// Codes, if they are available.
    pub codes: Option<&'a [u8]>,
}

impl<'a> StoredRows<'a> {
    fn of(tile: &'a QTensor<'_>) -> Self {
        Self {
            rows: tile.shape().rows,
            scales: tile.scales(),
            zeros: tile.zeros().unwrap_or_default(),
            codes: Some(tile.codes()),
        }
    }
}

impl QTensor<'_> {
    /// The same values in another format. `divide` tells whether its tensor scale, if it has one,
    /// divides or multiplies. See [`transcode`](self).
    ///
    /// # Errors
    /// [`Error::Transcode`] if a stored number has no exact counterpart; errors of
    /// [`Format::check`].
    ///
    /// ```
    /// use lowbit_blocks::{Block, Format, QTensor, Shape, TensorScale};
    /// let uint4 = Format::uint(4, Block::Group(2));
    /// let (scales, zeros) = (vec![0x80, 0x3f], Some(vec![8].into())); // bf16 1.0
    /// let tensor = QTensor::new(uint4, Shape::matrix(1, 2), vec![0x6f], scales, zeros, TensorScale::None)?;
    /// let (signed, _) = tensor.transcode(Format::int(4, Block::Group(2)), false)?;
    /// assert_eq!(signed.codes(), [0xe7]); // 15 - 8 = 7, 6 - 8 = -2
    /// # Ok::<(), lowbit_blocks::Error>(())
    /// ```
    pub fn transcode(&self, to: Format, divide: bool) -> Result<(QTensor<'static>, Exactness), Error> {
        let (from, shape) = (self.format(), self.shape());
        let route = Route::new(from, to, shape, self.tensor_scale(), divide)?;
        let mut facts = route.facts();
        if !shape.is_empty() {
            (0..shape.matrices)
                .for_each(|matrix| route.observe_rows(&mut facts, matrix, &self.matrix(matrix)));
        }
        let transcoder = route.plan(&facts)?;
        let (mut codes, mut scales, mut zeros) = (Vec::new(), Vec::new(), None);
        codes.reserve_exact(to.codes_len(shape));
        scales.reserve_exact(to.scales_len(shape));
        for matrix in 0..shape.matrices {
            let tile = self.matrix(matrix);
            let rows = transcoder.rows(matrix, &tile)?;
            codes.extend_from_slice(rows.codes());
            scales.extend_from_slice(rows.scales());
            if let Some(of_rows) = rows.zeros() {
                zeros.get_or_insert_with(Vec::new).extend_from_slice(of_rows);
            }
        }
        if to.has_zeros() {
            zeros.get_or_insert_default();
        }
        let tensor_scale = transcoder.tensor_scale().clone();
        let tensor = QTensor::new(to, shape, codes, scales, zeros.map(Cow::Owned), tensor_scale)?;
        Ok((tensor, transcoder.exactness()))
    }
}
