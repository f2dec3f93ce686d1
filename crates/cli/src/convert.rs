//! `lowbit convert` and `lowbit dequantize`: write quantized checkpoints in another layout, or
//! unquantized.

use std::time::Duration;

use anyhow::{Result, anyhow};
use lowbit_blocks::{Dtype, Format};
use lowbit_calib::ScaleRule;
use lowbit_checkpoint::{Conversion, ConvertJob, DequantizeJob, Plan, PlanSummary, Report, layout};

use crate::args::{ConvertArgs, DequantizeArgs, OutputOptions, PlainType};
use crate::output::{note, say, say_json, warn};
use crate::progress::Shown;
use crate::quantize::{plan_text, short, threads};
use crate::settings::{hint, settings};
use crate::table::{Align, table};
use crate::units::{size, time};

pub(crate) fn convert(args: &ConvertArgs) -> Result<()> {
    let mut job = ConvertJob::new(&args.source, &args.output_options.output, layout::named(&args.layout)?);
    job.settings = settings(&args.source, &args.output_options)?;
    let named = |name: &str| {
        let format = Format::named(name);
        format.ok_or_else(|| anyhow!("no format is called `{name}`; `lowbit formats` lists them"))
    };
    job.format = args.format.as_deref().map(named).transpose()?;
    job.scale_rule = args.scale_rule.as_deref().map(str::parse::<ScaleRule>).transpose()?;
    job.exact_only = args.exact_only;
    write(&job.plan()?, &args.output_options)
}

pub(crate) fn dequantize(args: &DequantizeArgs) -> Result<()> {
    let dtype = match args.dtype {
        PlainType::Bf16 => Dtype::Bf16,
        PlainType::F16 => Dtype::F16,
        PlainType::F32 => Dtype::F32,
    };
    let mut job = DequantizeJob::new(&args.source, &args.output_options.output, dtype);
    job.settings = settings(&args.source, &args.output_options)?;
    write(&job.plan()?, &args.output_options)
}

/// Runs a plan and prints its report.
fn write(plan: &Plan, options: &OutputOptions) -> Result<()> {
    let summary = plan.summary();
    warn(&summary.warnings);
    if options.dry_run {
        let text = || conversions(&summary.conversions) + &plan_text(&summary);
        return if options.json { say_json(&summary) } else { say(text()) };
    }
    if !options.quiet && !options.json {
        note(&headline(&summary));
    }
    let progress = Shown::new(options.quiet || options.json);
    let written = plan.run(&progress);
    progress.finish();
    let report = written.map_err(|error| anyhow!("{error}; {}", hint(&options.output, &error)))?;
    if options.json { say_json(&report) } else { say(report_text(options, &report)) }
}

/// `nvfp4 in compressed-tensors, from modelopt: 210 linears of 106M weights, 63 other tensors`
fn headline(plan: &PlanSummary) -> String {
    let PlanSummary { format, layout, scheme, linears, weights, copied, .. } = plan;
    format!(
        "{format} in {layout}, {scheme}: {linears} linears of {} weights, {copied} other tensors",
        short(*weights)
    )
}

/// One line for each linear: old format, new format, way of conversion and its loss.
fn conversions(lines: &[Conversion]) -> String {
    let columns = [("linear", Align::Left), ("from", Align::Name), ("to", Align::Name), ("how", Align::Left)];
    let line = |line: &Conversion| {
        let lost = line.sqnr_db.map_or(String::new(), |db| format!(", SQNR {db:.2} dB"));
        vec![line.module.clone(), line.from.clone(), line.to.clone(), format!("{}{lost}", line.how)]
    };
    table(&columns, lines.iter().map(line))
}

fn report_text(options: &OutputOptions, report: &Report) -> String {
    let exact = report.conversions.iter().filter(|line| line.exact).count();
    let rate = report.source_bytes as f64 / report.seconds.max(1e-9);
    let lines = if options.quiet { String::new() } else { conversions(&report.conversions) };
    format!(
        "{lines}{}: {} of tensors became {}\n\
         linears    {} of {} weights, {exact} exact\n\
         copied     {} tensors\n\
         took       {}, {}/s\n\
         threads    {}\n",
        options.output.display(),
        size(report.source_bytes),
        size(report.output_bytes),
        report.linears,
        short(report.weights),
        report.copied,
        time(Duration::from_secs_f64(report.seconds)),
        size(rate as u64),
        threads(report),
    )
}
