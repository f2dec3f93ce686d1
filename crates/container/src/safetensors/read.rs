//! An open safetensors file, whose tensors are read by byte ranges.

use super::{HEADER_LIMIT, Header};
use crate::{Container, Entry, Error, Metadata, Result, positioned};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// An open safetensors file with its validated header.
///
/// Reads take an offset and `&self`, so any number of threads may read at once.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    file: File,
    len: u64,
    header: Header,
    metadata: Metadata,
}

impl TensorFile {
    /// Opens a file and validates its header against its length.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be opened. [`Error::File`] or [`Error::Tensor`] if the header
    /// breaks a rule of the format.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let io = |action: &str, e| Error::io(action, &path, e);
        let file = File::open(&path).map_err(|e| io("open", e))?;
        let len = file.metadata().map_err(|e| io("stat", e))?.len();
        if len < 8 {
            return Err(Error::file(&path, format!("{len} bytes; a safetensors file has at least 8")));
        }
        let mut word = [0; 8];
        positioned::read_exact_at(&file, &mut word, 0).map_err(|e| io("read", e))?;
        let n = u64::from_le_bytes(word);
        if n > HEADER_LIMIT {
            return Err(Error::file(&path, format!("header of {n} bytes; the limit is {HEADER_LIMIT}")));
        }
        if n > len - 8 {
            return Err(Error::file(
                &path,
                format!("header of {n} bytes runs past the end of a file of {len} bytes"),
            ));
        }
        let mut json = vec![0; n as usize];
        positioned::read_exact_at(&file, &mut json, 8).map_err(|e| io("read", e))?;
        let header = Header::parse(&path, &json, len)?;
        let metadata = header.metadata.clone().into_iter().collect();
        Ok(Self { path, file, len, header, metadata })
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The validated header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Fills `buffer` with the bytes of one tensor, from byte `offset` of that tensor on.
    ///
    /// # Errors
    /// As [`Container::read`].
    pub fn read(&self, entry: &Entry, offset: u64, buffer: &mut [u8]) -> Result<()> {
        Container::read(self, entry, offset, buffer)
    }
}

impl Container for TensorFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn entries(&self) -> &[Entry] {
        &self.header.entries
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn file_len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        positioned::read_exact_at(&self.file, buffer, offset)
    }

    fn file(&self) -> Option<&File> {
        Some(&self.file)
    }
}
