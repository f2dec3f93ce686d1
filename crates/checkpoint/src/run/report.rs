//! The report of a run.

use super::spent::Spent;
use super::worker::Losses;
use crate::plan::{Conversion, Plan, Totals, Unit};
use lowbit_blocks::ErrorStats;
use serde::Serialize;
use std::collections::HashMap;

/// The result of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Number of linears that were quantized.
    pub linears: usize,
    /// Number of tensors that were copied.
    pub copied: usize,
    /// Number of values in the linears.
    pub weights: u64,
    /// Stored bits for each quantized weight, scales and all other parts included.
    pub bits_per_weight: f64,
    /// Bytes of all source tensors.
    pub source_bytes: u64,
    /// Bytes of all output tensors.
    pub output_bytes: u64,
    /// The conversion of each quantized linear of the source; empty if it had none.
    pub conversions: Vec<Conversion>,
    /// Names of the safetensors files.
    pub files: Vec<String>,
    /// Duration of this run in seconds.
    pub seconds: f64,
    /// Number of threads.
    pub jobs: usize,
    /// Time spent by the threads.
    pub spent: Spent,
    /// Number of tiles that an earlier, interrupted run had done.
    pub resumed_tiles: usize,
    /// Anomalies that are not errors.
    pub warnings: Vec<String>,
}

impl Report {
    pub(super) fn new(plan: &Plan, seconds: f64, spent: Spent, resumed_tiles: usize, losses: Losses) -> Self {
        let Totals { linears, copied, weights, bits_per_weight, source_bytes, output_bytes } = plan.totals();
        let mut conversions = plan.conversions();
        if !losses.is_empty() {
            lost(plan, losses, &mut conversions);
        }
        Self {
            conversions,
            linears,
            copied,
            weights,
            bits_per_weight,
            source_bytes,
            output_bytes,
            files: plan.files().iter().map(|f| f.name.clone()).collect(),
            seconds,
            jobs: plan.settings().jobs,
            spent,
            resumed_tiles,
            warnings: plan.warnings().to_vec(),
        }
    }
}

/// Fills in the SQNR of requantized linears. Tiles are merged in their order, so the figure does
/// not depend on threads. A linear that an earlier run did in part gets no figure.
fn lost(plan: &Plan, mut losses: Losses, conversions: &mut [Conversion]) {
    losses.sort_by_key(|(tile, ..)| *tile);
    let mut by_module: HashMap<&str, (ErrorStats, u64)> = HashMap::new();
    for (_, unit, stats, values) in &losses {
        let Unit::Quantized(q) = &plan.units[*unit] else { continue };
        let (sum, count) = by_module.entry(&q.linear.module).or_default();
        sum.merge(stats);
        *count += values;
    }
    let sizes = plan.units.iter().filter_map(|unit| match unit {
        Unit::Quantized(q) => Some((q.linear.module.as_str(), q.linear.shape.len().unwrap_or(0) as u64)),
        _ => None,
    });
    let sizes: HashMap<_, _> = sizes.collect();
    for conversion in conversions {
        let module = conversion.module.as_str();
        let whole = by_module.get(module).filter(|(_, count)| sizes.get(module) == Some(count));
        conversion.sqnr_db = whole.map(|(stats, _)| stats.report().sqnr_db);
    }
}
