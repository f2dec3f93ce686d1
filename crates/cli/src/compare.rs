//! `lowbit compare`: compares two directories tensor by tensor, worst first.

use std::fmt::Write as _;

use anyhow::Result;
use lowbit_blocks::ErrorReport;
use lowbit_checkpoint::{CompareOptions, ComparedTensor, Comparison, compare};

use crate::args::CompareArgs;
use crate::output::{say, say_json};
use crate::progress::Shown;
use crate::table::{Align, table};

pub(crate) fn run(args: &CompareArgs) -> Result<()> {
    let mut options = CompareOptions::default();
    if let Some(jobs) = args.looking.jobs {
        options.jobs = jobs.get();
    }
    let progress = Shown::new(args.looking.quiet || args.looking.json);
    let compared = compare(&args.original, &args.other, &options, &progress);
    progress.finish();
    let comparison = compared?;
    if args.looking.json { say_json(&comparison) } else { say(text(&comparison, args.top)) }
}

fn text(comparison: &Comparison, top: usize) -> String {
    let same = |row: &&ComparedTensor| row.figures.max_error == 0.0 && !row.figures.sqnr_db.is_nan();
    let differ: Vec<&ComparedTensor> = comparison.rows.iter().filter(|row| !same(row)).collect();
    let shown = if top == 0 { differ.len() } else { top.min(differ.len()) };
    let columns = [
        ("tensor", Align::Left),
        ("first", Align::Left),
        ("second", Align::Left),
        ("SQNR dB", Align::Right),
        ("max error", Align::Right),
        ("MSE", Align::Right),
        ("cosine", Align::Right),
    ];
    let figures = |name: &str, first: &str, second: &str, figures: &ErrorReport| {
        vec![
            name.to_owned(),
            first.to_owned(),
            second.to_owned(),
            decibels(figures.sqnr_db),
            format!("{:.3e}", figures.max_error),
            format!("{:.3e}", figures.mse),
            format!("{:.6}", figures.cosine),
        ]
    };
    let lines = differ[..shown].iter().map(|row| figures(&row.name, &row.first, &row.second, &row.figures));
    let total = figures("all weights", "", "", &comparison.total);
    let mut text = table(&columns, lines.chain([total]));
    if shown < differ.len() {
        let _ = writeln!(text, "{} more differ less; --top 0 shows all.", differ.len() - shown);
    }
    let _ = writeln!(
        text,
        "{} tensors differ, {} are equal.",
        differ.len(),
        comparison.rows.len() - differ.len()
    );
    for (which, names) in [("first", &comparison.only_first), ("second", &comparison.only_second)] {
        if let Some(name) = names.first() {
            let _ = writeln!(text, "Only the {which} has {} tensors, `{name}` first.", names.len());
        }
    }
    text
}

/// An SQNR in dB as text; `equal` if it is infinite.
fn decibels(sqnr: f64) -> String {
    if sqnr == f64::INFINITY { "equal".into() } else { format!("{sqnr:.2}") }
}
