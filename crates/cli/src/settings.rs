//! Settings that the commands with an output directory share, and advice after a failure.

use std::path::Path;

use anyhow::{Result, anyhow};
use lowbit_checkpoint::{Error, Settings};
use lowbit_kernels::Kernels;

use crate::args::OutputOptions;

/// The settings of a job that the options describe.
pub(crate) fn settings(source: &Path, options: &OutputOptions) -> Result<Settings> {
    let mut settings = Settings::new(source, &options.output);
    settings.max_shard_size = options.max_shard_size;
    settings.resume = options.resume;
    if let Some(jobs) = options.jobs {
        settings.jobs = jobs.get();
    }
    if let Some(name) = &options.kernels {
        settings.kernels = Kernels::named(name).ok_or_else(|| {
            let names: Vec<_> = Kernels::available().map(Kernels::name).collect();
            anyhow!("this machine has no kernel level `{name}`; it has {}", names.join(", "))
        })?;
    }
    Ok(settings)
}

/// Advice after a failure: whether the output directory can be resumed.
pub(crate) fn hint(output: &Path, error: &Error) -> String {
    let out = output.display();
    match (output.join(".lowbit-journal").exists(), error) {
        (false, _) => "nothing was written".into(),
        // The same command would stop at the same value, and another option would make another
        // plan.
        (true, Error::NonFinite { .. }) => format!("what is in {out} is of no further use"),
        (true, Error::Output { .. }) => format!("{out} stays as it was"),
        (true, _) => format!("the same command with --resume goes on in {out}"),
    }
}
