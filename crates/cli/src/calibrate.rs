//! `lowbit calibrate`: runs a model over text and writes statistics of its inputs to a file.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};
use lowbit_checkpoint::Checkpoint;
use lowbit_checkpoint::statistics::{Imatrix, Planned, Precision, StatisticsWriter};
use lowbit_model::Model;
use lowbit_pipeline::{Error, InputStatistics, Statistics};

use crate::args::{CalibrateArgs, Synthetic};
use crate::output::say;
use crate::progress::Shown;
use crate::text;
use crate::units::{size, time};

pub(crate) fn run(args: &CalibrateArgs) -> Result<()> {
    let start = Instant::now();
    let extension = args.output.extension().and_then(|e| e.to_str()).unwrap_or_default();
    if args.hessians && extension != "safetensors" {
        bail!(
            "an importance matrix holds no Hessians; name the output {}.safetensors",
            args.output.display()
        );
    }
    let checkpoint = Checkpoint::open(&args.source)?;
    let model = Model::open(&checkpoint)?;
    if !args.text.given() {
        bail!("say what to run the model over: --text FILE, or --synthetic written");
    }
    let progress = Shown::new(args.quiet);
    let windows = text::calibration(&args.source, &args.text, &progress)?;
    let tokens: usize = windows.iter().map(Vec::len).sum();
    let result = match extension {
        "safetensors" => safetensors(args, &model, &windows, &progress),
        "imatrix" | "dat" | "gguf" => imatrix(args, &model, &windows, &progress, extension == "gguf"),
        _ => bail!("{} is neither .safetensors nor .imatrix nor .gguf", args.output.display()),
    };
    progress.finish();
    let inputs = result?;
    let written = std::fs::metadata(&args.output).map_or(0, |about| about.len());
    say(format!(
        "{}: {inputs} inputs over {tokens} tokens, {}, {}\n",
        args.output.display(),
        size(written),
        time(start.elapsed())
    ))
}

/// Writes a file of statistics in lowbit's own format. Each linear has its own moments; linears
/// that read the same input share one Hessian.
fn safetensors(
    args: &CalibrateArgs,
    model: &Model<'_>,
    windows: &[Vec<u32>],
    progress: &Shown,
) -> Result<usize> {
    let (mut planned, mut same) = (Vec::new(), BTreeMap::new());
    let mut inputs = 0;
    for at in 0..model.layers() {
        for projections in model.layer(at)?.projections() {
            inputs += 1;
            let first = projections.linears.first().map(|linear| linear.name.clone()).unwrap_or_default();
            for (nth, linear) in projections.linears.iter().enumerate() {
                let hessian = (args.hessians && nth == 0).then_some(Precision::F32);
                planned.push(Planned { name: linear.name.clone(), channels: linear.cols, hessian });
                if nth > 0 {
                    same.insert(linear.name.clone(), first.clone());
                }
            }
        }
    }
    let text = match args.text.synthetic {
        Some(Synthetic::Written) => "written by the model".to_owned(),
        Some(Synthetic::Random) => "random tokens".to_owned(),
        None => args.text.text.iter().map(|path| name(path)).collect::<Vec<_>>().join(", "),
    };
    let about = BTreeMap::from([
        ("model".to_owned(), name(&args.source)),
        ("text".to_owned(), text),
        ("windows".to_owned(), windows.len().to_string()),
        ("window".to_owned(), args.text.windows.size.to_string()),
        (Statistics::SAME_INPUT.to_owned(), serde_json::to_string(&same)?),
    ]);
    let mut writer = StatisticsWriter::create(&args.output, &planned, &about)?;
    let mut take = |seen: &InputStatistics<'_>| -> lowbit_pipeline::Result<()> {
        for (nth, module) in seen.modules.iter().enumerate() {
            writer.write(module, seen.channels, seen.hessian.filter(|_| nth == 0))?;
        }
        Ok(())
    };
    lowbit_pipeline::calibrate(model, windows, args.hessians, &mut take, progress)?;
    writer.finish()?;
    Ok(inputs)
}

/// Writes an importance matrix of llama.cpp, in the GGUF form or the older one.
fn imatrix(
    args: &CalibrateArgs,
    model: &Model<'_>,
    windows: &[Vec<u32>],
    progress: &Shown,
    gguf: bool,
) -> Result<usize> {
    let (mut matrix, mut inputs) = (Imatrix::default(), 0);
    let mut take = |seen: &InputStatistics<'_>| -> lowbit_pipeline::Result<()> {
        inputs += 1;
        seen.modules.iter().try_for_each(|module| matrix.observe(module, seen.channels)).map_err(Error::from)
    };
    lowbit_pipeline::calibrate(model, windows, false, &mut take, progress)?;
    let bytes = if gguf { matrix.to_gguf() } else { matrix.to_legacy() };
    std::fs::write(&args.output, bytes)
        .map_err(|e| anyhow::anyhow!("cannot write {}: {e}", args.output.display()))?;
    Ok(inputs)
}

fn name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}
