//! `lowbit verify`: reports the faults of a checkpoint, with explanations and fixes.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use lowbit_checkpoint::verify::{Finding, Verification, VerifyOptions};

use crate::args::VerifyArgs;
use crate::output::{say, say_json};
use crate::progress::Shown;
use crate::units::size;

/// Number of findings of one code that are listed without `--all`.
const LISTED: usize = 5;

/// Verifies a checkpoint and prints the findings. The result is whether none is an error.
pub(crate) fn run(args: &VerifyArgs) -> Result<bool> {
    let mut options = VerifyOptions::default();
    options.against.clone_from(&args.against);
    if let Some(jobs) = args.looking.jobs {
        options.jobs = jobs.get();
    }
    let progress = Shown::new(args.looking.quiet || args.looking.json);
    let verified = lowbit_checkpoint::verify(&args.dir, &options, &progress);
    progress.finish();
    let verification = verified.context("cannot verify")?;
    if args.looking.json {
        say_json(&verification)?;
    } else {
        say(text(&verification, args.all))?;
    }
    Ok(verification.errors == 0)
}

fn text(found: &Verification, all: bool) -> String {
    let mut text = String::new();
    for findings in found.findings.chunk_by(|a, b| a.code == b.code) {
        text += &of_one_code(findings, all);
    }
    let Verification { path, linears, tensors, bytes, errors, warnings, .. } = found;
    let looked = format!("{tensors} tensors, {linears} quantized linears, {}", size(*bytes));
    let _ = match (errors, warnings) {
        (0, 0) => writeln!(text, "{}: nothing wrong ({looked}).", path.display()),
        _ => writeln!(
            text,
            "{}: {}, {} ({looked}).",
            path.display(),
            counted(*errors, "error"),
            counted(*warnings, "warning")
        ),
    };
    text
}

/// The check, its tensors, its explanation and its fix.
fn of_one_code(findings: &[Finding], all: bool) -> String {
    let mut text = String::new();
    let Some(first) = findings.first() else { return text };
    let _ = writeln!(text, "{} {} {}: {}", first.severity.name(), first.code, first.name, first.explanation);
    let listed = if all { findings.len() } else { LISTED.min(findings.len()) };
    for Finding { file, tensor, detail, .. } in &findings[..listed] {
        let place: Vec<&str> = [file, tensor].into_iter().flatten().map(String::as_str).collect();
        let place = if place.is_empty() { String::new() } else { place.join(": ") + ": " };
        let _ = writeln!(text, "  {place}{detail}");
    }
    if listed < findings.len() {
        let _ = writeln!(text, "  {} more; --all lists them", findings.len() - listed);
    }
    let _ = writeln!(text, "  fix: {}\n", first.fix);
    text
}

/// `1 error`, `2 errors`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
