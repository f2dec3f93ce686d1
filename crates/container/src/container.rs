//! The interface between file formats and the crates above: named tensors to read, and a header to
//! write.
//!
//! A [`Container`] is one file, or one block of memory, with named tensors. A checkpoint consists
//! of one or several of them (shards of safetensors, splits of GGUF), and possibly a configuration
//! and a tokenizer. Crates above this one are independent of the file format.

use crate::{Dtype, Error, Metadata, Result};
use std::cmp::Ordering;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;

/// One tensor of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The tensor's name.
    pub name: String,
    /// Type of its elements.
    pub dtype: Dtype,
    /// Its shape, in elements. For types below a byte these are not packed bytes.
    pub shape: Vec<usize>,
    /// Offset of the first byte from the start of the file.
    pub begin: u64,
    /// Offset one past the last byte from the start of the file.
    pub end: u64,
}

impl Entry {
    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.end - self.begin
    }

    /// Whether the tensor has no bytes.
    pub fn is_empty(&self) -> bool {
        self.begin == self.end
    }

    /// Number of elements.
    pub fn elements(&self) -> u64 {
        self.shape.iter().map(|&n| n as u64).product()
    }
}

/// An open, validated file of named tensors with dtype, shape and bytes.
///
/// Reads take an offset and `&self`, so any number of threads may read at once.
pub trait Container: fmt::Debug + Send + Sync {
    /// The path of the file, or the name that stands for it in errors.
    fn path(&self) -> &Path;

    /// The tensors, in the order of their bytes. Each lies inside the file and has the length of
    /// its dtype and shape.
    fn entries(&self) -> &[Entry];

    /// The metadata of the file.
    fn metadata(&self) -> &Metadata;

    /// Length of the whole file in bytes.
    fn file_len(&self) -> u64;

    /// The alignment of tensor data, in bytes from the start of the file; 1 if the format promises
    /// none.
    fn alignment(&self) -> u64 {
        1
    }

    /// Fills `buffer` from byte `offset` of the file on.
    ///
    /// # Errors
    /// The error of the operating system; `UnexpectedEof` if the file ends before the buffer is
    /// full.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// The open file, which may be mapped; `None` if the container is not a file.
    fn file(&self) -> Option<&File> {
        None
    }

    /// The bytes of the whole file, if they are in memory.
    fn bytes(&self) -> Option<&[u8]> {
        None
    }

    /// Fills `buffer` with the bytes of one tensor from byte `offset` of that tensor on.
    ///
    /// # Errors
    /// [`Error::Tensor`] if the range is not inside the tensor. [`Error::Io`] if it cannot be read,
    /// for example because the file was truncated after it was opened.
    fn read(&self, entry: &Entry, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let len = buffer.len() as u64;
        if offset.checked_add(len).is_none_or(|end| end > entry.len()) {
            let reason = format!("{len} bytes at byte {offset} are not inside its {} bytes", entry.len());
            return Err(Error::tensor(self.path(), &entry.name, reason));
        }
        self.read_exact_at(buffer, entry.begin + offset).map_err(|e| {
            Error::io(
                format!("read {len} bytes at byte {} (tensor `{}`) of", entry.begin + offset, entry.name),
                self.path(),
                e,
            )
        })
    }
}

/// A tensor to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTensor {
    /// Its name.
    pub name: String,
    /// Type of its elements.
    pub dtype: Dtype,
    /// Its shape in elements.
    pub shape: Vec<usize>,
}

/// The writer of a format's headers. All offsets are known before the first byte of data is
/// written.
pub trait HeaderWriter: fmt::Debug + Sync {
    /// The order of tensors in a file.
    fn order(&self, a: &NewTensor, b: &NewTensor) -> Ordering;

    /// The bytes of a file before its first tensor, and the tensors with their byte ranges. The
    /// tensors have to be in the order of [`order`](Self::order). Gaps between them are zeros.
    ///
    /// # Errors
    /// A message that says why the format cannot store this: a dtype, a metadata value or a length
    /// that it does not support.
    fn header(&self, metadata: &Metadata, tensors: &[NewTensor]) -> Result<(Vec<u8>, Vec<Entry>), String>;

    /// The length of the longest header that readers accept, in bytes.
    fn header_limit(&self) -> u64 {
        u64::MAX
    }
}
