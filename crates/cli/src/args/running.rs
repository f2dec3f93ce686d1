//! Options of the commands that run a model over text and write no model.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{CalibrationText, TextOptions};

/// Options of `lowbit eval`.
#[derive(Args, Debug)]
pub(crate) struct EvalArgs {
    /// Model directory, quantized in any layout that is read, or not.
    pub(crate) dir: PathBuf,

    /// The model that it was made from: KL divergence and top-1 agreement.
    #[arg(long, value_name = "ORIGINAL")]
    pub(crate) against: Option<PathBuf>,

    /// Windows, from the first on, whose predictions are compared. [default: all]
    #[arg(long, value_name = "N", requires = "against")]
    pub(crate) compared: Option<usize>,

    /// What happens to activations on the way into quantized layers.
    #[arg(long, value_name = "HOW", default_value = "none")]
    pub(crate) activations: Simulated,

    #[command(flatten)]
    pub(crate) text: TextOptions,

    /// Print as JSON, for scripts.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Values of `eval --activations`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Simulated {
    /// They stay f32: the error of the weights alone.
    None,
    /// They are rounded as the checkpoint's configuration says.
    Configured,
    /// The same, with the scales of blocks chosen by four-over-six (NVFP4).
    FourOverSix,
}

/// Options of `lowbit calibrate`.
#[derive(Args, Debug)]
pub(crate) struct CalibrateArgs {
    /// Model directory.
    pub(crate) source: PathBuf,

    /// File to write: safetensors, or an importance matrix for llama.cpp if its name ends in .imatrix (legacy) or .gguf.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// Also keep sum x x^T of every input, which GPTQ needs: 4 bytes for each pair of features.
    #[arg(long)]
    pub(crate) hessians: bool,

    #[command(flatten)]
    pub(crate) text: CalibrationText,

    /// No progress, only the result.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}
