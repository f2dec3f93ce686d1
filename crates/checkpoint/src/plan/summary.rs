//! The summary of a plan: as text, and as data for scripts.

use super::source::Strip;
use super::{OutputFile, Plan, Source, Unit, Way};
use crate::layout::Layout;
use crate::safetensors::Entry;
use lowbit_blocks::transcode::Exactness;
use lowbit_calib::Activations;
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;

/// A plan as data.
#[derive(Clone, Debug, Serialize)]
pub struct PlanSummary {
    /// Name of the format.
    pub format: String,
    /// Name of the layout.
    pub layout: &'static str,
    /// The producer's name for the format and activations.
    pub scheme: String,
    /// How engines quantize activations.
    pub activations: Activations,
    /// Number of linears that are quantized.
    pub linears: usize,
    /// Number of tensors that are copied.
    pub copied: usize,
    /// Number of values in the linears.
    pub weights: u64,
    /// Bytes of all source tensors.
    pub source_bytes: u64,
    /// Bytes of all output tensors.
    pub output_bytes: u64,
    /// Stored bits for each quantized weight, scales and all other parts included.
    pub bits_per_weight: f64,
    /// The conversion of each quantized linear of the source, in name order; empty if it has none.
    pub conversions: Vec<Conversion>,
    /// All output tensors, by file and position.
    pub tensors: Vec<PlannedTensor>,
    /// The other files: those that are copied, then those that are written.
    pub files: Vec<String>,
    /// Anomalies that are not errors.
    pub warnings: Vec<String>,
    /// The plan's digest, which ties a journal to it.
    pub digest: String,
}

/// One output tensor of a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedTensor {
    /// Its name.
    pub name: String,
    /// Its dtype in the file.
    pub dtype: String,
    /// Its shape in the file.
    pub shape: Vec<usize>,
    /// Name of its file.
    pub file: String,
    /// First byte in the file.
    pub begin: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// Name of the source tensor.
    pub source: String,
    /// The reason that it is copied; `None` if it is part of a quantized linear.
    pub kept: Option<String>,
}

/// The conversion of one quantized linear.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Conversion {
    /// Its module.
    pub module: String,
    /// Format in the source.
    pub from: String,
    /// Format, or type of unquantized weights, in the output.
    pub to: String,
    /// `exact`, `exact codes, …`, `requantized: …` with the reason, or `decoded`.
    pub how: String,
    /// Whether every value stays the same.
    pub exact: bool,
    /// SQNR of requantization, in dB; known after the run.
    pub sqnr_db: Option<f64>,
}

/// The totals of a plan, shared by its summary and its report.
pub(crate) struct Totals {
    pub(crate) linears: usize,
    pub(crate) copied: usize,
    pub(crate) weights: u64,
    pub(crate) bits_per_weight: f64,
    pub(crate) source_bytes: u64,
    pub(crate) output_bytes: u64,
}

impl Plan {
    pub(crate) fn totals(&self) -> Totals {
        let (mut linears, mut weights, mut stored) = (0, 0u64, 0u64);
        for unit in &self.units {
            let linear = match unit {
                Unit::Quantized(q) => &q.linear,
                Unit::Decoded(d) => &d.linear,
                Unit::Copied(_) | Unit::Constant(_) => continue,
            };
            linears += 1;
            weights += linear.shape.len().unwrap_or(0) as u64;
            stored += unit.output_len();
        }
        Totals {
            linears,
            copied: self.units.len() - linears,
            weights,
            bits_per_weight: 8.0 * stored as f64 / weights as f64,
            source_bytes: self.checkpoint.total_size(),
            output_bytes: self.files.iter().map(|f| f.data_len()).sum(),
        }
    }

