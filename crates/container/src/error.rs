//! What can go wrong with files: one line that names the file, the tensor and the number.
//!
//! A file can never cause a panic in this crate. Whatever its bytes say, the answer is a value or one of these.

use std::io;
use std::path::{Path, PathBuf};

/// A `Result` of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that opening, reading and writing files of tensors can fail with; each prints as one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation on a file.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `open`, `read`, `write 4096 bytes at byte 81920 of` …
        action: String,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file is not what its name promises: header, JSON, an index or a journal that cannot be read.
    #[error("{}: {reason}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it, with the numbers.
        reason: String,
    },
    /// One tensor of a file is impossible or does not fit what is asked of it.
    #[error("{}: tensor `{tensor}`: {reason}", file.display())]
    Tensor {
        /// The file that holds the tensor.
        file: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// What is wrong with it, with the numbers.
        reason: String,
    },
    /// A tensor that is asked for is not there.
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
        /// The other.
        second: PathBuf,
    },
}

impl Error {
    /// An operating-system error on `path` while trying to `action`.
    pub fn io(action: impl Into<String>, path: &Path, source: io::Error) -> Self {
        Self::Io { action: action.into(), path: path.to_owned(), source }
    }

    /// A file that is not what it should be.
    pub fn file(file: &Path, reason: impl Into<String>) -> Self {
        Self::File { file: file.to_owned(), reason: reason.into() }
    }

    /// A tensor that is not what it should be.
    pub fn tensor(file: &Path, tensor: &str, reason: impl Into<String>) -> Self {
        Self::Tensor { file: file.to_owned(), tensor: tensor.to_owned(), reason: reason.into() }
    }
}
