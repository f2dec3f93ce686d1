//! Errors of the layouts crate. Each prints as one line that names the file, the tensor and the
//! numbers.

use lowbit_blocks::{Format, Shape};
use lowbit_container::safetensors::Dtype;
use std::io;
use std::path::{Path, PathBuf};

/// A `Result` of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of finding, reading or describing quantized linears. Each prints as one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or is malformed.
    #[error(transparent)]
    Container(#[from] lowbit_container::Error),
    /// A tensor of a quantized linear has another dtype or shape than its format requires.
    #[error(transparent)]
    Mismatch(Box<Mismatch>),
    /// The layout cannot carry the format, or not with these activations.
    #[error("layout {layout} cannot carry {format}{with}; {can}")]
    CannotCarry {
        /// The format's name.
        format: String,
        /// The layout's name.
        layout: &'static str,
        /// A further condition of the request: ` with activations dynamic`, or empty.
        with: String,
        /// The alternatives.
        can: String,
    },
    /// The checkpoint is quantized in a convention that this version does not support.
    #[error("{}: quantized with {method}, which is not read yet; read are: {readable}", dir.display())]
    Convention {
        /// The checkpoint's directory.
        dir: PathBuf,
        /// The producer's name for its method: `gptq`, `awq`, `bitsandbytes` …
        method: String,
        /// The names of the layouts that can be read.
        readable: String,
    },
    /// There is no layout of this name.
    #[error("no layout is called {name}; there are {known}")]
    UnknownLayout {
        /// The name that was asked for.
        name: String,
        /// The existing names.
        known: String,
    },
    /// A pattern does not compile.
    #[error("pattern `{pattern}`: {reason}")]
    Pattern {
        /// The pattern as it was written.
        pattern: String,
        /// The reason.
        reason: String,
    },
}

/// A tensor of a quantized linear whose dtype or shape is not that of its format.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error(
    "{}: tensor `{tensor}`: is {} {:?}, but {format} of {shape} has {} {:?} there", file.display(), have.0, have.1, want.0, want.1
)]
pub struct Mismatch {
    /// The file that holds the tensor.
    pub file: PathBuf,
    /// The tensor's name.
    pub tensor: String,
    /// The dtype and shape of the tensor.
    pub have: (Dtype, Vec<usize>),
    /// The dtype and shape that the format requires.
    pub want: (Dtype, Vec<usize>),
    /// The format.
    pub format: Format,
    /// The shape of the linear.
    pub shape: Shape,
}

impl Error {
    /// An operating-system error on `path` while trying to `action`.
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
