//! Limits of the process that a run would hit halfway: better said before the first byte.

use crate::plan::Plan;
use crate::{Error, Result};

/// Refuses a plan with a file larger than this process may write. Past that limit the system does not answer with an error but with a signal that
/// ends the process.
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

/// The soft limit on file sizes in bytes, where the system tells it.
fn file_size_limit() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max file size"))?;
    line.split_whitespace().next()?.parse().ok()
}
