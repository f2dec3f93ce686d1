//! What a run did.

use super::spent::Spent;
use crate::plan::{Plan, Totals};
use serde::Serialize;

/// The result of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Linears that were quantized.
    pub linears: usize,
    /// Tensors that were copied.
    pub copied: usize,
    /// Values in the linears.
    pub weights: u64,
    /// Bits for each quantized weight, everything counted that is stored for it.
    pub bits_per_weight: f64,
    /// Bytes of all source tensors.
    pub source_bytes: u64,
    /// Bytes of all output tensors.
    pub output_bytes: u64,
    /// Names of the safetensors files.
    pub files: Vec<String>,
    /// Seconds from start to finish, of this run alone.
    pub seconds: f64,
    /// Threads that worked at the same time.
    pub jobs: usize,
    /// Where their time went.
    pub spent: Spent,
    /// Tiles that an earlier, interrupted run had done.
    pub resumed_tiles: usize,
    /// What is odd without being an error.
    pub warnings: Vec<String>,
}

impl Report {
    pub(super) fn new(plan: &Plan, seconds: f64, spent: Spent, resumed_tiles: usize) -> Self {
        let Totals { linears, copied, weights, bits_per_weight, source_bytes, output_bytes } = plan.totals();
        Self {
            linears,
            copied,
            weights,
            bits_per_weight,
            source_bytes,
            output_bytes,
            files: plan.files().iter().map(|f| f.name.clone()).collect(),
            seconds,
            jobs: plan.job().jobs,
            spent,
            resumed_tiles,
            warnings: plan.warnings().to_vec(),
        }
    }
}
