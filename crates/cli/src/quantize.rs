//! `lowbit quantize`: from options to a plan to a report.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, anyhow};
use lowbit_blocks::Format;
use lowbit_calib::ScaleRule;
use lowbit_checkpoint::{Job, OnNonFinite, PlanSummary, Report, layout};

use crate::args::{Activations, MethodName, OnNonfinite, QuantizeArgs};
use crate::calibrated;
use crate::output::{note, say, say_json, warn};
use crate::progress::Shown;
use crate::settings::{hint, settings};
use crate::table::{Align, table};
use crate::units::{size, time};

pub(crate) fn run(args: &QuantizeArgs) -> Result<()> {
    let job = job(args)?;
    let options = &args.output_options;
    if calibrated::calibrates(args)? && !options.dry_run {
        return calibrated::run(args, job);
    }
    let progress = Shown::new(options.quiet || options.json);
    let planned = job.plan_with(&progress);
    progress.finish();
    let plan = planned?;
    let summary = plan.summary();
    warn(&summary.warnings);
    if options.dry_run {
        return if options.json { say_json(&summary) } else { say(plan_text(&summary)) };
    }
    if !options.quiet && !options.json {
        note(&headline(&summary));
    }
    let written = plan.run(&progress);
    progress.finish();
    let report = written.map_err(|error| anyhow!("{error}; {}", hint(&options.output, &error)))?;
    if options.json { say_json(&report) } else { say(report_text(&options.output, &summary, &report)) }
}

/// The job that the options describe.
fn job(args: &QuantizeArgs) -> Result<Job> {
    let settings = settings(&args.source, &args.output_options)?;
    let mut job = Job::with(settings);
    job.format = Format::named(&args.format)
        .ok_or_else(|| anyhow!("no format is called `{}`; `lowbit formats` lists them", args.format))?;
    job.layout = layout::named(&args.layout)?;
    job.scale_rule = match &args.scale_rule {
        Some(rule) => Some(rule.parse::<ScaleRule>()?),
        None if matches!(args.method, MethodName::Rtn | MethodName::Smoothquant) => None,
        None => ScaleRule::searching(&job.format),
    };
    job.parity = args.parity;
    job.activations = args.activations.map(|how| match how {
        Activations::None => lowbit_calib::Activations::None,
        Activations::Dynamic => lowbit_calib::Activations::Dynamic,
        Activations::Static => lowbit_calib::Activations::Static,
    });
    job.on_nonfinite = match args.on_nonfinite {
        OnNonfinite::Error => OnNonFinite::Error,
        OnNonfinite::Keep => OnNonFinite::Keep,
    };
    job.include.clone_from(&args.include);
    job.exclude.clone_from(&args.exclude);
    Ok(job)
}

fn headline(plan: &PlanSummary) -> String {
    format!(
        "{} in {} ({}): {} linears of {} weights, {} other tensors",
        plan.format,
        plan.layout,
        plan.scheme,
        plan.linears,
        short(plan.weights),
        plan.copied
    )
}

pub(crate) fn plan_text(plan: &PlanSummary) -> String {
    let columns = [
        ("tensor", Align::Left),
        ("dtype", Align::Left),
        ("shape", Align::Left),
        ("bytes", Align::Right),
        ("file", Align::Left),
        ("from", Align::Left),
    ];
    let lines = plan.tensors.iter().map(|tensor| {
        let from = match &tensor.kept {
            Some(why) => format!("copied: {why}"),
            None => tensor.source.clone(),
        };
        let shape = format!("{:?}", tensor.shape);
        vec![
            tensor.name.clone(),
            tensor.dtype.clone(),
            shape,
            tensor.bytes.to_string(),
            tensor.file.clone(),
            from,
        ]
    });
    let mut text = headline(plan) + "\n" + &table(&columns, lines);
    let _ = writeln!(
        text,
        "{} of tensors become {}, {:.3} bits for each quantized weight. Also written: {}. Nothing was written now.",
        size(plan.source_bytes),
        size(plan.output_bytes),
        plan.bits_per_weight,
        plan.files.join(", ")
    );
    text
}

fn report_text(output: &Path, plan: &PlanSummary, report: &Report) -> String {
    let mut kept = BTreeMap::<&str, usize>::new();
    for why in plan.tensors.iter().filter_map(|tensor| tensor.kept.as_deref()) {
        *kept.entry(why).or_default() += 1;
    }
    let kept: Vec<String> = kept.iter().map(|(why, count)| format!("{count} {why}")).collect();
    let rate = report.source_bytes as f64 / report.seconds.max(1e-9);
    let resumed = match report.resumed_tiles {
        0 => String::new(),
        tiles => format!(" ({tiles} tiles were there already)"),
    };
    format!(
        "{}: {} of tensors became {} ({:.1} %)\n\
         quantized  {} linears, {} weights, {:.3} bits each\n\
         copied     {} tensors{}\n\
         took       {}, {}/s{resumed}\n\
         threads    {}\n",
        output.display(),
        size(report.source_bytes),
        size(report.output_bytes),
        100.0 * report.output_bytes as f64 / report.source_bytes.max(1) as f64,
        report.linears,
        short(report.weights),
        report.bits_per_weight,
        report.copied,
        if kept.is_empty() { String::new() } else { format!(": {}", kept.join(", ")) },
        time(Duration::from_secs_f64(report.seconds)),
        size(rate as u64),
        threads(report),
    )
}

/// `2, of their time reading 31 %, computing 40 %, writing 12 %, syncing 9 %`
pub(crate) fn threads(report: &Report) -> String {
    let Report { jobs, seconds, spent, .. } = report;
    let share = |part: f64| 100.0 * part / (seconds * *jobs as f64).max(1e-9);
    format!(
        "{jobs}, of {} time reading {:.0} %, computing {:.0} %, writing {:.0} %, syncing {:.0} %",
        if *jobs == 1 { "its" } else { "their" },
        share(spent.reading),
        share(spent.computing),
        share(spent.writing),
        share(spent.syncing),
    )
}

/// A count with three digits and a letter: 1.77M, 134M, 8.03B.
pub(crate) fn short(count: u64) -> String {
    let text = size(count);
    let (digits, unit) = text.split_once(' ').unwrap_or((&text, ""));
    let letter = match unit {
        "TB" => "T",
        "GB" => "B",
        "MB" => "M",
        "KB" => "k",
        _ => "",
    };
    format!("{digits}{letter}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_three_digits() {
        assert_eq!([short(999), short(1_769_472), short(8_030_261_248)], ["999", "1.77M", "8.03B"]);
    }
}
