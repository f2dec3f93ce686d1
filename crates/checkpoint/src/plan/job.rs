//! What to do: the source, the output, the format, and everything that changes a byte of it.

use super::Settings;
use crate::layout::{COMPRESSED_TENSORS, Layout};
use lowbit_blocks::{Format, NVFP4};
use lowbit_calib::{Activations, ScaleRule};
use std::path::PathBuf;

/// A tensor with NaN or infinity in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnNonFinite {
    /// Is an error that names the value.
    #[default]
    Error,
    /// Stays unquantized. All weights are then read once before the plan is made, because the plan depends on it.
    Keep,
}

/// A quantization job, [`plan`](Self::plan)ned before anything is written.
///
/// Of its settings only `max_shard_size` changes the output; every other field may.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Job {
    /// Source, output, threads: what every job has.
    pub settings: Settings,
    /// Format of the linears.
    pub format: Format,
    /// File convention of the output.
    pub layout: &'static Layout,
    /// How block scales are chosen; the layout's producer decides if `None`.
    pub scale_rule: Option<ScaleRule>,
    /// Whether to reproduce the producer's bytes even where its arithmetic is worse than f32.
    pub parity: bool,
    /// What engines shall do with activations; the layout's default for the format if `None`.
    pub activations: Option<Activations>,
    /// What to do with weights that hold NaN or infinity.
    pub on_nonfinite: OnNonFinite,
    /// Patterns ([`Pattern`](crate::Pattern)) of what to quantize; everything linear if empty. A pattern that is one exact name also takes what the
    /// architecture table leaves out (`lm_head`).
    pub include: Vec<String>,
    /// Patterns of what to leave out; stronger than `include`.
    pub exclude: Vec<String>,
}

impl Job {
    /// NVFP4 in the layout of compressed-tensors, with all cores, files of at most 5 GB.
    pub fn new(source: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        Self::with(Settings::new(source, out))
    }

    /// NVFP4 in the layout of compressed-tensors, with these settings.
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
