//! Text to run a model over.

use std::path::PathBuf;

use clap::Args;

/// Text to run a model over.
#[derive(Args, Debug)]
pub(crate) struct TextOptions {
    /// Plain text; several files are read one after the other (may be repeated).
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) text: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) windows: WindowOptions,
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
