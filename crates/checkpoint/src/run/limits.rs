//! Limits of the process that would stop a run halfway, checked before the first byte is written.

use crate::plan::Plan;
use crate::{Error, Result};

/// Refuses a plan with a file larger than this process may write. Beyond that limit the system
/// sends a signal that ends the process, rather than an error.
pub(super) fn check(plan: &Plan) -> Result<()> {
    let Some(limit) = file_size_limit() else { return Ok(()) };
    match plan.files.iter().find(|file| file.len() > limit) {
        Some(file) => Err(Error::Output {
            dir: plan.settings().out.clone(),
            reason: format!(
                "{} needs {} bytes, but this process may write files of {limit} bytes at most",
                file.name,
                file.len()
            ),
        }),
        None => Ok(()),
    }
}

/// The soft limit on file sizes in bytes, if the system reports one.
fn file_size_limit() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max file size"))?;
    line.split_whitespace().next()?.parse().ok()
}
