//! The whole job: choices, layers, sheets, output.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Instant;

use lowbit_blocks::Format;
use lowbit_calib::ScaleRule;
use lowbit_checkpoint::overlay::overlaid;
use lowbit_checkpoint::{Checkpoint, Choice, ConvertJob, Job, Phase, Progress, Report, Step, Weights};
use serde_json::json;

use lowbit_model::{Hidden, Layer, Model};

use super::layer::LayerQuantizer;
use super::original::Original;
use super::prescale::Folded;
use super::sheets::LayerSheets;
use super::solver::Solver;
use crate::collect::InputSummary;
use crate::method::{Method, Methods, Prescale};
use crate::report::{LinearReport, ModelReport};
use crate::statistics::Statistics;
use crate::{Error, Result};

/// A quantization job whose codes are chosen by the inputs of the layers.
///
/// ```no_run
/// use lowbit_checkpoint::Job;
/// use lowbit_model::Tokenizer;
/// use lowbit_pipeline::{CalibratedJob, Method};
///
/// let tokens = Tokenizer::open("llama")?.encode(&std::fs::read_to_string("text.txt")?)?;
/// let windows: Vec<&[u32]> = tokens.chunks_exact(512).take(32).collect();
/// let job = CalibratedJob::new(Job::new("llama", "llama-nvfp4"), Method::default());
/// let report = job.run(&windows, &())?;
/// println!("{:.2} dB at the outputs of the layers", report.mean_output_db());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CalibratedJob {
    /// Source, output, format, layout, selection.
    pub job: Job,
    /// The method.
    pub method: Method,
    /// Formats of single linears, by module, where they differ ([`Mix::formats`](crate::Mix::formats)); `None` leaves one as it is. The others have the job's.
    pub formats: BTreeMap<String, Option<Format>>,
}

impl CalibratedJob {
    /// A job with a method.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Job;
    /// use lowbit_pipeline::{CalibratedJob, Method};
    /// let job = CalibratedJob::new(Job::new("llama", "llama-nvfp4"), Method::default());
    /// assert!(job.method.sequential && job.formats.is_empty());
    /// ```
    pub fn new(job: Job, method: Method) -> Self {
        Self { job, method, formats: BTreeMap::new() }
    }

