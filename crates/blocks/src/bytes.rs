//! Bytes of a tensor's parts: borrowed, owned, or a range of a shared buffer.
//!
//! A shared buffer is usually a mapped file. A tensor whose parts are all shared or owned is
//! `'static`: it keeps the file mapped, and a clone costs one reference count.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::{Deref, Range};

/// A buffer that several [`Bytes`] share. `as_ref` must return the same slice on every call.
pub type SharedBuffer = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A slice of bytes with any kind of owner. It dereferences to `[u8]`.
///
/// ```
/// use std::sync::Arc;
/// use lowbit_blocks::{Bytes, MXFP4, QTensor, Shape, TensorScale};
/// let file = Arc::new([[0x22; 16], [127; 16]].concat()); // stands for a mapped file
/// let codes = Bytes::shared(file.clone(), 0..16);
/// let scales = Bytes::shared(file, 16..17);
/// let tensor: QTensor<'static> =
///     QTensor::of_bytes(MXFP4, Shape::matrix(1, 32), codes, scales, None, TensorScale::None)?;
/// assert_eq!(tensor.to_f32_vec(), [1.0; 32]);
/// assert_eq!(tensor.clone().codes().as_ptr(), tensor.codes().as_ptr()); // a clone shares them, too
/// # Ok::<(), lowbit_blocks::Error>(())
/// ```
#[derive(Clone)]
pub struct Bytes<'a>(Held<'a>);

#[derive(Clone)]
enum Held<'a> {
    Borrowed(&'a [u8]),
    Owned(Vec<u8>),
    Shared(SharedBuffer, Range<usize>),
}

impl<'a> Bytes<'a> {
    /// A range of a shared buffer.
    ///
    /// # Panics
    /// If the range is not inside the buffer.
    #[must_use]
    pub fn shared(buffer: SharedBuffer, range: Range<usize>) -> Self {
        let len = (*buffer).as_ref().len();
        assert!(range.start <= range.end && range.end <= len, "bytes {range:?} of {len}");
        Self(Held::Shared(buffer, range))
    }

    /// The same bytes, borrowed from `self`.
    #[must_use]
    pub fn borrow(&self) -> Bytes<'_> {
        Bytes(Held::Borrowed(self))
    }

    /// The bytes with a `'static` lifetime: borrowed bytes are copied, shared bytes stay shared.
    #[must_use]
    pub fn into_static(self) -> Bytes<'static> {
        match self.0 {
            Held::Borrowed(bytes) => Bytes(Held::Owned(bytes.to_vec())),
            Held::Owned(bytes) => Bytes(Held::Owned(bytes)),
            Held::Shared(buffer, range) => Bytes(Held::Shared(buffer, range)),
        }
    }

    /// The bytes as a vector, copied unless they are owned.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        match self.0 {
            Held::Owned(bytes) => bytes,
            Held::Borrowed(_) | Held::Shared(..) => self.to_vec(),
        }
    }
}

impl Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Held::Borrowed(bytes) => bytes,
            Held::Owned(bytes) => bytes,
            Held::Shared(buffer, range) => &(**buffer).as_ref()[range.clone()],
        }
    }
}

impl Default for Bytes<'_> {
    /// No bytes.
    fn default() -> Self {
        Self(Held::Borrowed(&[]))
    }
}

impl PartialEq for Bytes<'_> {
    /// Compares the bytes, regardless of their owners.
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl From<Vec<u8>> for Bytes<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Held::Owned(bytes))
    }
}

impl<'a> From<&'a [u8]> for Bytes<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(Held::Borrowed(bytes))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Bytes<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self(Held::Borrowed(bytes))
    }
}

impl<'a> From<&'a Vec<u8>> for Bytes<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self(Held::Borrowed(bytes))
    }
}

impl<'a> From<Cow<'a, [u8]>> for Bytes<'a> {
    fn from(bytes: Cow<'a, [u8]>) -> Self {
        match bytes {
            Cow::Borrowed(bytes) => Self(Held::Borrowed(bytes)),
            Cow::Owned(bytes) => Self(Held::Owned(bytes)),
        }
    }
}
