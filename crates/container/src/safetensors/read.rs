//! One open safetensors file, read by byte ranges of its tensors.

use super::{Entry, HEADER_LIMIT, Header};
use crate::{Error, Result, positioned};
use std::fs::File;
use std::path::{Path, PathBuf};

/// An open safetensors file with its checked header.
///
/// Reads are positioned and take `&self`: any number of threads may read at once.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    file: File,
    len: u64,
    header: Header,
}

impl TensorFile {
    /// Opens a file and checks its header against its length.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be opened, [`Error::File`] or [`Error::Tensor`] if the header breaks a rule of the format.
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
        Ok(Self { path, file, len, header })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Length of the file in bytes.
    pub fn file_len(&self) -> u64 {
        self.len
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The checked header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Fills `buffer` with the bytes of one tensor from byte `offset` of that tensor on.
    ///
    /// # Errors
    /// [`Error::Tensor`] if that range is not inside the tensor, [`Error::Io`] if it cannot be read (the file was cut since it was opened).
    pub fn read(&self, entry: &Entry, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let len = buffer.len() as u64;
        if offset.checked_add(len).is_none_or(|end| end > entry.len()) {
            let reason = format!("{len} bytes at byte {offset} are not inside its {} bytes", entry.len());
            return Err(Error::tensor(&self.path, &entry.name, reason));
        }
        positioned::read_exact_at(&self.file, buffer, entry.begin + offset).map_err(|e| {
            Error::io(
                format!("read {len} bytes at byte {} (tensor `{}`) of", entry.begin + offset, entry.name),
                &self.path,
                e,
            )
        })
    }
}