    /// Runs the job: each layer is quantized and written as an overlay, then the overlays become the output's layout. With
    /// [`resume`](lowbit_checkpoint::Settings::resume), layers that an interrupted run has finished are taken as they are.
    ///
    /// # Errors
    /// Whatever is wrong with the model, the text or the output; [`lowbit_checkpoint::Error::Cancelled`] where `progress` says so: the finished layers
    /// stay in `OUT.sheets`.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Job;
    /// use lowbit_pipeline::{CalibratedJob, Method};
    /// let job = CalibratedJob::new(Job::new("llama", "llama-nvfp4"), Method::default());
    /// let report = job.run(&[[1, 2, 3, 4]], &())?;
    /// println!("{} tokens, {:.2} dB", report.tokens, report.mean_output_db());
    /// # Ok::<(), lowbit_pipeline::Error>(())
    /// ```
    pub fn run<S: AsRef<[u32]>>(&self, sequences: &[S], progress: &dyn Progress) -> Result<ModelReport> {
        let start = Instant::now();
        let choices = self.choices(progress)?;
        let stacked = choices.iter().find(|choice| choice.linear.shape.matrices != 1);
        if let Some(choice) = stacked {
            let reason = format!(
                "layout {} keeps stacks of experts whole, which is not calibrated; write another and convert it",
                self.job.layout.name()
            );
            return Err(Error::Method { linear: choice.linear.module.clone(), reason });
        }
        let checkpoint = Checkpoint::open(&self.job.settings.source)?;
        let sheets = LayerSheets::open(
            &self.job.settings.out,
            &self.identity(&checkpoint, &choices, sequences, None),
            self.job.settings.resume,
        )?;
        let by_name: HashMap<&str, &Choice> = choices.iter().map(|c| (c.linear.module.as_str(), c)).collect();
        let model = Model::open(&checkpoint)?;
        let mut hidden = model.embed(sequences)?;
        let tokens = hidden.tokens().len();
        // The original model runs beside the quantized one where the method compares them.
        let mut before = self.method.compares().then(|| hidden.clone());
        let (mut paths, mut linears, mut resumed) = (Vec::new(), Vec::new(), 0);
        let total = choices.iter().map(bytes).sum();
        let mut done = 0;
        for at in 0..model.layers() {
            let cancelled = || {
                let dir = self.job.settings.out.clone();
                Error::Checkpoint(lowbit_checkpoint::Error::Cancelled { dir, done, total })
            };
            if progress.cancelled() {
                return Err(cancelled());
            }
            let last = at + 1 == model.layers();
            let reports = match sheets.finished(at) {
                Some(path) => {
                    resumed += 1;
                    let reports = sheets.reports(&path)?;
                    // The outputs of the last layer have no reader.
                    if !last {
                        if let Some(before) = &mut before {
                            self.layer(&model, at, &hidden, &by_name, &sheets)?.0.forward(before, &mut ())?;
                        }
                        let own: &[PathBuf] =
                            if self.method.sequential { std::slice::from_ref(&path) } else { &[] };
                        let under = Checkpoint::open(&self.job.settings.source)?;
                        let under = if own.is_empty() { under } else { overlaid(under, own)? };
                        Model::open(&under)?.layer(at)?.forward(&mut hidden, &mut ())?;
                    }
                    paths.push(path);
                    reports
                }
                None => {
                    let solver = Solver::new(&self.method, self.job.settings.kernels, progress);
                    let (mut layer, folded) = self.layer(&model, at, &hidden, &by_name, &sheets)?;
                    let mut original = None;
                    if let Some(before) = &mut before {
                        layer.forward(before, original.insert(Original::default()))?;
                    }
                    let mut quantizer = LayerQuantizer::new(&self.method, &by_name, original, solver);
                    let forward = layer.forward(&mut hidden, &mut quantizer);
                    // A layer that was interrupted is begun anew by the next run.
                    if progress.cancelled() {
                        return Err(cancelled());
                    }
                    forward?;
                    let Solver { mut sheet, reports, .. } = quantizer.solver;
                    for (name, dtype, shape, bytes) in folded.kept {
                        sheet.tensor(&name, dtype, &shape, bytes);
                    }
                    paths.push(sheets.write(at, sheet, &reports)?);
                    reports
                }
            };
            done +=
                reports.iter().filter_map(|r| by_name.get(r.module.as_str())).map(|c| bytes(c)).sum::<u64>();
            let name = format!("layer {} of {}", at + 1, model.layers());
            progress.step(Step { phase: Phase::Calibrate, name: &name, done, total });
            linears.extend(reports);
        }
        drop(hidden);
        paths.extend(self.outside_layers(&choices, &linears, &sheets, model.layers())?);
        let seconds = start.elapsed().as_secs_f64();
        let written = self.write(paths, progress)?;
        sheets.remove();
        Ok(ModelReport { linears, tokens, resumed_layers: resumed, seconds, written })
    }

