//! Quantized tensors: stacks of matrices as codes, scales, zero points and tensor scales.
//!
//! ```text
//! codes         row-major, dense, least significant bits first (4 bits: low nibble first); each row padded to a whole byte
//! scales        row-major over the grid of blocks, in the format's scale type, little endian
//! zeros         one per scale, if the format has zero points
//! tensor scale  one f32 per matrix, if the format has tensor scales
//! ```
//!
//! A tensor owns or borrows its bytes: a view of a mapped file or of an engine's buffer copies
//! nothing.

mod compare;
mod decode;
mod encode;
mod runs;

use alloc::borrow::Cow;
use core::ops::Range;

use crate::bytes::Bytes;
use crate::effective::Stored;
use crate::error::Error;
use crate::format::{Format, Zero};
use crate::grid::Grid;
use crate::scale::TensorScale;
use crate::shape::Shape;

/// A quantized tensor: a format, a shape, and bytes of the matching lengths.
///
/// ```
/// use lowbit_blocks::{NVFP4, QTensor, Shape, TensorScale};
/// let codes = [0x72; 8]; // pairs of 0x2 = 1.0 and 0x7 = 6.0
/// let scales = [0x40]; // E4M3: 2.0
/// let tensor_scale = TensorScale::Multiply(vec![0.125]);
/// let tensor = QTensor::new(NVFP4, Shape::matrix(1, 16), &codes[..], &scales[..], None, tensor_scale)?;
/// assert_eq!(tensor.to_f32_vec()[..2], [0.25, 1.5]);
/// assert_eq!(tensor.size_bytes(), 8 + 1 + 4);
/// # Ok::<(), lowbit_blocks::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct QTensor<'a> {
    format: Format,
    shape: Shape,
    codes: Bytes<'a>,
    scales: Bytes<'a>,
    zeros: Option<Bytes<'a>>,
    tensor_scale: TensorScale,
}

impl<'a> QTensor<'a> {
    /// A tensor of these bytes, owned or borrowed. Only their lengths are checked, not their
    /// contents.
    ///
    /// # Errors
    /// Errors of [`Format::check`]; [`Error::Length`] if a part has the wrong number of bytes;
    /// [`Error::Part`] if zero points or tensor scales are missing, or given to a format without
    /// them.
    pub fn new(
        format: Format,
        shape: Shape,
        codes: impl Into<Bytes<'a>>,
        scales: impl Into<Bytes<'a>>,
        zeros: Option<Cow<'a, [u8]>>,
        tensor_scale: TensorScale,
    ) -> Result<Self, Error> {
        Self::of_bytes(format, shape, codes.into(), scales.into(), zeros.map(Bytes::from), tensor_scale)
    }

