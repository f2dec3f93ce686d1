//! The plan: every output tensor's name, dtype, shape, file and byte range, before a byte is written.
//!
//! ```text
//! Job ── open, select, recipe ──► units (one linear or one copied tensor) ──► files (shards of at most max_shard_size) ──► Plan ── run ──► Report
//! ```
//!
//! A plan is a pure function of the source's headers and the job, except that [`OnNonFinite::Keep`] reads all weights once. Its
//! [`digest`](Plan::digest) covers everything that decides an output byte, and ties a journal to it.

mod files;
mod job;
mod other_files;
mod paths;
mod recipes;
mod select;
mod summary;
mod units;

pub use files::OutputFile;
pub use job::{Job, OnNonFinite};
pub(crate) use select::{has_head, natural, value_dtype};
pub(crate) use summary::Totals;
pub use summary::{PlanSummary, PlannedTensor};
pub(crate) use units::{Copied, Placed, QuantizedUnit, Unit};

use crate::layout::{self, Quantized, QuantizedModule, Scheme};
use crate::{CONFIG, Checkpoint, Error, Progress, Result};
use lowbit_blocks::{Block, Dtype, Format};
use lowbit_calib::Activations;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A job worked out in full; [`run`](Self::run) it, or look at its [`summary`](Self::summary).
#[derive(Debug)]
pub struct Plan {
    pub(crate) job: Job,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) activations: Activations,
    pub(crate) units: Vec<Unit>,
    pub(crate) files: Vec<OutputFile>,
    /// Configuration files to write, `config.json` last.
    pub(crate) configs: Vec<(String, Vec<u8>)>,
    /// Files to copy, relative to the source.
    pub(crate) others: Vec<PathBuf>,
    scheme: String,
    warnings: Vec<String>,
    digest: String,
}

impl Job {
    /// Works out the plan. Nothing is written.
    ///
    /// # Errors
    /// Whatever is wrong with the source, the output directory or the job: see [`Error`].
    pub fn plan(&self) -> Result<Plan> {
        self.plan_with(&())
    }

    /// As [`plan`](Self::plan), with progress of the scan that [`OnNonFinite::Keep`] needs.
    ///
    /// # Errors
    /// As [`plan`](Self::plan), or [`Error::Cancelled`].
    pub fn plan_with(&self, progress: &dyn Progress) -> Result<Plan> {
        let checkpoint = Checkpoint::open(&self.source)?;
        if let Some(reading) = layout::read(&checkpoint)? {
            let reason = format!("is quantized already ({})", reading.layout.name());
            return Err(Error::file(&self.source, reason));
        }
        paths::check(&self.source, &self.out, self.resume)?;
        let nonfinite = match self.on_nonfinite {
            OnNonFinite::Error => BTreeSet::new(),
            OnNonFinite::Keep => {
                let patterns = (&self.include[..], &self.exclude[..]);
                let selection = select::select(&checkpoint, self.layout, patterns, &BTreeSet::new())?;
                let names = selection.picked.into_iter().map(|picked| picked.tensor).collect();
                crate::run::find_nonfinite(&checkpoint, &names, self, progress)?
            }
        };
        self.plan_without(checkpoint, &nonfinite)
    }

    /// The plan that leaves the tensors in `nonfinite` as they are.
    fn plan_without(&self, checkpoint: Checkpoint, nonfinite: &BTreeSet<String>) -> Result<Plan> {
        let config = checkpoint.config();
        let mut config =
            config.cloned().ok_or_else(|| Error::file(&self.source, format!("there is no {CONFIG}")))?;
        let carried = layout::carry(self.layout, &self.format, self.activations)?;
        let patterns = (&self.include[..], &self.exclude[..]);
        let selection = select::select(&checkpoint, self.layout, patterns, nonfinite)?;
        let mut warnings = [checkpoint.warnings(), &selection.warnings].concat();
        warnings.extend(
            nonfinite.iter().map(|name| format!("{name} holds NaN or infinity and stays unquantized")),
        );
        if selection.picked.iter().any(|p| p.linear.module.rsplit('.').next() == Some("lm_head")) {
            // A loader that ties would overwrite the quantized head with the embedding; many do where nothing is said.
            config.insert("tie_word_embeddings".into(), false.into());
            let text = config.get_mut("text_config").and_then(Value::as_object_mut);
            if let Some(tie) = text.and_then(|text| text.get_mut("tie_word_embeddings")) {
                *tie = false.into();
            }
        }
        warnings.extend(short_tiles(&self.format, &selection));
        let recipes = recipes::recipes(self)?;
        let mut units = units::units(&checkpoint, self, carried.activations, &recipes, &selection)?;
        let files = files::assign(self, &mut units)?;
        let dtype = selection.picked.first().map_or(Dtype::Bf16, |p| p.linear.dtype);
        let scheme =
            Scheme { format: self.layout.stores(&self.format, dtype), activations: carried.activations };
        let module = |p: &select::Picked| QuantizedModule {
            name: p.linear.module.clone(),
            scheme,
            permuted: false,
            smoothed: false,
        };
        let mut modules: Vec<_> = selection.picked.iter().map(module).collect();
        modules.sort_by(|a, b| a.name.cmp(&b.name));
        let quantized = Quantized {
            modules: &modules,
            kept: &selection.kept,
            embeddings: &selection.embeddings,
            cache: false,
            dtype,
            source: None,
        };
        let configs = self.layout.configure(&quantized, &config);
        let (others, skipped) = other_files::list(&checkpoint, &configs)?;
        warnings.extend(skipped);
        let mut plan = Plan {
            job: self.clone(),
            checkpoint,
            activations: carried.activations,
            units,
            files,
            configs,
            others,
            scheme: carried.scheme,
            warnings,
            digest: String::new(),
        };
        plan.digest = plan.compute_digest()?;
        Ok(plan)
    }
}

impl Plan {
    /// The job that this is the plan of.
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// The source.
    pub fn source(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The producer's name for format and activations: `NVFP4A16`, `W4A16_AWQ` …
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// What engines are told to do with activations.
    pub fn activations(&self) -> Activations {
        self.activations
    }

    /// The safetensors files to write.
    pub fn files(&self) -> &[OutputFile] {
        &self.files
    }

    /// What is odd without being an error.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// SHA-256, in hexadecimal, of everything that decides an output byte.
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
            if let Unit::Quantized(unit) = unit {
                // A recipe is numbers and names: its JSON always exists.
                field(&serde_json::to_vec(&unit.recipe).unwrap_or_default());
                field(&unit.first.to_le_bytes());
            }
        }
        for (name, bytes) in &self.configs {
            field(name.as_bytes());
            field(bytes);
        }
        for other in &self.others {
            field(other.as_os_str().as_encoded_bytes());
        }
        // The source's identity: a run must not go on with another model's second half.
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

/// Says which linears end within a tile: their bytes are the producers', but engines whose kernels want whole tiles refuse them.
fn short_tiles(format: &Format, selection: &select::Selection) -> Option<String> {
    let Block::Tile { rows, cols } = format.block else { return None };
    let short = selection.picked.iter().map(|p| &p.linear);
    let short: Vec<_> = short.filter(|l| l.shape.rows % rows != 0 || l.shape.cols % cols != 0).collect();
    let (first, count) = (short.first()?, short.len());
    Some(format!(
        "{count} linears do not divide into tiles of {rows} x {cols}, {} ({}) first: some engines refuse them",
        first.module, first.shape
    ))
}

/// Whether the output directory can take the job, now that it is about to run.
pub(crate) fn check_paths(job: &Job) -> Result<()> {
    paths::check(&job.source, &job.out, job.resume)
}
