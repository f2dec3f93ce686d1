//! Options of the commands that write a model directory.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{CalibrationOptions, MethodName};

/// Options of `lowbit quantize`.
#[derive(Args, Debug)]
pub(crate) struct QuantizeArgs {
    /// Model directory: config.json and safetensors, single or sharded.
    pub(crate) source: PathBuf,

    /// Number format, as listed by `lowbit formats`.
    #[arg(short, long, default_value = "nvfp4", value_name = "NAME")]
    pub(crate) format: String,

    /// File convention, as listed by `lowbit formats`.
    #[arg(short, long, default_value = "compressed-tensors", value_name = "NAME")]
    pub(crate) layout: String,

    /// How block scales are chosen: amax, mse, percentile:99.9, four-over-six, floor, ceil, even, rceil, full-range …
    /// [default: the rule of the layout's own tool]
    #[arg(long, value_name = "RULE")]
    pub(crate) scale_rule: Option<String>,

    /// How codes are chosen. `sweep` searches scales; `gptq` also feeds errors back and descends on the output's error; `awq` and `smoothquant` move factors
    /// of the inputs into the weights first.
    #[arg(short, long, default_value = "rtn", value_name = "METHOD")]
    pub(crate) method: MethodName,

    #[command(flatten)]
    pub(crate) calibration: CalibrationOptions,

    /// Reproduce the layout's own tool byte for byte, even where its arithmetic is less exact than f32.
    #[arg(long)]
    pub(crate) parity: bool,

    /// What the config tells engines to do with activations. [default: as the format's preset says]
    #[arg(long, value_name = "HOW")]
    pub(crate) activations: Option<Activations>,

    /// What to do with a tensor that holds NaN or infinity: stop, or leave it unquantized.
    #[arg(long, default_value = "error", value_name = "HOW")]
    pub(crate) on_nonfinite: OnNonfinite,

    /// Quantize only the layers that match (glob, or `re:` regular expression; may be repeated).
    #[arg(long, value_name = "PATTERN")]
    pub(crate) include: Vec<String>,

    /// Leave the layers that match unquantized (may be repeated; wins over --include).
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude: Vec<String>,

    #[command(flatten)]
    pub(crate) output_options: OutputOptions,
}

/// Values of `--activations`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activations {
    /// Weights only.
    None,
    /// Activations are quantized at run time, one scale a token (or block).
    Dynamic,
    /// Activations are quantized by a scale that calibration finds; needs --text or --stats.
    Static,
}

/// Values of `--on-nonfinite`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnNonfinite {
    /// Stop with the tensor's name and the index of the value.
    Error,
    /// Copy that tensor unquantized and say so.
    Keep,
}

/// Options of `lowbit convert`.
#[derive(Args, Debug)]
pub(crate) struct ConvertArgs {
    /// Quantized model directory, in any layout that is read.
    pub(crate) source: PathBuf,

    /// File convention of the output, as listed by `lowbit formats`.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) layout: String,

    /// Number format of the output. [default: each layer keeps its own]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) format: Option<String>,

    /// How block scales are chosen where a layer has to be requantized. [default: the rule of the layout's own tool]
    #[arg(long, value_name = "RULE")]
    pub(crate) scale_rule: Option<String>,

    /// Refuse what is not exact, and write nothing then.
    #[arg(long)]
    pub(crate) exact_only: bool,

    #[command(flatten)]
    pub(crate) output_options: OutputOptions,
}

/// Options of `lowbit dequantize`.
#[derive(Args, Debug)]
pub(crate) struct DequantizeArgs {
    /// Quantized model directory, in any layout that is read.
    pub(crate) source: PathBuf,

    /// Type of the weights that are written; tensors that are not quantized stay as they are.
    #[arg(short, long, default_value = "bf16", value_name = "TYPE")]
    pub(crate) dtype: PlainType,

    #[command(flatten)]
    pub(crate) output_options: OutputOptions,
}

/// Values of `--dtype`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlainType {
    /// The upper half of an f32: what most models are trained in.
    Bf16,
    /// IEEE half precision.
    F16,
    /// IEEE single precision: every value as it is decoded.
    F32,
}

/// Options of every command that writes a directory.
#[derive(Args, Debug)]
pub(crate) struct OutputOptions {
    /// Directory to write; must not exist or be empty, except with --resume.
    #[arg(short = 'o', long = "output", value_name = "DIR")]
    pub(crate) output: PathBuf,

    /// Worker threads; memory grows with them, output bytes do not depend on them. [default: all cores]
    #[arg(short, long, value_name = "N")]
    pub(crate) jobs: Option<std::num::NonZeroUsize>,

    /// Largest output file, in decimal units: 500MB, 5GB …
    #[arg(long, default_value = "5GB", value_name = "SIZE", value_parser = crate::units::parse_size)]
    pub(crate) max_shard_size: u64,

    /// Go on with an interrupted run in the output directory; the result is the same bytes.
    #[arg(long)]
    pub(crate) resume: bool,

    /// Print the plan and write nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print the result as JSON, for scripts.
    #[arg(long)]
    pub(crate) json: bool,

    /// No progress, only the result.
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Force a SIMD level by name (for measurements; the bytes are the same at each).
    #[arg(long, value_name = "LEVEL", hide_short_help = true)]
    pub(crate) kernels: Option<String>,
}
