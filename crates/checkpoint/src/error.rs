//! What can go wrong with jobs on checkpoints: one line that names the file, the tensor and the number.
//!
//! A file can never cause a panic in this crate. Whatever its bytes say, the answer is a value or one of these.

use std::io;
use std::path::{Path, PathBuf};

/// A `Result` of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that reading, planning and writing checkpoints can fail with; each prints as one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or written, or is not what it should be.
    #[error(transparent)]
    Container(#[from] lowbit_container::Error),
    /// A quantized linear is not what its layout says, or a layout cannot do what is asked of it. Errors of files are [`Container`](Self::Container).
    #[error(transparent)]
    Layout(lowbit_layouts::Error),
    /// A weight holds NaN or an infinity, and the job says that this is an error.
    #[error(
        "{}: tensor `{tensor}`: value {index} (row {row}, column {column}) is {value}; leave such tensors unquantized with --on-nonfinite keep", file.display()
    )]
    NonFinite {
        /// The file that holds the tensor.
        file: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// Index of the value in the flat tensor.
        index: u64,
        /// Its row, counted over all matrices of a stack.
        row: u64,
        /// Its column.
        column: u64,
        /// NaN, inf or -inf.
        value: f32,
    },
    /// A name, pattern or option of the job makes no sense for this checkpoint.
    #[error("{0}")]
    Job(String),
    /// The output directory cannot take this job.
    #[error("{}: {reason}", dir.display())]
    Output {
        /// The output directory.
        dir: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The caller's progress said stop; the output directory can be resumed.
    #[error("cancelled after {done} of {total} bytes; {} can be resumed", dir.display())]
    Cancelled {
        /// The output directory.
        dir: PathBuf,
        /// Source bytes done.
        done: u64,
        /// Source bytes in all.
        total: u64,
    },
}

impl From<lowbit_layouts::Error> for Error {
    fn from(error: lowbit_layouts::Error) -> Self {
        match error {
            lowbit_layouts::Error::Container(error) => Self::Container(error),
            error => Self::Layout(error),
        }
    }
}

impl Error {
    /// An operating-system error on `path` while trying to `action`.
    pub(crate) fn io(action: impl Into<String>, path: &Path, source: io::Error) -> Self {
        lowbit_container::Error::io(action, path, source).into()
    }

    /// A file that is not what it should be.
    pub(crate) fn file(file: &Path, reason: impl Into<String>) -> Self {
        lowbit_container::Error::file(file, reason).into()
    }

    /// A tensor that is not what it should be.
    pub(crate) fn tensor(file: &Path, tensor: &str, reason: impl Into<String>) -> Self {
        lowbit_container::Error::tensor(file, tensor, reason).into()
    }
}
