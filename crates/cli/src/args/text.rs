//! Text to run a model over.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Text to run a model over.
#[derive(Args, Debug)]
pub(crate) struct TextOptions {
    /// Plain text; several files are read one after the other (may be repeated).
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) text: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) windows: WindowOptions,
}

/// Text, or what stands in for it, to calibrate on.
#[derive(Args, Debug)]
pub(crate) struct CalibrationText {
    /// Plain text to run the model over (may be repeated).
    #[arg(long, value_name = "FILE", group = "seen")]
    pub(crate) text: Vec<PathBuf>,

    /// Instead of text: tokens that need no data.
    #[arg(long, value_name = "HOW", group = "seen")]
    pub(crate) synthetic: Option<Synthetic>,

    #[command(flatten)]
    pub(crate) windows: WindowOptions,
}

impl CalibrationText {
    /// Whether there is anything to run the model over.
    pub(crate) fn given(&self) -> bool {
        self.synthetic.is_some() || !self.text.is_empty()
    }
}

/// Values of `--synthetic`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Synthetic {
    /// Text that the model itself writes, token by token: good for every method, takes the memory of the whole model in f32.
    Written,
    /// Tokens by chance: enough for the sweep, which asks only how strong inputs are.
    Random,
}

/// The windows that text is cut into.
#[derive(Args, Debug)]
pub(crate) struct WindowOptions {
    /// Tokens of a window of the text.
    #[arg(long = "window", value_name = "N", default_value_t = 512)]
    pub(crate) size: usize,

    /// Windows to take from the start of the text. [default: 32 to calibrate, 24 to evaluate, or as many as it fills]
    #[arg(long = "windows", value_name = "N")]
    pub(crate) count: Option<usize>,

    /// Characters to leave out at the start of the text: a licence, a table of contents.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) skip_chars: usize,
}