    /// Runs the job on statistics of an earlier run: no layer is run, and every linear is quantized for the inputs of the original model.
    ///
    /// # Errors
    /// As [`run`](Self::run); [`Error::Statistics`] where they do not fit the model or the method.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Job;
    /// use lowbit_pipeline::{CalibratedJob, Method, Statistics};
    /// let statistics = Statistics::open("llama.safetensors".as_ref())?; // of `lowbit calibrate --hessians`
    /// let job = CalibratedJob::new(Job::new("llama", "llama-nvfp4"), Method::default());
    /// println!("{:.2} dB", job.run_on(&statistics, &())?.mean_output_db());
    /// # Ok::<(), lowbit_pipeline::Error>(())
    /// ```
    pub fn run_on(&self, statistics: &Statistics, progress: &dyn Progress) -> Result<ModelReport> {
        let start = Instant::now();
        let choices = self.choices(progress)?;
        if self.method.prescale != Prescale::None {
            let (file, reason) = (
                statistics.path().to_owned(),
                "smoothing scales are searched while the model runs: give the text".into(),
            );
            return Err(Error::Statistics { file, reason });
        }
        let weights = Weights::open(&self.job.settings.source)?;
        let file = Some(statistics.path());
        let identity = self.identity::<[u32; 0]>(weights.checkpoint(), &choices, &[], file);
        let sheets = LayerSheets::open(&self.job.settings.out, &identity, self.job.settings.resume)?;
        // Linears that share a tensor scale are quantized together; everything of a layer goes into one sheet.
        let mut layers: BTreeMap<Option<usize>, BTreeMap<usize, Vec<&Choice>>> = BTreeMap::new();
        for choice in &choices {
            let layer = layers.entry(layer_of(&choice.linear.module)).or_default();
            layer.entry(choice.shares).or_default().push(choice);
        }
        let (mut paths, mut linears, mut resumed) = (Vec::new(), Vec::new(), 0);
        let (mut done, total) = (0, choices.iter().map(bytes).sum());
        for (at, groups) in layers.values().enumerate() {
            if progress.cancelled() {
                let dir = self.job.settings.out.clone();
                return Err(lowbit_checkpoint::Error::Cancelled { dir, done, total }.into());
            }
            if let Some(path) = sheets.finished(at) {
                resumed += 1;
                linears.extend(sheets.reports(&path)?);
                paths.push(path);
                continue;
            }
            let mut solver = Solver::new(&self.method, self.job.settings.kernels, progress);
            for group in groups.values() {
                let read = group.iter().map(|choice| read(&weights, choice)).collect::<Result<Vec<_>>>()?;
                let Some(first) = group.first() else { continue };
                let (module, features) = (&first.linear.module, first.linear.shape.cols);
                let inputs = statistics.summary(module, features, self.method.needs_hessians())?;
                let inputs = inputs.ok_or_else(|| Error::Method {
                    linear: module.clone(),
                    reason: "the statistics do not know it; leave it out with --exclude".into(),
                })?;
                let members: Vec<_> = group.iter().copied().zip(read.iter().map(Vec::as_slice)).collect();
                solver.group(&members, &inputs)?;
                done += group.iter().map(|choice| bytes(choice)).sum::<u64>();
                progress.step(Step { phase: Phase::Calibrate, name: module, done, total });
            }
            let Solver { sheet, reports, .. } = solver;
            paths.push(sheets.write(at, sheet, &reports)?);
            linears.extend(reports);
        }
        let seconds = start.elapsed().as_secs_f64();
        let tokens = linears.iter().map(|linear| linear.tokens).max().unwrap_or(0) as usize;
        let written = self.write(paths, progress)?;
        sheets.remove();
        Ok(ModelReport { linears, tokens, resumed_layers: resumed, seconds, written })
    }

    /// Writes the sheets in the output's layout.
    fn write(&self, overlay: Vec<PathBuf>, progress: &dyn Progress) -> Result<Report> {
        let settings = &self.job.settings;
        let mut convert = ConvertJob::new(&settings.source, &settings.out, self.job.layout);
        (convert.settings, convert.overlay) = (settings.clone(), overlay);
        let mut report = convert.plan()?.run(progress)?;
        // Of the model, not of the sheets over it.
        report.source_bytes = Checkpoint::open(&self.job.settings.source)?.total_size();
        Ok(report)
    }

    /// A layer to quantize, with the smoothing scales of its inputs in its weights, if the method has any.
    fn layer(
        &self,
        model: &Model<'_>,
        at: usize,
        hidden: &Hidden,
        choices: &HashMap<&str, &Choice>,
        sheets: &LayerSheets,
    ) -> Result<(Layer, Folded)> {
        if self.method.prescale == Prescale::None {
            return Ok((model.layer(at)?, Folded::default()));
        }
        let folded = Folded::of(&self.method, model, at, hidden, choices)?;
        let under = Checkpoint::open(&self.job.settings.source)?;
        let under = overlaid(under, &[sheets.write_temporary(&folded.sheet())?])?;
        let layer = Model::open(&under)?.layer(at)?;
        Ok((layer, folded))
    }

    /// The linears to quantize, each in its format.
    fn choices(&self, progress: &dyn Progress) -> Result<Vec<Choice>> {
        let mut formats = vec![self.job.format];
        for format in self.formats.values().flatten() {
            if !formats.contains(format) {
                formats.push(*format);
            }
        }
        let mut choices = Vec::new();
        for (nth, format) in formats.iter().enumerate() {
            let mut job = self.job.clone();
            (job.format, job.scale_rule) = (*format, self.rule(format));
            let own = |choice: &Choice| match self.formats.get(&choice.linear.module) {
                Some(own) => *own == Some(*format),
                None => nth == 0,
            };
            let mut of_format = job.choices(progress)?;
            of_format.retain(own);
            // Each job counts its shares from 0.
            of_format.iter_mut().for_each(|choice| choice.shares = choice.shares * formats.len() + nth);
            choices.extend(of_format);
        }
        Ok(choices)
    }

