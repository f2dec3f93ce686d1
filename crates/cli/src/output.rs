//! Where answers go: text and JSON to standard output, complaints and warnings to standard error.

use std::io::{self, Write};

use anyhow::Result;
use serde::Serialize;

/// Writes text to standard output.
pub(crate) fn say(text: impl AsRef<str>) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_ref().as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Writes a value as indented JSON and a newline to standard output.
pub(crate) fn say_json(value: &impl Serialize) -> Result<()> {
    say(serde_json::to_string_pretty(value)? + "\n")
}

/// One line to standard error; a closed standard error is nobody's problem.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Warnings, one line each.
pub(crate) fn warn<'a>(warnings: impl IntoIterator<Item = &'a String>) {
    for warning in warnings {
        note(&format!("lowbit: warning: {warning}"));
    }
}

/// The error and what caused it, in one line.
pub(crate) fn complain(error: &anyhow::Error) {
    note(&format!("lowbit: error: {error:#}"));
}

/// Whether the other end of a pipe was closed.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
