//! Progress reports of long jobs, and how a caller cancels one.

use serde::Serialize;

/// The phase of a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Phase {
    /// Scan for NaN and infinities before the plan is made.
    Scan,
    /// Calibration, layer by layer. Steps count bytes of weights, or layers.
    Calibrate,
    /// Reading whole tensors for their scales; writing quantized and copied tensors.
    Quantize,
    /// Comparison of two checkpoints.
    Compare,
    /// Verification of every tensor.
    Verify,
    /// Copying the other files, syncing and renaming.
    Finish,
}

/// One report of progress.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step<'a> {
    /// The current phase.
    pub phase: Phase,
    /// The tensor or file that was processed.
    pub name: &'a str,
    /// Source bytes done in this phase. A tensor that is read twice counts twice.
    pub done: u64,
    /// Source bytes in this phase.
    pub total: u64,
}

/// Receiver of progress. It is called from many threads at once, at most a few hundred times a
/// second.
///
/// `&()` ignores all reports.
pub trait Progress: Sync {
    /// Reports that more bytes are done.
    fn step(&self, step: Step<'_>) {
        let _ = step;
    }

    /// Whether to stop the job; asked before every row tile.
    fn cancelled(&self) -> bool {
        false
    }
}

impl Progress for () {}
