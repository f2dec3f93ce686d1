//! What can be typed after `lowbit`: every option, its default, and the help that teaches it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Low-bit numbers for neural networks, on any CPU, bit-exact and streaming.
///
/// lowbit quantizes a Hugging Face model directory into a checkpoint that vLLM, SGLang, TensorRT-LLM and transformers load. It needs no
/// GPU and no Python, and its memory does not grow with the model.
#[derive(Parser, Debug)]
#[command(
    name = "lowbit",
    version,
    max_term_width = 110,
    propagate_version = true,
    arg_required_else_help = true
)]
#[command(after_help = "Start here:\n  \
    lowbit quantize MODEL_DIR -o OUT_DIR --format nvfp4\n  \
    lowbit inspect OUT_DIR\n  \
    lowbit compare MODEL_DIR OUT_DIR\n  \
    lowbit verify OUT_DIR --against MODEL_DIR\n  \
    lowbit convert OUT_DIR -o OTHER_DIR --layout modelopt\n  \
    lowbit formats")]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the tool does.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Quantize the linear layers of a model directory into a new directory.
    #[command(after_help = QUANTIZE_EXAMPLES)]
    Quantize(Box<QuantizeArgs>),
    /// Bring a quantized model directory into another layout: the same numbers where it can say them.
    #[command(after_help = CONVERT_EXAMPLES)]
    Convert(ConvertArgs),
    /// Write the plain weights of a quantized model directory.
    Dequantize(DequantizeArgs),
    /// Show what is in a directory: scheme, dtypes, sizes, bits per weight.
    Inspect(InspectArgs),
    /// Compare the weights of two directories, quantized or not, worst tensor first.
    Compare(CompareArgs),
    /// Look for everything that is known to go wrong with a checkpoint; exit status 1 if anything is.
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(VerifyArgs),
    /// List the formats, the layouts that carry them and the recipes behind them.
    Formats(FormatsArgs),
}

const QUANTIZE_EXAMPLES: &str = "Examples:
  lowbit quantize llama -o llama-nvfp4                               NVFP4 for vLLM (compressed-tensors)
  lowbit quantize llama -o llama-nvfp4 --layout modelopt             the same for TensorRT-LLM
  lowbit quantize llama -o out --format int4-g128 --scale-rule mse   INT4 groups, searched scales
  lowbit quantize llama -o out --format fp8-block --dry-run          print the plan, write nothing
  lowbit quantize llama -o out --resume                              go on after an interruption

Patterns of --include and --exclude are globs over tensor names without `.weight`, such as
`model.layers.*.mlp.*`; with the prefix `re:` they are regular expressions anchored at the start.
Without --include, every linear layer is quantized but the output head, routers, embeddings,
vision towers and multi-token-prediction heads.";

const VERIFY_EXAMPLES: &str = "Examples:
  lowbit verify llama-nvfp4                       files, scales, configuration, values
  lowbit verify llama-nvfp4 --against llama       also layers that lost more than others
  lowbit verify llama-nvfp4 --json | jq .errors   for scripts

Each finding has a stable code (LB-S03), which docs/checkpoints.md explains.
Exit status: 0 if there is nothing but warnings, 1 if there are errors.";

const CONVERT_EXAMPLES: &str = "Examples:
  lowbit convert llama-gptq -o llama-ct --layout compressed-tensors     the same codes and scales for vLLM
  lowbit convert llama-modelopt -o out --layout compressed-tensors      NVFP4: the tensor scale becomes its reciprocal
  lowbit convert gpt-oss -o out --layout modelopt --format nvfp4        MXFP4 to NVFP4, exact while exponents allow
  lowbit convert llama-awq -o out --layout gptq --exact-only            stop unless every number stays what it is

The report has one line for each layer: exact; exact codes, tensor scale rounded; or requantized,
with the SQNR of what was lost.";

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

/// Values of `--activations`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activations {
    /// Weights only.
    None,
    /// Activations are quantized at run time, one scale a token (or block).
    Dynamic,
}

/// Values of `--on-nonfinite`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnNonfinite {
    /// Stop with the tensor's name and the index of the value.
    Error,
    /// Copy that tensor unquantized and say so.
    Keep,
}

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
