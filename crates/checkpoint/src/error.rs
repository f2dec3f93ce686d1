//! What can go wrong with files: one line that names the file, the tensor and the number.
//!
//! A file can never cause a panic in this crate. Whatever its bytes say, the answer is a value or one of these.

use crate::safetensors::Dtype;
use lowbit_blocks::{Format, Shape};
use std::io;
use std::path::{Path, PathBuf};

/// A `Result` of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that reading, planning and writing checkpoints can fail with; each prints as one line.
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
    /// A tensor that the layout asks for is not there.
    #[error("{}: there is no tensor `{tensor}`", dir.display())]
    Missing {
        /// The checkpoint's directory.
        dir: PathBuf,
        /// The tensor's name.
        tensor: String,
    },
    /// A tensor of a quantized linear has another type or shape than its format asks for.
    #[error(transparent)]
    Mismatch(Box<Mismatch>),
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
    /// The layout cannot carry the format (or not with these activations).
    #[error("layout {layout} cannot carry {format}{with}; {can}")]
    CannotCarry {
        /// The format's name.
        format: String,
        /// The layout's name.
        layout: &'static str,
        /// What was asked besides: ` with dynamic activations`, or nothing.
        with: String,
        /// Which layouts can carry it.
        can: String,
    },
    /// The checkpoint is quantized in a convention that this version does not read.
    #[error("{}: quantized with {method}, which is not read yet; read are: {readable}", dir.display())]
    Convention {
        /// The checkpoint's directory.
        dir: PathBuf,
        /// The producer's name for its method: `gptq`, `awq`, `bitsandbytes` …
        method: String,
        /// The layouts that can be read.
        readable: String,
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

/// What a tensor of a quantized linear is, and what it should be.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error(
    "{}: tensor `{tensor}`: is {} {:?}, but {format} of {shape} has {} {:?} there", file.display(), have.0, have.1, want.0, want.1
)]
pub struct Mismatch {
    /// The file that holds the tensor.
    pub file: PathBuf,
    /// The tensor's name.
    pub tensor: String,
    /// Its dtype and shape.
    pub have: (Dtype, Vec<usize>),
    /// The dtype and shape that the format asks for.
    pub want: (Dtype, Vec<usize>),
    /// The format.
    pub format: Format,
    /// The shape of the linear.
    pub shape: Shape,
}

impl Error {
    /// An operating-system error on `path` while trying to `action`.
    pub(crate) fn io(action: impl Into<String>, path: &Path, source: io::Error) -> Self {
        Self::Io { action: action.into(), path: path.to_owned(), source }
    }

    /// A file that is not what it should be.
    pub(crate) fn file(file: &Path, reason: impl Into<String>) -> Self {
        Self::File { file: file.to_owned(), reason: reason.into() }
    }

    /// A tensor that is not what it should be.
    pub(crate) fn tensor(file: &Path, tensor: &str, reason: impl Into<String>) -> Self {
        Self::Tensor { file: file.to_owned(), tensor: tensor.to_owned(), reason: reason.into() }
    }
}
