//! What a long job tells its caller while it runs, and how the caller stops it.

use serde::Serialize;

/// What a job is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Phase {
    /// Looking for NaN and infinities before the plan is made.
    Scan,
    /// Running a model layer by layer, and choosing codes by what its layers see; steps count bytes of weights, or layers.
    Calibrate,
    /// Looking at whole tensors for scales, and writing quantized and copied tensors.
    Quantize,
    /// Comparing two checkpoints.
    Compare,
    /// Looking at every tensor for what is wrong.
    Verify,
    /// Copying the other files, syncing, renaming.
    Finish,
}

/// One report of progress.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step<'a> {
    /// What is being done.
    pub phase: Phase,
    /// The tensor or file it was done to.
    pub name: &'a str,
    /// Source bytes done in this phase. A tensor that has to be read twice counts twice.
    pub done: u64,
    /// Source bytes of this phase.
    pub total: u64,
}

/// Receives progress; called from many threads at once, a few hundred times a second at most.
///
/// `&()` ignores everything.
pub trait Progress: Sync {
    /// Some bytes more are done.
    fn step(&self, step: Step<'_>) {
        let _ = step;
    }

    /// Whether the caller wants the job to stop; asked before every tile.
    fn cancelled(&self) -> bool {
        false
    }
}

impl Progress for () {}