    /// The scale rule of a format: the job's, if it computes scales of that format.
    fn rule(&self, format: &Format) -> Option<ScaleRule> {
        match self.job.scale_rule {
            Some(rule) if rule.fits(format) => Some(rule),
            Some(_) => ScaleRule::searching(format),
            None => None,
        }
    }

    /// The linears that no layer runs (an output head that was asked for by name): rounded under the recipe's scales.
    fn outside_layers(
        &self,
        choices: &[Choice],
        done: &[LinearReport],
        sheets: &LayerSheets,
        layers: usize,
    ) -> Result<Option<PathBuf>> {
        let is_done: std::collections::HashSet<&str> = done.iter().map(|r| r.module.as_str()).collect();
        let rest: Vec<_> = choices.iter().filter(|c| !is_done.contains(c.linear.module.as_str())).collect();
        if rest.is_empty() {
            return Ok(None);
        }
        if let Some(path) = sheets.finished(layers) {
            return Ok(Some(path));
        }
        let weights = Weights::open(&self.job.settings.source)?;
        let rounding = Method { method: Methods::Rtn, ..self.method };
        let mut solver = Solver::new(&rounding, self.job.settings.kernels, &());
        let mut groups: BTreeMap<usize, Vec<&Choice>> = BTreeMap::new();
        rest.into_iter().for_each(|choice| groups.entry(choice.shares).or_default().push(choice));
        for group in groups.values() {
            let read = group.iter().map(|choice| read(&weights, choice)).collect::<Result<Vec<_>>>()?;
            let members: Vec<_> = group.iter().copied().zip(read.iter().map(Vec::as_slice)).collect();
            solver.group(&members, &InputSummary::default())?;
        }
        let Solver { sheet, .. } = solver;
        sheets.write(layers, sheet, &[]).map(Some)
    }

    /// Everything that a code depends on, as text.
    fn identity<S: AsRef<[u32]>>(
        &self,
        checkpoint: &Checkpoint,
        choices: &[Choice],
        sequences: &[S],
        statistics: Option<&Path>,
    ) -> String {
        use sha2::{Digest, Sha256};
        let mut tokens = Sha256::new();
        for sequence in sequences {
            tokens.update((sequence.as_ref().len() as u64).to_le_bytes());
            sequence.as_ref().iter().for_each(|token| tokens.update(token.to_le_bytes()));
        }
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let files = checkpoint.files().iter().map(|file| file_identity(file.path()));
        let linears = choices.iter().map(|c| json!([c.linear.module, c.recipe, c.activations, c.shares]));
        let identity = json!({
            "lowbit": env!("CARGO_PKG_VERSION"),
            "files": files.collect::<Vec<_>>(),
            "tokens": hex(&tokens.finalize()),
            "statistics": statistics.map(file_identity),
            "method": self.method,
            "linears": linears.collect::<Vec<_>>(),
        });
        format!("{identity:#}\n")
    }
}

/// The identity of a file: name, length, time of its last change.
fn file_identity(path: &Path) -> serde_json::Value {
    let about = std::fs::metadata(path).ok();
    let modified = about.as_ref().and_then(|about| about.modified().ok());
    let since = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let len = about.map_or(0, |about| about.len());
    json!([name, len, since.unwrap_or_default().as_nanos().to_string()])
}

/// The layer that a module is in, by its name: the first part that is a number.
fn layer_of(module: &str) -> Option<usize> {
    module.split('.').find_map(|part| part.parse().ok())
}

/// The weight of a choice.
fn read(weights: &Weights, choice: &Choice) -> Result<Vec<f32>> {
    let missing = || Error::Method {
        linear: choice.linear.module.clone(),
        reason: "is not a matrix of its own; leave it out with --exclude".into(),
    };
    let weight = weights.find(&choice.linear.weight).filter(|w| w.rows() == choice.linear.shape.rows);
    let (weight, mut values) = (weight.ok_or_else(missing)?, Vec::new());
    weight.read(0..weight.rows(), &mut values)?;
    Ok(values)
}

/// Bytes of a weight in the source.
fn bytes(choice: &Choice) -> u64 {
    (choice.linear.shape.rows * choice.linear.shape.cols * choice.linear.dtype.bytes()) as u64
}