    /// The conversion of each quantized linear of the source.
    pub(crate) fn conversions(&self) -> Vec<Conversion> {
        let format = |strips: &[Strip]| self.linears.stored[strips[0].linear].format.name();
        let of = |unit: &Unit| -> Option<Conversion> {
            let (linear, strips, to, how, exact) = match unit {
                Unit::Quantized(q) => match (&q.source, &q.way) {
                    (Source::Quantized(strips), Way::Transcode(way)) => {
                        let exactness = way.exactness();
                        let exact = exactness == Exactness::Exact;
                        (&q.linear, strips, q.format.name(), exactness.to_string(), exact)
                    }
                    (Source::Quantized(strips), Way::Quantize(_)) => {
                        let how =
                            q.why.as_ref().map_or("requantized".into(), |why| format!("requantized: {why}"));
                        (&q.linear, strips, q.format.name(), how, false)
                    }
                    (Source::Floats { .. }, _) => return None,
                },
                Unit::Decoded(d) => {
                    let to = format!("{:?}", d.linear.dtype).to_lowercase();
                    (&d.linear, &d.strips, to, "decoded".to_owned(), d.exact)
                }
                Unit::Copied(_) | Unit::Constant(_) => return None,
            };
            let from = format(strips);
            Some(Conversion { module: linear.module.clone(), from, to, how, exact, sqnr_db: None })
        };
        self.units.iter().filter_map(of).collect()
    }

    /// The plan as data.
    pub fn summary(&self) -> PlanSummary {
        let mut from: HashMap<&str, (&str, Option<&String>)> = HashMap::new();
        for unit in &self.units {
            match unit {
                Unit::Quantized(q) => {
                    from.extend(q.parts.iter().map(|(part, _)| (part.name.as_str(), (q.from(), None))));
                }
                Unit::Decoded(d) => _ = from.insert(&d.linear.weight, (&d.linear.module, None)),
                Unit::Constant(c) => _ = from.insert(&c.name, (&c.source, None)),
                Unit::Copied(c) => _ = from.insert(c.name.as_str(), (&c.tensor, Some(&c.why))),
            }
        }
        let planned = |file: &OutputFile, entry: &Entry| {
            let (source, kept) = from.get(entry.name.as_str())?;
            Some(PlannedTensor {
                name: entry.name.clone(),
                dtype: entry.dtype.to_string(),
                shape: entry.shape.clone(),
                file: file.name.clone(),
                begin: entry.begin,
                bytes: entry.len(),
                source: (*source).to_owned(),
                kept: kept.cloned(),
            })
        };
        let tensors = self
            .files
            .iter()
            .flat_map(|f| f.entries.iter().map(move |e| (f, e)))
            .filter_map(|(f, e)| planned(f, e));
        let others = self.others.iter().map(|path| path.display().to_string());
        let Totals { linears, copied, weights, bits_per_weight, source_bytes, output_bytes } = self.totals();
        PlanSummary {
            format: self.title.format.clone(),
            layout: self.title.layout.map_or("plain weights", Layout::name),
            scheme: self.title.scheme.clone(),
            activations: self.title.activations,
            conversions: self.conversions(),
            linears,
            copied,
            weights,
            source_bytes,
            output_bytes,
            bits_per_weight,
            tensors: tensors.collect(),
            files: others.chain(self.configs.iter().map(|(name, _)| name.clone())).collect(),
            warnings: self.warnings.clone(),
            digest: self.digest.clone(),
        }
    }
}

/// A line with the formats, one line for each output tensor in file order, and a line with the
/// totals.
impl fmt::Display for PlanSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { format, layout, scheme, linears, copied, .. } = self;
        writeln!(f, "{format} in {layout} ({scheme}): {linears} linears quantized, {copied} tensors copied")?;
        for t in &self.tensors {
            let kept = t.kept.as_ref().map_or(String::new(), |why| format!("  copied: {why}"));
            writeln!(
                f,
                "{} {:>14} {:>12} {} {} {:?}{kept}",
                t.file, t.begin, t.bytes, t.name, t.dtype, t.shape
            )?;
        }
        let (from, to, bits) = (self.source_bytes, self.output_bytes, self.bits_per_weight);
        writeln!(f, "{from} bytes of tensors become {to}, {bits:.3} bits for each quantized weight")
    }
}
