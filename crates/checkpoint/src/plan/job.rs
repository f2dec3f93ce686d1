//! What to do: the source, the output, the format, and everything that changes a byte of it.

use super::Settings;
use crate::layout::{COMPRESSED_TENSORS, Layout};
use lowbit_blocks::{Format, NVFP4};
use lowbit_calib::{Activations, ScaleRule};
use lowbit_kernels::Kernels;
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
/// Not every field changes the output: `jobs`, `kernels` and `resume` never do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Job {
    /// Directory of the unquantized checkpoint.
    pub source: PathBuf,
    /// Directory to write: absent or empty, unless `resume`.
    pub out: PathBuf,
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
    /// Worker threads.
    pub jobs: usize,
    /// Most tensor bytes in one file, unless a single linear needs more.
    pub max_shard_size: u64,
    /// Whether to go on with an interrupted run in `out`.
    pub resume: bool,
    /// SIMD level of the kernels.
    pub kernels: Kernels,
    /// Bytes read between two entries of the journal; only how much an interruption costs depends on it.
    #[doc(hidden)]
    pub journal_bytes: u64,
}

impl Job {
    /// NVFP4 in the layout of compressed-tensors, with all cores, files of at most 5 GB.
    pub fn new(source: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        Self::with(Settings::new(source, out))
    }

    /// NVFP4 in the layout of compressed-tensors, with these settings.
    pub fn with(settings: Settings) -> Self {
        let Settings { source, out, jobs, max_shard_size, resume, kernels, journal_bytes } = settings;
        Self {
            source,
            out,
            format: NVFP4,
            layout: COMPRESSED_TENSORS,
            scale_rule: None,
            parity: false,
            activations: None,
            on_nonfinite: OnNonFinite::Error,
            include: Vec::new(),
            exclude: Vec::new(),
            jobs,
            max_shard_size,
            resume,
            kernels,
            journal_bytes,
        }
    }

    /// What the job has in common with every other.
    pub(crate) fn settings(&self) -> Settings {
        let Self { source, out, jobs, max_shard_size, resume, kernels, journal_bytes, .. } = self.clone();
        Settings { source, out, jobs, max_shard_size, resume, kernels, journal_bytes }
    }
}
