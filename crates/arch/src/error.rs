//! What can be wrong with the settings of a model.

/// A `Result` of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of reading a description.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// A setting is missing or has a value that makes no sense.
    Setting {
        /// The setting: `num_attention_heads` …
        setting: String,
        /// What is wrong with it, with its value.
        reason: String,
    },
    /// The model computes something that its row does not describe.
    Unsupported {
        /// The model type, the kind of rope, the activation …
        what: String,
        /// What is described.
        can: String,
    },
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Setting { setting, reason } => write!(f, "`{setting}` {reason}"),
            Self::Unsupported { what, can } => write!(f, "{what} is not described; {can}"),
        }
    }
}

impl std::error::Error for Error {}
