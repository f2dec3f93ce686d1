//! Options of `quantize` for methods that choose codes from the inputs of layers.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::CalibrationText;

/// What `quantize --method` looks at and how hard it tries.
#[derive(Args, Debug)]
#[command(next_help_heading = "Calibration")]
pub(crate) struct CalibrationOptions {
    #[command(flatten)]
    pub(crate) text: CalibrationText,

    /// Mixed precision: bits for each weight, on average. Each layer gets one of --formats; needs --text or --synthetic.
    #[arg(long, value_name = "BITS", requires = "seen", conflicts_with = "stats")]
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
    #[arg(long, value_name = "FILE", conflicts_with = "seen")]
    pub(crate) stats: Option<PathBuf>,

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
