//! Errors of the container crate. Each prints as one line that names the file, the tensor and the
//! numbers.
//!
//! No file can cause a panic in this crate. Whatever its bytes are, the result is a value or one of
//! these errors.

use std::io;
use std::path::{Path, PathBuf};

/// A `Result` of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of opening, reading or writing files of tensors. Each prints as one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation on a file.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The operation that failed: `open`, `read`, `write 4096 bytes at byte 81920 of` …
        action: String,
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A file is malformed: a header, JSON, an index or a journal that cannot be read.
    #[error("{}: {reason}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The fault, with the numbers.
        reason: String,
    },
    /// A tensor is malformed, or does not fit the request.
    #[error("{}: tensor `{tensor}`: {reason}", file.display())]
    Tensor {
        /// The file that holds the tensor.
        file: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// The fault, with the numbers.
        reason: String,
    },
    /// A requested tensor does not exist.
    #[error("{}: there is no tensor `{tensor}`", dir.display())]
    Missing {
        /// The checkpoint's directory.
        dir: PathBuf,
        /// The tensor's name.
        tensor: String,
    },
    /// Two shards hold a tensor of the same name.
    #[error("tensor `{tensor}` is in both {} and {}", first.display(), second.display())]
    Duplicate {
        /// The tensor's name.
        tensor: String,
        /// One of the files.
        first: PathBuf,
        /// The other file.
        second: PathBuf,
    },
}

impl Error {
    /// An operating-system error on `path` while trying to `action`.
    pub fn io(action: impl Into<String>, path: &Path, source: io::Error) -> Self {
        Self::Io { action: action.into(), path: path.to_owned(), source }
    }

    /// An error about a malformed file.
    pub fn file(file: &Path, reason: impl Into<String>) -> Self {
        Self::File { file: file.to_owned(), reason: reason.into() }
    }

    /// An error about a malformed tensor.
    pub fn tensor(file: &Path, tensor: &str, reason: impl Into<String>) -> Self {
        Self::Tensor { file: file.to_owned(), tensor: tensor.to_owned(), reason: reason.into() }
    }
}
