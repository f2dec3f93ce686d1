//! Errors of jobs on checkpoints. Each is one line that names the file, the tensor and the number.
//!
//! No file causes a panic in this crate: bytes that make no sense become one of these errors.

use std::io;
use std::path::{Path, PathBuf};

/// A `Result` of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error of reading, planning and writing checkpoints; each prints as one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or written, or is malformed.
    #[error(transparent)]
    Container(#[from] lowbit_container::Error),
    /// A quantized linear does not match its layout, or a layout cannot express what is asked of
    /// it. Errors of files are [`Container`](Self::Container).
    #[error(transparent)]
    Layout(lowbit_layouts::Error),
    /// A weight holds NaN or an infinity, and the job treats that as an error.
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
        /// The value: NaN, inf or -inf.
        value: f32,
    },
    /// A name, pattern or option of the job does not fit this checkpoint.
    #[error("{0}")]
    Job(String),
    /// The output directory cannot be used for this job.
    #[error("{}: {reason}", dir.display())]
    Output {
        /// The output directory.
        dir: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The caller's [`Progress`](crate::Progress) asked to stop; the run can be resumed.
    #[error("cancelled after {done} of {total} bytes; {} can be resumed", dir.display())]
    Cancelled {
        /// The output directory.
        dir: PathBuf,
        /// Source bytes that are done.
        done: u64,
        /// Source bytes of the whole job.
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
    /// An operating-system error on `path` during `action`.
    pub(crate) fn io(action: impl Into<String>, path: &Path, source: io::Error) -> Self {
        lowbit_container::Error::io(action, path, source).into()
    }

    /// An error about a malformed file.
    pub(crate) fn file(file: &Path, reason: impl Into<String>) -> Self {
        lowbit_container::Error::file(file, reason).into()
    }

    /// An error about a malformed tensor.
    pub(crate) fn tensor(file: &Path, tensor: &str, reason: impl Into<String>) -> Self {
        lowbit_container::Error::tensor(file, tensor, reason).into()
    }
}
