//! Output: text and JSON to standard output, errors and warnings to standard error.

use std::borrow::Cow;
use std::io::{self, Write};

use anyhow::{Context as _, Result};
use serde::Serialize;

/// Writes text to standard output.
pub(crate) fn say(text: impl AsRef<str>) -> Result<()> {
    write(&visible(text.as_ref(), true))
}

fn write(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.context("cannot write to standard output")
}

/// Escapes control characters, which could move the cursor, colour the screen or end the line:
/// names come from files and may hold any. Newlines are kept if `lines`.
fn visible(text: &str, lines: bool) -> Cow<'_, str> {
    let hidden = |c: char| c.is_control() && !(lines && c == '\n');
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let show = |c: char| if hidden(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(show).collect())
}

/// Writes a value as indented JSON and a newline to standard output.
pub(crate) fn say_json(value: &impl Serialize) -> Result<()> {
    write(&(serde_json::to_string_pretty(value)? + "\n"))
}

/// Writes one line to standard error. Errors of writing are ignored.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{}", visible(text, false));
}

/// Writes warnings, one line each.
pub(crate) fn warn<'a>(warnings: impl IntoIterator<Item = &'a String>) {
    for warning in warnings {
        note(&format!("lowbit: warning: {warning}"));
    }
}

/// Writes an error and its causes in one line. A cause that the error already mentions is not
/// repeated.
pub(crate) fn complain(error: &anyhow::Error) {
    let mut line = String::from("lowbit: error");
    for cause in error.chain().map(ToString::to_string) {
        if !line.ends_with(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    note(&line);
}

/// Whether an error is a write to a closed pipe.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        assert_eq!(visible("a\nb\u{1b}[31m", false), "a\\nb\\u{1b}[31m");
        assert_eq!(visible("two\nlines, né\r", true), "two\nlines, né\\r");
    }
}
