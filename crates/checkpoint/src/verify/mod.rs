//! Verification of a checkpoint: files, tensors, scales, configuration, and the model as a whole.
//!
//! No fault stops the verification. Files are opened as far as possible, layers are read as far as
//! they fit, and every remaining byte is read once, in tiles, so memory does not grow with the
//! model. Each finding has a row in [`CHECKS`].
//!
//! | file | looks at |
//! |---|---|
//! | `files` | index and shards |
//! | `layers` | tensors of quantized layers, as the layout reads them |
//! | `config`, `ignore` | the configuration against the tensors |
//! | `contradictions` | what tensors say against the configuration: zero points and orders of GPTQ and AWQ |
//! | `scan`: `linear`, `floats`, `verdicts` | values |
//! | `fused`, `experts`, `head` | the model as a whole |
//! | `against` | the original |

mod against;
mod checks;
mod config;
mod contradictions;
mod counts;
mod experts;
mod files;
mod finding;
mod floats;
mod fused;
mod head;
mod ignore;
mod layers;
mod linear;
mod names;
mod scan;
mod verdicts;

pub use checks::{CHECKS, Check, Severity};
pub use finding::Finding;

use crate::Result;
use crate::progress::Progress;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Options of [`verify`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// Number of worker threads.
    pub jobs: usize,
    /// The checkpoint that this one was made from.
    pub against: Option<PathBuf>,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { jobs: std::thread::available_parallelism().map_or(1, usize::from), against: None }
    }
}

/// The result of a verification.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// The directory or file.
    pub path: PathBuf,
    /// Name of the layout, if the checkpoint is quantized in a supported one.
    pub layout: Option<&'static str>,
    /// Number of quantized linears that could be read.
    pub linears: usize,
    /// Number of tensors in all files.
    pub tensors: usize,
    /// Total bytes of those tensors.
    pub bytes: u64,
    /// Number of findings that are errors.
    pub errors: usize,
    /// Number of findings that are warnings.
    pub warnings: usize,
    /// The findings, by code, then in name order.
    pub findings: Vec<Finding>,
}

/// Runs all [`CHECKS`] on a checkpoint.
///
/// # Errors
/// Only what prevents the verification: [`Error::Io`](lowbit_container::Error::Io), or cancellation
/// by `progress`.
pub fn verify(path: &Path, options: &VerifyOptions, progress: &dyn Progress) -> Result<Verification> {
    let mut findings = Vec::new();
    let checkpoint = files::open(path, &mut findings)?;
    let side = config::side(&checkpoint, &mut findings);
    let told = contradictions::check(&checkpoint, &mut findings)?;
    let layers = layers::read(&checkpoint, told, &mut findings)?;
    config::check(&checkpoint, side.as_ref(), &layers, &mut findings);
    ignore::check(&checkpoint, &layers, &mut findings);
    fused::check(&checkpoint, &layers, &mut findings)?;
    experts::check(&checkpoint, &mut findings);
    head::check(&checkpoint, &mut findings)?;
    scan::scan(&checkpoint, &layers, options.jobs, progress, &mut findings)?;
    let layout = layers.layout.map(|layout| layout.name());
    let (linears, tensors, bytes) =
        (layers.linears.len(), checkpoint.tensors().len(), checkpoint.total_size());
    if let Some(original) = &options.against {
        against::check(checkpoint, layers, original, options.jobs, progress, &mut findings)?;
    }
    findings.sort_by(|a, b| (a.code, &a.file, &a.tensor).cmp(&(b.code, &b.file, &b.tensor)));
    let errors = findings.iter().filter(|f| f.severity == Severity::Error).count();
    Ok(Verification {
        path: path.to_owned(),
        layout,
        linears,
        tensors,
        bytes,
        errors,
        warnings: findings.len() - errors,
        findings,
    })
}
