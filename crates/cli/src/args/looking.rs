//! Options of the commands that read directories and write none.

use std::path::PathBuf;

use clap::Args;

/// Options of `lowbit inspect`.
#[derive(Args, Debug)]
pub(crate) struct InspectArgs {
    /// Model directory, quantized or not.
    pub(crate) dir: PathBuf,

    /// One tensor or layer: its dtype, shape, scheme and value statistics.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) tensor: Option<String>,

    /// List every tensor.
    #[arg(short, long)]
    pub(crate) all: bool,

    /// Print as JSON, for scripts.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `lowbit compare`.
#[derive(Args, Debug)]
pub(crate) struct CompareArgs {
    /// The reference, usually the unquantized model.
    pub(crate) original: PathBuf,

    /// What is judged against it.
    pub(crate) other: PathBuf,

    /// Show only the worst N tensors (0: all).
    #[arg(short = 'n', long, default_value_t = 20, value_name = "N")]
    pub(crate) top: usize,

    #[command(flatten)]
    pub(crate) looking: LookOptions,
}

/// Options of `lowbit verify`.
#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// Model directory, quantized or not, or one safetensors file.
    pub(crate) dir: PathBuf,

    /// The model that it was made from: compares names, shapes and what each layer lost.
    #[arg(long, value_name = "ORIGINAL")]
    pub(crate) against: Option<PathBuf>,

    /// List every finding, not the first few of each code.
    #[arg(short, long)]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) looking: LookOptions,
}

/// Options of `lowbit report`.
#[derive(Args, Debug)]
pub(crate) struct ReportArgs {
    /// Quantized model directory, in any layout that is read.
    pub(crate) dir: PathBuf,

    /// The model that it was made from.
    #[arg(long, value_name = "ORIGINAL")]
    pub(crate) against: PathBuf,

    /// Statistics of an earlier `calibrate`, to judge what layers give and not their weights alone.
    #[arg(long, value_name = "FILE")]
    pub(crate) stats: Option<PathBuf>,

    /// File to write. It is complete in itself and loads nothing.
    #[arg(short, long, default_value = "report.html", value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// No progress, only the result.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Options of `lowbit formats`.
#[derive(Args, Debug)]
pub(crate) struct FormatsArgs {
    /// Show the arithmetic behind each format: whose rule, scale, tensor scale, zero blocks, rounding.
    #[arg(long)]
    pub(crate) recipes: bool,

    /// Print as JSON, for scripts.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of the commands that read whole directories and write none.
#[derive(Args, Debug)]
pub(crate) struct LookOptions {
    /// Worker threads. [default: all cores]
    #[arg(short, long, value_name = "N")]
    pub(crate) jobs: Option<std::num::NonZeroUsize>,

    /// Print everything as JSON, for scripts.
    #[arg(long)]
    pub(crate) json: bool,

    /// No progress, only the result.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}
