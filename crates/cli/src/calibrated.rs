//! `lowbit quantize --method`: quantization with codes chosen from the inputs of the model's
//! layers.

use std::time::Duration;

use anyhow::{Result, bail};
use lowbit_blocks::Format;
use lowbit_checkpoint::Job;
use lowbit_pipeline::{
    CalibratedJob, ColumnOrder, LinearReport, Method, Methods, Mix, MixedJob, ModelReport, Prescale,
    Sensitivity, Statistics,
};

use crate::args::{Activations, CalibrationOptions, MethodName, OrderName, QuantizeArgs, SensitivityName};
use crate::output::{note, say, say_json};
use crate::progress::Shown;
use crate::table::{Align, table};
use crate::text;
use crate::units::{size, time};

/// Whether the job needs inputs; an error if options contradict the method.
pub(crate) fn calibrates(args: &QuantizeArgs) -> Result<bool> {
    let c = &args.calibration;
    let given = c.text.given() || c.stats.is_some();
    let fixed = args.activations == Some(Activations::Static);
    match args.method {
        _ if fixed && !given => bail!(
            "static scales of activations come with calibration: --text FILE, --synthetic written, or --stats FILE of an earlier `calibrate`"
        ),
        MethodName::Rtn if given && c.bits.is_none() && !fixed => {
            bail!(
                "--method rtn looks at no inputs; say --method gptq, or leave --text, --synthetic and --stats out"
            )
        }
        MethodName::Gptq if !given => bail!(
            "--method gptq needs to see inputs: --text FILE, --synthetic written where there is no text, or --stats FILE of an earlier `calibrate --hessians`"
        ),
        MethodName::Awq | MethodName::Smoothquant if !c.text.given() => {
            bail!("this method runs the model while it searches: --text FILE, or --synthetic written")
        }
        _ => Ok(given),
    }
}

pub(crate) fn run(args: &QuantizeArgs, job: Job) -> Result<()> {
    let options = &args.output_options;
    let c = &args.calibration;
    let progress = Shown::new(options.quiet || options.json);
    let output = options.output.clone();
    if let Some(stats) = &c.stats {
        let statistics = Statistics::open(stats)?;
        let report = CalibratedJob::new(job, method(args.method, c)).run_on(&statistics, &progress);
        progress.finish();
        let report = report?;
        return if options.json {
            say_json(&report)
        } else {
            say(text_of(&output.display().to_string(), &report))
        };
    }
    let windows = text::calibration(&args.source, &c.text, &progress)?;
    if !options.quiet && !options.json {
        note(&format!(
            "{} in {}: calibrating on {} windows of {} tokens",
            job.format,
            job.layout.name(),
            windows.len(),
            c.text.windows.size
        ));
    }
    let mut calibrated = CalibratedJob::new(job, method(args.method, c));
    let mut mix = None;
    if let Some(bits) = c.bits {
        let mut mixed = MixedJob::new(calibrated.job.clone(), formats(&c.formats)?, bits);
        mixed.method = calibrated.method;
        mixed.sensitivity = match c.sensitivity {
            SensitivityName::Probe => Sensitivity::Probe,
            SensitivityName::Output => Sensitivity::Output,
        };
        let chosen = mixed.choose(&windows, &progress);
        progress.finish();
        let chosen = chosen?;
        if !options.quiet && !options.json {
            note(&mix_text(&chosen));
        }
        calibrated.formats.clone_from(&chosen.formats);
        mix = Some(chosen);
    }
    let report = calibrated.run(&windows, &progress);
    progress.finish();
    let report = report?;
    match (options.json, mix) {
        (true, mix) => say_json(&serde_json::json!({ "report": report, "mix": mix })),
        (false, _) => say(text_of(&output.display().to_string(), &report)),
    }
}

/// Parses the values of `--formats`; `None` leaves a layer unquantized.
fn formats(names: &[String]) -> Result<Vec<Option<Format>>> {
    let format = |name: &String| match name.as_str() {
        "bf16" | "f16" | "none" => Ok(None),
        name => match Format::named(name) {
            Some(format) => Ok(Some(format)),
            None => bail!(
                "no format is called `{name}`; `lowbit formats` lists them, `bf16` leaves a layer as it is"
            ),
        },
    };
    names.iter().map(format).collect()
}

/// `mixed: 4.800 bits, nvfp4 for 96 groups, fp8-channel for 24; expected to lose 0.031 (at least 0.031)`
fn mix_text(mix: &Mix) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for group in &mix.groups {
        let name = group.candidates[group.pick].0.as_str();
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    let counts: Vec<String> =
        counts.iter().map(|(name, count)| format!("{name} for {count} groups")).collect();
    format!(
        "mixed: {:.3} bits, {}; expected to lose {:.4}, the least possible {:.4}",
        mix.bits,
        counts.join(", "),
        mix.score,
        mix.bound
    )
}

/// The method that the options describe.
fn method(name: MethodName, options: &CalibrationOptions) -> Method {
    Method {
        method: match name {
            MethodName::Rtn | MethodName::Smoothquant => Methods::Rtn,
            MethodName::Sweep | MethodName::Awq => Methods::Sweep,
            MethodName::Gptq => Methods::Gptq,
        },
        prescale: match name {
            MethodName::Awq => Prescale::Awq,
            MethodName::Smoothquant => Prescale::Smooth,
            _ => Prescale::None,
        },
        damping: options.damping,
        passes: options.passes,
        rescales: options.rescales,
        drift: options.drift,
        order: match options.order {
            OrderName::Natural => ColumnOrder::Natural,
            OrderName::Activation => ColumnOrder::Activation,
            OrderName::GroupAware => ColumnOrder::GroupAware,
            OrderName::ActivationGroups => ColumnOrder::ActivationGroups,
        },
        sequential: !options.not_sequential,
        ..Method::default()
    }
}

/// Number of linears in the report: those with the largest errors of their outputs.
const WORST: usize = 5;

fn text_of(output: &str, report: &ModelReport) -> String {
    let mut worst: Vec<&LinearReport> = report.linears.iter().collect();
    worst.sort_by(|a, b| a.output_db().total_cmp(&b.output_db()).then_with(|| a.module.cmp(&b.module)));
    let columns = [
        ("worst outputs", Align::Left),
        ("format", Align::Left),
        ("dB", Align::Right),
        ("rounded alone", Align::Right),
    ];
    let lines = worst.iter().take(WORST).map(|linear| {
        let alone = 10.0 * (linear.power / linear.rtn).log10();
        vec![
            linear.module.clone(),
            linear.format.clone(),
            format!("{:.2}", linear.output_db()),
            format!("{alone:.2}"),
        ]
    });
    let resumed = match report.resumed_layers {
        0 => String::new(),
        layers => format!(" ({layers} layers were there already)"),
    };
    format!(
        "{output}: {} of tensors became {}\n\
         quantized  {} linears by {} tokens, {:.3} bits each weight, {:.2} dB at the outputs\n\
         took       {} to calibrate and choose{resumed}, {} to write\n{}",
        size(report.written.source_bytes),
        size(report.written.output_bytes),
        report.linears.len(),
        report.tokens,
        report.written.bits_per_weight,
        report.mean_output_db(),
        time(Duration::from_secs_f64(report.seconds)),
        time(Duration::from_secs_f64(report.written.seconds)),
        table(&columns, lines),
    )
}
