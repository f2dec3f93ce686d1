//! The settings of a quantization job: the source, the output, the format, and every option that
//! changes the output.

use super::Settings;
use crate::layout::{COMPRESSED_TENSORS, Layout};
use lowbit_blocks::{Format, NVFP4};
use lowbit_calib::{Activations, ScaleRule};
use std::path::PathBuf;

/// The treatment of a weight that holds NaN or an infinity.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnNonFinite {
    /// Fail with an error that names the value.
    #[default]
    Error,
    /// Keep the weight unquantized. All weights are then read once before the plan is made.
    Keep,
}

/// A quantization job, [`plan`](Self::plan)ned before anything is written.
///
/// Of the fields of `settings` only `max_shard_size` changes the output; every other field of the
/// job may.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Job {
    /// Source, output and resources.
    pub settings: Settings,
    /// Format of the linears.
    pub format: Format,
    /// File convention of the output.
    pub layout: &'static Layout,
    /// The scale rule of blocks; the default of the layout's producer if `None`.
    pub scale_rule: Option<ScaleRule>,
    /// Whether to reproduce the producer's bytes even where its arithmetic is less accurate than
    /// f32.
    pub parity: bool,
    /// How engines quantize activations; the layout's default for the format if `None`.
    pub activations: Option<Activations>,
    /// The treatment of weights that hold NaN or an infinity.
    pub on_nonfinite: OnNonFinite,
    /// Patterns ([`Pattern`](crate::Pattern)) of the linears to quantize; every linear if empty. A
    /// pattern that is one exact name also selects a tensor that the architecture table leaves out
    /// (`lm_head`).
    pub include: Vec<String>,
    /// Patterns of the linears to leave out; they take precedence over `include`.
    pub exclude: Vec<String>,
}

impl Job {
    /// A job for NVFP4 in the compressed-tensors layout, with all cores and files of at most 5 GB.
    pub fn new(source: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        Self::with(Settings::new(source, out))
    }

    /// A job for NVFP4 in the compressed-tensors layout, with these settings.
    pub fn with(settings: Settings) -> Self {
        Self {
            settings,
            format: NVFP4,
            layout: COMPRESSED_TENSORS,
            scale_rule: None,
            parity: false,
            activations: None,
            on_nonfinite: OnNonFinite::Error,
            include: Vec::new(),
            exclude: Vec::new(),
        }
    }
}
