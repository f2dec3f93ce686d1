//! The plan: the name, dtype, shape, file and byte range of every output tensor, before a byte is
//! written.
//!
//! ```text
//! Job           open, select, recipe ──┐
//! ConvertJob    open, read, transcode ─┼─► units (a linear, a copied tensor, a number) ──► files (shards of at most max_shard_size) ──► Plan ── run ──► Report
//! DequantizeJob open, read ────────────┘
//! ```
//!
//! A plan is a pure function of the job, the source's headers, and the source's scales where a
//! conversion depends on them. [`OnNonFinite::Keep`] also reads all weights once. The
//! [`digest`](Plan::digest) covers everything that decides an output byte, and ties a journal to
//! its plan.

mod choices;
mod companions;
mod convert;
mod dequantize;
mod exact;
mod files;
mod job;
mod nonfinite;
mod other_files;
mod paths;
mod quantize;
mod recipes;
mod select;
mod settings;
mod source;
mod stacks;
mod summary;
mod units;

pub use choices::Choice;
pub use convert::ConvertJob;
pub use dequantize::DequantizeJob;
pub use files::OutputFile;
pub use job::{Job, OnNonFinite};
pub(crate) use select::has_head;
pub use select::natural;
pub use settings::Settings;
pub(crate) use source::{Linears, Source, Strip};
pub(crate) use summary::Totals;
pub use summary::{Conversion, PlanSummary, PlannedTensor};
pub(crate) use units::{Decoded, Placed, QuantizedUnit, Unit, Way};

use crate::layout::Layout;
use crate::{Checkpoint, Error, Result};
use lowbit_calib::Activations;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// A job worked out in full, to [`run`](Self::run) or to describe with [`summary`](Self::summary).
#[derive(Debug)]
pub struct Plan {
    pub(crate) settings: Settings,
    pub(crate) checkpoint: Checkpoint,
    /// The quantized linears of the source.
    pub(crate) linears: Linears,
    pub(crate) units: Vec<Unit>,
    pub(crate) files: Vec<OutputFile>,
    /// Configuration files to write, with `config.json` last.
    pub(crate) configs: Vec<(String, Vec<u8>)>,
    /// Other files to copy; paths are relative to the source.
    pub(crate) others: Vec<PathBuf>,
    title: Title,
    warnings: Vec<String>,
    digest: String,
}

/// Descriptions of the output, for summaries and reports.
#[derive(Clone, Debug)]
pub(crate) struct Title {
    /// Formats of the linears, or the type of unquantized weights.
    pub(crate) format: String,
    /// The output layout; `None` for unquantized weights.
    pub(crate) layout: Option<&'static Layout>,
    /// The producer's name for the format and activations.
    pub(crate) scheme: String,
    /// How engines quantize activations.
    pub(crate) activations: Activations,
}

/// A plan whose units have no files yet.
struct Draft {
    settings: Settings,
    checkpoint: Checkpoint,
    linears: Linears,
    units: Vec<Unit>,
    configs: Vec<(String, Vec<u8>)>,
    /// Files of the source that are not copied, because they describe its layout.
    dropped: Vec<&'static str>,
    /// The metadata entry of every file's header.
    metadata: (&'static str, &'static str),
    title: Title,
    warnings: Vec<String>,
}

impl Draft {
    /// Assigns the units to files and computes the digest.
    fn finish(self) -> Result<Plan> {
        let Self {
            settings,
            checkpoint,
            linears,
            mut units,
            configs,
            dropped,
            metadata,
            title,
            mut warnings,
        } = self;
        let files = files::assign(&settings, metadata, &mut units)?;
        let (mut others, skipped) = other_files::list(&checkpoint, &configs)?;
        others.retain(|path| !dropped.iter().any(|name| path.as_os_str() == *name));
        warnings.extend(skipped);
        let digest = String::new();
        let mut plan =
            Plan { settings, checkpoint, linears, units, files, configs, others, title, warnings, digest };
        plan.digest = plan.compute_digest()?;
        Ok(plan)
    }
}

impl Plan {
    /// Source, output and resources.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The source checkpoint.
    pub fn source(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The producer's name for the format and activations: `NVFP4A16`, `W4A16_AWQ` …
    pub fn scheme(&self) -> &str {
        &self.title.scheme
    }

    /// The output layout; `None` for unquantized weights.
    pub(crate) fn layout(&self) -> Option<&'static Layout> {
        self.title.layout
    }

    /// How engines quantize activations.
    pub fn activations(&self) -> Activations {
        self.title.activations
    }

    /// The safetensors files to write.
    pub fn files(&self) -> &[OutputFile] {
        &self.files
    }

    /// Anomalies that are not errors.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// SHA-256 digest, in hexadecimal, of everything that decides an output byte.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    fn compute_digest(&self) -> Result<String> {
        let mut hash = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        field(env!("CARGO_PKG_VERSION").as_bytes());
        for file in &self.files {
            field(file.name.as_bytes());
            field(&file.header);
        }
        for unit in &self.units {
            field(unit.source().as_bytes());
            match unit {
                Unit::Quantized(unit) => {
                    // A recipe consists of numbers and names, so its JSON always exists.
                    field(&serde_json::to_vec(&unit.recipe()).unwrap_or_default());
                    // The arrangement of rows and the transcoding of scales, in their debug form.
                    field(format!("{:?} {:?}", unit.source, unit.perm).as_bytes());
                    if let Way::Transcode(way) = &unit.way {
                        field(format!("{way:?}").as_bytes());
                    }
                }
                Unit::Decoded(unit) => field(format!("{:?} {:?}", unit.linear, unit.strips).as_bytes()),
                Unit::Constant(unit) => field(&unit.bytes),
                Unit::Copied(_) => {}
            }
        }
        for (name, bytes) in &self.configs {
            field(name.as_bytes());
            field(bytes);
        }
        for other in &self.others {
            field(other.as_os_str().as_encoded_bytes());
        }
        // The identity of the source: a resumed run must not continue with another model's weights.
        for file in self.checkpoint.files() {
            let about = std::fs::metadata(file.path()).map_err(|e| Error::io("stat", file.path(), e))?;
            let modified = about.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
            field(file.path().file_name().unwrap_or_default().as_encoded_bytes());
            field(&file.file_len().to_le_bytes());
            field(&modified.unwrap_or_default().as_nanos().to_le_bytes());
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// Checks the output directory again, when the job is about to run.
pub(crate) fn check_paths(settings: &Settings) -> Result<()> {
    paths::check(&settings.source, &settings.out, settings.resume)
}
