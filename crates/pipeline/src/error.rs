//! Errors of calibration and quantization: one line that names the linear, the file or the number.

use std::path::PathBuf;

/// A `Result` of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of calibration and of calibrated quantization.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The checkpoint cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] lowbit_checkpoint::Error),
    /// The model cannot be opened or run.
    #[error(transparent)]
    Model(lowbit_model::Error),
    /// A solver or a recipe refuses its inputs.
    #[error(transparent)]
    Calib(#[from] lowbit_calib::Error),
    /// A linear cannot be quantized in the way that is asked for.
    #[error("{linear}: {reason}")]
    Method {
        /// The linear.
        linear: String,
        /// Why not.
        reason: String,
    },
    /// A file of statistics does not fit the model or the method.
    #[error("{}: {reason}", file.display())]
    Statistics {
        /// The file.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The finished layers of a job cannot be used.
    #[error("{}: {reason}", dir.display())]
    Sheets {
        /// Their directory, or one of them.
        dir: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The run was interrupted between two linears of a layer.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// The error of a linear that cannot be quantized in the way that is asked for.
    pub(crate) fn method(linear: &str, reason: impl std::fmt::Display) -> Self {
        Self::Method { linear: linear.to_owned(), reason: reason.to_string() }
    }
}

impl From<lowbit_model::Error> for Error {
    /// Hooks of this crate pass their errors through the model; they come out as they were.
    fn from(error: lowbit_model::Error) -> Self {
        match error {
            lowbit_model::Error::Checkpoint(error) => Self::Checkpoint(error),
            lowbit_model::Error::Calib(error) => Self::Calib(error),
            lowbit_model::Error::Hook(error) => match error.downcast::<Self>() {
                Ok(own) => *own,
                Err(other) => Self::Model(lowbit_model::Error::Hook(other)),
            },
            other => Self::Model(other),
        }
    }
}

impl From<Error> for lowbit_model::Error {
    fn from(error: Error) -> Self {
        Self::hook(error)
    }
}

impl From<lowbit_checkpoint::container::Error> for Error {
    fn from(error: lowbit_checkpoint::container::Error) -> Self {
        Self::Checkpoint(error.into())
    }
}

impl From<lowbit_checkpoint::layout::Error> for Error {
    fn from(error: lowbit_checkpoint::layout::Error) -> Self {
        Self::Checkpoint(error.into())
    }
}
