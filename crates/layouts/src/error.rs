//! What can go wrong with quantized linears in files: one line that names the file, the tensor and the number.

use lowbit_blocks::{Format, Shape};
use lowbit_container::safetensors::Dtype;
use std::io;
use std::path::{Path, PathBuf};

/// A `Result` of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that finding, reading and describing quantized linears can fail with; each prints as one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read, or is not what it should be.
    #[error(transparent)]
    Container(#[from] lowbit_container::Error),
    /// A tensor of a quantized linear has another type or shape than its format asks for.
    #[error(transparent)]
    Mismatch(Box<Mismatch>),
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
    /// There is no layout of this name.
    #[error("no layout is called {name}; there are {known}")]
    UnknownLayout {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// A pattern does not compile.
    #[error("pattern `{pattern}`: {reason}")]
    Pattern {
        /// The pattern as it was written.
        pattern: String,
        /// Why not.
        reason: String,
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