    /// [`new`](Self::new) with bytes that may be shared.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_bytes(
        format: Format,
        shape: Shape,
        codes: Bytes<'a>,
        scales: Bytes<'a>,
        zeros: Option<Bytes<'a>>,
        tensor_scale: TensorScale,
    ) -> Result<Self, Error> {
        format.check(shape)?;
        let bytes = |part, got, want| format.check_len(shape, part, "bytes", got, want);
        bytes("codes", codes.len(), format.codes_len(shape))?;
        bytes("scales", scales.len(), format.scales_len(shape))?;
        check_part("zeros", zeros.is_some(), format.zero != Zero::None, &format)?;
        if let Some(zeros) = &zeros {
            bytes("zeros", zeros.len(), format.zeros_len(shape))?;
        }
        check_tensor_scales(&format, shape, &tensor_scale)?;
        Ok(Self { format, shape, codes, scales, zeros, tensor_scale })
    }

    /// The format.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The shape.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// The grid: the positions of values, blocks and bytes.
    #[must_use]
    pub fn grid(&self) -> Grid {
        Grid::of(&self.format, self.shape)
    }

    /// The number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        // `new` has checked the product for overflow.
        self.shape.matrices * self.shape.rows * self.shape.cols
    }

    /// True if the tensor has no values.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.shape.is_empty()
    }

    /// The codes, [`Format::codes_len`] bytes.
    #[must_use]
    pub fn codes(&self) -> &[u8] {
        &self.codes
    }

    /// The block scales, [`Format::scales_len`] bytes.
    #[must_use]
    pub fn scales(&self) -> &[u8] {
        &self.scales
    }

    /// The zero points, [`Format::zeros_len`] bytes.
    #[must_use]
    pub fn zeros(&self) -> Option<&[u8]> {
        self.zeros.as_deref()
    }

    /// The tensor scales, one for each matrix.
    #[must_use]
    pub const fn tensor_scale(&self) -> &TensorScale {
        &self.tensor_scale
    }

    /// The number of bytes of all parts: codes, scales, zero points and tensor scales.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.format.size_bytes(self.shape)
    }

    /// The mean number of bits per value, including all parts.
    #[must_use]
    pub fn bits_per_weight(&self) -> f64 {
        self.format.bits_per_weight(self.shape)
    }

    /// The same tensor, borrowing these bytes.
    #[must_use]
    pub fn borrow(&self) -> QTensor<'_> {
        QTensor {
            codes: self.codes.borrow(),
            scales: self.scales.borrow(),
            zeros: self.zeros.as_ref().map(Bytes::borrow),
            tensor_scale: self.tensor_scale.clone(),
            ..*self
        }
    }

    /// The same tensor with a `'static` lifetime: borrowed bytes are copied, shared bytes stay
    /// shared.
    #[must_use]
    pub fn into_owned(self) -> QTensor<'static> {
        QTensor {
            format: self.format,
            shape: self.shape,
            codes: self.codes.into_static(),
            scales: self.scales.into_static(),
            zeros: self.zeros.map(Bytes::into_static),
            tensor_scale: self.tensor_scale,
        }
    }

    /// One matrix of the stack (one expert), borrowing its bytes.
    ///
    /// # Panics
    /// If the matrix is out of range.
    #[must_use]
    pub fn matrix(&self, matrix: usize) -> QTensor<'_> {
        self.rows(matrix, 0..self.shape.rows)
    }

    /// Some rows of one matrix as a separate tensor, borrowing their bytes.
    ///
    /// # Panics
    /// If the matrix or a row is out of range, or `rows` is not in whole
    /// [row quanta](Format::row_quantum). [`dequantize_rows`](Self::dequantize_rows) reads any rows.
    ///
    /// ```
    /// use lowbit_blocks::{MXFP4, QTensor, Shape, TensorScale};
    /// let codes = [[0x22; 16], [0x77; 16]].concat();
    /// let tensor = QTensor::new(MXFP4, Shape::matrix(2, 32), codes, vec![127, 126], None, TensorScale::None)?;
    /// let second = tensor.rows(0, 1..2);
    /// assert_eq!((second.codes(), second.scales()), (&[0x77; 16][..], &[126][..]));
    /// # Ok::<(), lowbit_blocks::Error>(())
    /// ```
    #[must_use]
    pub fn rows(&self, matrix: usize, rows: Range<usize>) -> QTensor<'_> {
        let (format, shape) = (self.format, self.shape);
        let zeros = self.zeros.as_ref().map(|zeros| &zeros[format.zeros_range(shape, matrix, rows.clone())]);
        QTensor {
            format,
            shape: Shape::matrix(rows.len(), shape.cols),
            codes: self.codes[format.codes_range(shape, matrix, rows.clone())].into(),
            scales: self.scales[format.scales_range(shape, matrix, rows)].into(),
            zeros: zeros.map(Bytes::from),
            tensor_scale: self.tensor_scale.matrix(matrix),
        }
    }

    pub(crate) fn stored(&self) -> Stored<'_> {
        Stored {
            format: self.format,
            shape: self.shape,
            scales: &self.scales,
            zeros: self.zeros.as_deref().unwrap_or_default(),
            tensor_scale: &self.tensor_scale,
        }
    }
}

/// Checks that an optional part is given exactly if the format has it.
fn check_part(part: &'static str, given: bool, wanted: bool, format: &Format) -> Result<(), Error> {
    if given == wanted { Ok(()) } else { Err(Error::Part { part, wanted, format: format.name() }) }
}

/// Checks the number of tensor scales: one for each matrix, or none.
pub(crate) fn check_tensor_scales(
    format: &Format,
    shape: Shape,
    tensor_scale: &TensorScale,
) -> Result<(), Error> {
    let stored = tensor_scale.stored();
    check_part("tensor scales", *tensor_scale != TensorScale::None, format.has_tensor_scale(), format)?;
    let want = if format.has_tensor_scale() { shape.matrices } else { 0 };
    format.check_len(shape, "tensor scales", "numbers", stored.len(), want)
}
