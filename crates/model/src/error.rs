//! Errors of opening and running a model: one line that names the setting, the tensor or the number.

use std::path::PathBuf;

/// A `Result` of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that opening and running a model can fail with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] lowbit_checkpoint::Error),
    /// `config.json` lacks a setting or gives it a value that makes no sense.
    #[error("{}: `{setting}` {reason}", file.display())]
    Config {
        /// The configuration file.
        file: PathBuf,
        /// The setting: `num_attention_heads` …
        setting: String,
        /// What is wrong with it, with its value.
        reason: String,
    },
    /// The model does something that this runtime does not.
    #[error("{}: {what} is not run; {can}", file.display())]
    Unsupported {
        /// The configuration file or the checkpoint.
        file: PathBuf,
        /// The model type, the kind of rope, the activation …
        what: String,
        /// What is run.
        can: String,
    },
    /// A tensor has another shape than the configuration asks for.
    #[error("tensor `{tensor}` is {have:?}, but the configuration asks for {want:?}")]
    Shape {
        /// The tensor's name.
        tensor: String,
        /// Rows and columns that it has.
        have: Vec<usize>,
        /// Rows and columns that it should have.
        want: Vec<usize>,
    },
    /// Tokens, windows or texts that no figure can be taken of.
    #[error("{0}")]
    Tokens(String),
    /// An activation that is not a finite number.
    #[error("{at}: value {index} of token {token} is {value}")]
    NonFinite {
        /// The projections or the head.
        at: String,
        /// Token, counted over all sequences.
        token: usize,
        /// Feature.
        index: usize,
        /// NaN, inf or -inf.
        value: f32,
    },
    /// Activations cannot be quantized in the way that is asked for.
    #[error("{linear}: {reason}")]
    Activations {
        /// The linear.
        linear: String,
        /// Why not.
        reason: String,
    },
    /// A hook changed a linear so that it does not fit any more.
    #[error("{linear}: {part} has {have} values, not {want}")]
    Linear {
        /// The linear.
        linear: String,
        /// Weight, bias or `pre_quant_scale`.
        part: &'static str,
        /// Values that it has.
        have: usize,
        /// Values that it should have.
        want: usize,
    },
    /// Recipes refuse.
    #[error(transparent)]
    Calib(#[from] lowbit_calib::Error),
    /// Quantized activations cannot be put together.
    #[error(transparent)]
    Blocks(#[from] lowbit_blocks::Error),
    /// The tokenizer cannot be read or cannot encode.
    #[error("{}: {reason}", file.display())]
    Tokenizer {
        /// `tokenizer.json`.
        file: PathBuf,
        /// What the tokenizer says.
        reason: String,
    },
    /// A hook gave up.
    #[error(transparent)]
    Hook(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// A hook's own error, for `map_err`.
    ///
    /// ```
    /// let error = lowbit_model::Error::hook("enough");
    /// assert_eq!(error.to_string(), "enough");
    /// ```
    pub fn hook(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Hook(error.into())
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
