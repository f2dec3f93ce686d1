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
    /// Run a model over text and keep what the inputs of its layers were like, for `quantize --stats`.
    #[command(after_help = CALIBRATE_EXAMPLES)]
    Calibrate(CalibrateArgs),
    /// Run a model, quantized or not, over text: perplexity, and how far its predictions are from the original's.
    #[command(after_help = EVAL_EXAMPLES)]
    Eval(EvalArgs),
    /// Write one HTML page about a quantized model: every layer, the worst ones, where weights go, what other formats would do.
    Report(ReportArgs),
    /// List the formats, the layouts that carry them and the recipes behind them.
    Formats(FormatsArgs),
}

const QUANTIZE_EXAMPLES: &str = "Examples:
  lowbit quantize llama -o llama-nvfp4                               NVFP4 for vLLM (compressed-tensors)
  lowbit quantize llama -o llama-nvfp4 --layout modelopt             the same for TensorRT-LLM
  lowbit quantize llama -o out --format int4-g128 --scale-rule mse   INT4 groups, searched scales
  lowbit quantize llama -o out --format fp8-block --dry-run          print the plan, write nothing
  lowbit quantize llama -o out --method gptq --text book.txt         codes chosen by what the layers see
  lowbit quantize llama -o out --bits 4.8 --formats nvfp4,fp8-channel --method gptq --text book.txt
                                                                     formats chosen layer by layer
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

const CALIBRATE_EXAMPLES: &str = "Examples:
  lowbit calibrate llama --text book.txt -o llama-stats.safetensors              means and largest values of every input
  lowbit calibrate llama --text book.txt -o stats.safetensors --hessians         also how inputs go together, for GPTQ
  lowbit calibrate llama --text book.txt -o llama.imatrix                        as llama.cpp reads it
  lowbit quantize llama -o llama-nvfp4 --method gptq --stats stats.safetensors

`quantize --text` does both in one, and lets each layer see what the quantized layers before it give.";

const EVAL_EXAMPLES: &str = "Examples:
  lowbit eval llama-nvfp4 --text book.txt                          perplexity
  lowbit eval llama-nvfp4 --against llama --text book.txt          also KL divergence and top-1 agreement
  lowbit eval llama-w4a4 --text book.txt --activations configured  with activations rounded as the checkpoint says

The text is tokenized whole with the directory's tokenizer.json, without special tokens, and cut into
windows that do not overlap. Perplexity is over tokens 1 .. of each window.";

/// What `quantize --method` looks at and how hard it tries.
#[derive(Args, Debug)]
#[command(next_help_heading = "Calibration")]
pub(crate) struct CalibrationOptions {
    /// Plain text to run the model over (may be repeated): each layer sees what the quantized layers before it give.
    #[arg(long, value_name = "FILE")]
    pub(crate) text: Vec<PathBuf>,

    /// Mixed precision: bits for each weight, on average. Each layer gets one of --formats; needs --text.
    #[arg(long, value_name = "BITS", requires = "text", conflicts_with = "stats")]
    pub(crate) bits: Option<f64>,

    /// Mixed precision: what layers may be stored as; `bf16` leaves a layer as it is.
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        requires = "bits",
        default_value = "nvfp4,fp8-channel,bf16"
    )]
    pub(crate) formats: Vec<String>,

    /// Mixed precision: how much the model minds a layer, by the KL divergence that it alone causes, or by its output's relative error.
    #[arg(long, value_name = "HOW", requires = "bits", default_value = "probe")]
    pub(crate) sensitivity: SensitivityName,

    /// Statistics of an earlier `calibrate`, instead of text.
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    pub(crate) stats: Option<PathBuf>,

    /// Tokens of a window of the text.
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub(crate) window: usize,

    /// Windows to take from the start of the text. [default: 32, or as many as it fills]
    #[arg(long, value_name = "N")]
    pub(crate) windows: Option<usize>,

    /// Characters to leave out at the start of the text.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) skip_chars: usize,

    /// GPTQ: what is added to the diagonal of the Hessian, as a part of its mean.
    #[arg(long, value_name = "PART", default_value_t = 0.05)]
    pub(crate) damping: f64,

    /// GPTQ: passes of coordinate descent, at most; 0 for none.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) passes: usize,

    /// GPTQ: the order in which columns are quantized.
    #[arg(long, value_name = "ORDER", default_value = "activation")]
    pub(crate) order: OrderName,

    /// GPTQ: rounds of choosing the scales and codes of blocks together, after descent.
    #[arg(long, value_name = "N", default_value_t = 1, hide_short_help = true)]
    pub(crate) rescales: usize,

    /// GPTQ: how much of what earlier layers lost the weights make up for; 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    pub(crate) drift: f64,

    /// Every layer sees the inputs of the unquantized model.
    #[arg(long)]
    pub(crate) not_sequential: bool,
}

/// Values of `--method`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MethodName {
    /// Each weight is rounded by itself: no data needed.
    Rtn,
    /// Scales are searched; with text or statistics, errors count by how strong the input is that meets them.
    Sweep,
    /// Sweep, error feedback and coordinate descent; needs text or statistics with Hessians.
    Gptq,
    /// Sweep, after factors that a search finds have moved from the inputs into the weights; needs text.
    Awq,
    /// Rounding, after half of the outliers of the inputs (as powers) has moved into the weights; needs text.
    Smoothquant,
}

/// Values of `--sensitivity`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SensitivityName {
    /// The model is run once for each stage of each layer.
    Probe,
    /// One run.
    Output,
}

/// Values of `--order`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OrderName {
    /// As columns stand.
    Natural,
    /// Strongest inputs first; files do not show it.
    Activation,
    /// Strongest groups first; files do not show it.
    GroupAware,
    /// Strongest inputs first, and groups formed in that order: files store a g_idx, which slows engines down.
    ActivationGroups,
}

/// Text to run a model over.
#[derive(Args, Debug)]
pub(crate) struct TextOptions {
    /// Plain text; several files are read one after the other (may be repeated).
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) text: Vec<PathBuf>,

    /// Tokens of a window.
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub(crate) window: usize,

    /// Windows to take from the start of the text. [default: 32 to calibrate, 24 to evaluate]
    #[arg(long, value_name = "N")]
    pub(crate) windows: Option<usize>,

    /// Characters to leave out at the start of the text: a licence, a table of contents.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) skip_chars: usize,
}

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
    pub(crate) text: TextOptions,

    /// No progress, only the result.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

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
