//! The seam between file formats and everything above them: named tensors to read, and a header to write.
//!
//! A [`Container`] is one file, or one block of memory, of named tensors. A checkpoint is one or several of them (shards of safetensors, splits of
//! GGUF) with, perhaps, a configuration and a tokenizer beside them. Nothing above this crate knows which format it reads.

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
    /// Its shape; for types below a byte these are elements, not packed bytes.
    pub shape: Vec<usize>,
    /// First byte, counted from the start of the file.
    pub begin: u64,
    /// One past the last byte, counted from the start of the file.
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

/// Named tensors with type, shape and bytes, opened and checked.
///
/// Reads are positioned and take `&self`: any number of threads may read at once.
pub trait Container: fmt::Debug + Send + Sync {
    /// Where it is, or what errors call it.
    fn path(&self) -> &Path;

    /// Its tensors in the order of their bytes. Each is as long as its type and shape say and lies in the file.
    fn entries(&self) -> &[Entry];

    /// What it says besides its tensors.
    fn metadata(&self) -> &Metadata;

    /// Length of the whole file in bytes.
    fn file_len(&self) -> u64;

    /// The first bytes of tensors are multiples of this, counted from the start of the file; 1 where the format promises nothing.
    fn alignment(&self) -> u64 {
        1
    }

    /// Fills `buffer` from this byte of the file on.
    ///
    /// # Errors
    /// What the system says; `UnexpectedEof` where the file ends sooner.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// The open file, which may be mapped; `None` if there is none.
    fn file(&self) -> Option<&File> {
        None
    }

    /// The whole file, where it is in memory.
    fn bytes(&self) -> Option<&[u8]> {
        None
    }

    /// Fills `buffer` with the bytes of one tensor from byte `offset` of that tensor on.
    ///
    /// # Errors
    /// [`Error::Tensor`] if that range is not inside the tensor, [`Error::Io`] if it cannot be read (the file was cut since it was opened).
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

/// A tensor that is going to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTensor {
    /// Its name.
    pub name: String,
    /// Type of its elements.
    pub dtype: Dtype,
    /// Its shape in elements.
    pub shape: Vec<usize>,
}

/// How a format's files begin: every offset is known before the first byte of data is written.
pub trait HeaderWriter: fmt::Debug + Sync {
    /// The order in which tensors stand in a file.
    fn order(&self, a: &NewTensor, b: &NewTensor) -> Ordering;

    /// The first bytes of a file, up to the first tensor, and the tensors with their byte ranges. They stand in the order of
    /// [`order`](Self::order); gaps between them are zeros.
    ///
    /// # Errors
    /// Why the format cannot say this: a type, a value of the metadata, a length that it does not have.
    fn header(&self, metadata: &Metadata, tensors: &[NewTensor]) -> Result<(Vec<u8>, Vec<Entry>), String>;

    /// Bytes of the longest header that readers accept.
    fn header_limit(&self) -> u64 {
        u64::MAX
    }
}
