//! The command line of `lowbit`: every option, its default and its help text.

mod calibration;
mod examples;
mod looking;
mod running;
mod text;
mod writing;

use clap::{Parser, Subcommand};

pub(crate) use calibration::{CalibrationOptions, MethodName, OrderName, SensitivityName};
pub(crate) use looking::{CompareArgs, FormatsArgs, InspectArgs, ReportArgs, VerifyArgs};
pub(crate) use running::{CalibrateArgs, EvalArgs, Simulated};
pub(crate) use text::{CalibrationText, Synthetic, TextOptions, WindowOptions};
pub(crate) use writing::{
    Activations, ConvertArgs, DequantizeArgs, OnNonfinite, OutputOptions, PlainType, QuantizeArgs,
};

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
    #[command(after_help = examples::QUANTIZE)]
    Quantize(Box<QuantizeArgs>),
    /// Bring a quantized model directory into another layout: the same numbers where it can say them.
    #[command(after_help = examples::CONVERT)]
    Convert(ConvertArgs),
    /// Write the plain weights of a quantized model directory.
    Dequantize(DequantizeArgs),
    /// Show what is in a directory: scheme, dtypes, sizes, bits per weight.
    Inspect(InspectArgs),
    /// Compare the weights of two directories, quantized or not, worst tensor first.
    Compare(CompareArgs),
    /// Look for everything that is known to go wrong with a checkpoint; exit status 1 if anything is.
    #[command(after_help = examples::VERIFY)]
    Verify(VerifyArgs),
    /// Run a model over text and keep what the inputs of its layers were like, for `quantize --stats`.
    #[command(after_help = examples::CALIBRATE)]
    Calibrate(CalibrateArgs),
    /// Run a model, quantized or not, over text: perplexity, and how far its predictions are from the original's.
    #[command(after_help = examples::EVAL)]
    Eval(EvalArgs),
    /// Write one HTML page about a quantized model: every layer, the worst ones, where weights go, what other formats would do.
    Report(ReportArgs),
    /// List the formats, the layouts that carry them and the recipes behind them.
    Formats(FormatsArgs),
}
