//! The data of the report, collected from two checkpoints: one pass over the quantized linears and
//! one over a sample of the original.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use lowbit_blocks::{ErrorStats, Format, Shape};
use lowbit_calib::{Recipe, ScaleRule};
use lowbit_checkpoint::{Phase, Progress, Step, Weight, Weights};
use lowbit_pipeline::Statistics;

use super::lines::NumberLine;

/// Figures of one quantized linear.
#[derive(Clone, Debug)]
pub(super) struct LayerFigures {
    pub(super) module: String,
    pub(super) format: String,
    pub(super) shape: String,
    pub(super) count: u64,
    /// Stored bits for each weight.
    pub(super) bits: f64,
    /// SQNR of the weight, in dB.
    pub(super) sqnr_db: f64,
    /// SQNR of the layer's output, in dB, if the second moments of its input are known.
    pub(super) output_db: Option<f64>,
    pub(super) max_error: f64,
}

/// A format with a scale rule: its size and its accuracy.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) name: String,
    pub(super) bits: f64,
    pub(super) sqnr_db: f64,
    pub(super) output_db: Option<f64>,
    /// Whether it is the format of the checkpoint.
    pub(super) present: bool,
}

/// A histogram of values divided by the root mean square of their matrix.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    pub(super) counts: Vec<u64>,
    pub(super) total: u64,
}

impl Histogram {
    /// Values beyond this multiple of the root mean square are counted in the outermost bins.
    pub(super) const REACH: f64 = 8.0;
    pub(super) const BINS: usize = 160;

    fn new() -> Self {
        Self { counts: vec![0; Self::BINS], total: 0 }
    }

    fn add(&mut self, value: f64) {
        let at = (value + Self::REACH) / (2.0 * Self::REACH) * Self::BINS as f64;
        self.counts[(at.max(0.0) as usize).min(Self::BINS - 1)] += 1;
        self.total += 1;
    }

    /// The lower and upper end of a bin.
    pub(super) fn bin(at: usize) -> (f64, f64) {
        let edge = |at: usize| 2.0 * Self::REACH * at as f64 / Self::BINS as f64 - Self::REACH;
        (edge(at), edge(at + 1))
    }
}

/// All data of the page.
#[derive(Clone, Debug)]
pub(super) struct Collected {
    pub(super) title: String,
    pub(super) original: String,
    pub(super) bytes: u64,
    pub(super) original_bytes: u64,
    pub(super) total_sqnr: f64,
    pub(super) layers: Vec<LayerFigures>,
    pub(super) weights: Histogram,
    pub(super) errors: Histogram,
    pub(super) lines: Vec<NumberLine>,
    /// Name of the linear that the number lines show.
    pub(super) lines_of: String,
    pub(super) candidates: Vec<Candidate>,
    /// Number of weights in the sample.
    pub(super) sampled: u64,
}

/// Formats to compare, if the model's rows divide into their blocks.
const CANDIDATES: &[&str] = &[
    "int2-g64",
    "int3-g64",
    "mxfp4",
    "int4-g128",
    "int4-g64",
    "int4-g32",
    "int4-g64-asym",
    "nvfp4",
    "nf4",
    "int5-g64",
    "mxfp6-e2m3",
    "int6-g64",
    "mxfp8",
    "fp8-channel",
    "int8",
    "int8-g128",
];
/// Formats of the number lines.
const LINES: &[&str] = &["nvfp4", "mxfp4", "int4-g32", "e2m1-g16-e8m0"];
/// Number of weights on a number line.
const SHOWN: usize = 16;
/// Number of rows of each linear in the sample.
const SAMPLE_ROWS: usize = 32;

/// Collects the figures of `dir` against `original`.
pub(super) fn collect(
    dir: &Path,
    original: &Path,
    statistics: Option<&Statistics>,
    progress: &dyn Progress,
) -> Result<Collected> {
    let (ours, theirs) = (Weights::open(dir)?, Weights::open(original)?);
    let mut names: Vec<&str> = ours.names().filter(|name| ours.stored(name).is_some()).collect();
    if names.is_empty() {
        bail!(
            "{} has no quantized linears; a report is of a quantized model against its original",
            dir.display()
        );
    }
    names.sort_by(|a, b| lowbit_checkpoint::natural(a, b));
    let mut data = Collected {
        title: name_of(dir),
        original: name_of(original),
        bytes: ours.checkpoint().total_size(),
        original_bytes: theirs.checkpoint().total_size(),
        total_sqnr: 0.0,
        layers: Vec::new(),
        weights: Histogram::new(),
        errors: Histogram::new(),
        lines: Vec::new(),
        lines_of: String::new(),
        candidates: Vec::new(),
        sampled: 0,
    };
    let values = |name: &&str| ours.get(name).map_or(0, |w| (w.rows() * w.shape().cols) as u64);
    let (mut done, total) = (0, 4 * names.iter().map(values).sum::<u64>());
    let (mut all, mut sample) = (ErrorStats::default(), Vec::new());
    for name in &names {
        let (Some(ours_w), Some(theirs_w)) = (ours.get(name), theirs.get(name)) else {
            bail!("{} has no `{name}`; is it the model that this one was made from?", original.display());
        };
        let stats = data.linear(name, &ours, &ours_w, &theirs_w, statistics)?;
        all.merge(&stats);
        sample.push(Sample::take(name, &theirs_w, statistics)?);
        done += 4 * values(name);
        progress.step(Step { phase: Phase::Compare, name, done, total });
    }
    data.total_sqnr = all.report().sqnr_db;
    data.compare_formats(&ours, &names, &sample);
    data.draw_lines(&sample);
    Ok(data)
}

/// The mean square, E[x^2], of each input feature of a module, if known.
fn moment(statistics: Option<&Statistics>, module: &str, features: usize) -> Result<Option<Vec<f64>>> {
    let squares = statistics.map(|s| s.mean_square(module, features)).transpose()?.flatten();
    Ok(squares.map(|squares| squares.into_iter().map(f64::from).collect()))
}

fn name_of(dir: &Path) -> String {
    let full = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    full.file_name().map_or_else(|| dir.display().to_string(), |name| name.to_string_lossy().into_owned())
}

impl Collected {
    fn linear(
        &mut self,
        name: &str,
        weights: &Weights,
        ours: &Weight<'_>,
        theirs: &Weight<'_>,
        statistics: Option<&Statistics>,
    ) -> Result<ErrorStats> {
        let (shape, stored) = (ours.shape(), weights.stored(name).context("a quantized linear")?);
        if shape != theirs.shape() {
            bail!("`{name}` is {shape} here and {} in the original", theirs.shape());
        }
        let moment = moment(statistics, &stored.linear.module, shape.cols)?;
        let (mut x, mut y) = (Vec::new(), Vec::new());
        let (mut stats, mut power, mut noise) = (ErrorStats::default(), 0f64, 0f64);
        // The root mean square comes first: the values of the histogram are divided by it.
        let mut square = 0f64;
        for rows in ours.tiles() {
            theirs.read(rows.clone(), &mut x)?;
            square += x.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>();
        }
        let count = (ours.rows() * shape.cols) as u64;
        let rms = (square / count.max(1) as f64).sqrt();
        for rows in ours.tiles() {
            theirs.read(rows.clone(), &mut x)?;
            ours.read(rows, &mut y)?;
            for (x, y) in x.chunks_exact(shape.cols.max(1)).zip(y.chunks_exact(shape.cols.max(1))) {
                stats.observe(x, y);
                if let Some(moment) = &moment {
                    for ((x, y), m) in x.iter().zip(y).zip(moment) {
                        let (x, e) = (f64::from(*x), f64::from(*x) - f64::from(*y));
                        power += m * x * x;
                        noise += m * e * e;
                    }
                }
            }
            if rms > 0.0 {
                for (x, y) in x.iter().zip(&y) {
                    self.weights.add(f64::from(*x) / rms);
                    self.errors.add((f64::from(*y) - f64::from(*x)) / rms);
                }
            }
        }
        let report = stats.report();
        self.layers.push(LayerFigures {
            module: stored.linear.module.clone(),
            format: stored.format.name(),
            shape: shape.to_string(),
            count,
            bits: 8.0 * stored.size_bytes() as f64 / count.max(1) as f64,
            sqnr_db: report.sqnr_db,
            output_db: moment.as_ref().map(|_| 10.0 * (power / noise).log10()),
            max_error: report.max_error,
        });
        Ok(stats)
    }

    /// Measures each candidate format with each scale rule on the sample.
    fn compare_formats(&mut self, ours: &Weights, names: &[&str], sample: &[Sample]) {
        self.sampled = sample.iter().map(|s| s.values.len() as u64).sum();
        for name in CANDIDATES {
            let Some(format) = Format::named(name) else { continue };
            let Ok(recipe) = Recipe::new(format) else { continue };
            for rule in [recipe.scale_rule, ScaleRule::FourOverSix, ScaleRule::Mse, ScaleRule::MseFullRange] {
                let Ok(with) = recipe.with_scale_rule(rule) else { continue };
                let own = rule == recipe.scale_rule;
                if !own || rule == with.scale_rule {
                    let label = if own { (*name).to_owned() } else { format!("{name} {rule}") };
                    self.candidates.extend(candidate(&label, sample, |s| {
                        let q = with.quantize(s.shape, &s.values[..]).ok()?;
                        Some((q.to_f32_vec(), q.bits_per_weight()))
                    }));
                }
            }
        }
        let present = names.iter().zip(sample).map(|(name, s)| {
            let mut values = Vec::new();
            let weight = ours.get(name)?;
            // Some formats can be read only in groups of rows, so a whole tile is read.
            weight.read(weight.tiles().next()?, &mut values).ok()?;
            values.truncate(s.values.len());
            Some(values)
        });
        let present: Vec<Option<Vec<f32>>> = present.collect();
        let bits: f64 = self.layers.iter().map(|l| l.bits * l.count as f64).sum::<f64>()
            / self.layers.iter().map(|l| l.count).sum::<u64>().max(1) as f64;
        let mut at = 0;
        self.candidates.extend(candidate("this checkpoint", sample, |_| {
            at += 1;
            Some((present[at - 1].clone()?, bits))
        }));
        if let Some(last) = self.candidates.last_mut().filter(|c| c.name == "this checkpoint") {
            last.present = true;
        }
    }

    /// Makes the number lines of the linear in the middle of the model.
    fn draw_lines(&mut self, sample: &[Sample]) {
        let Some(middle) = sample.get(sample.len() / 2) else { return };
        let amax = middle.values.iter().fold(0f32, |amax, v| amax.max(v.abs()));
        let row = &middle.values[..middle.shape.cols.min(middle.values.len())];
        for name in LINES {
            let recipe = Format::named(name).and_then(|format| Recipe::new(format).ok());
            self.lines.extend(recipe.and_then(|recipe| NumberLine::of(&recipe, name, row, SHOWN, amax)));
        }
        self.lines_of = middle.name.clone();
    }
}

/// Some rows of a linear of the original.
struct Sample {
    name: String,
    shape: Shape,
    values: Vec<f32>,
    moment: Option<Vec<f64>>,
}

impl Sample {
    fn take(name: &str, weight: &Weight<'_>, statistics: Option<&Statistics>) -> Result<Self> {
        let shape = weight.shape();
        let rows = SAMPLE_ROWS.min(weight.rows());
        let mut values = Vec::new();
        weight.read(0..rows, &mut values)?;
        let module = name.strip_suffix(".weight").unwrap_or(name);
        let moment = moment(statistics, module, shape.cols)?;
        Ok(Self { name: name.to_owned(), shape: Shape::matrix(rows, shape.cols), values, moment })
    }
}

/// Measures one way of quantizing on the sample; `None` if it does not fit every linear.
fn candidate(
    name: &str,
    sample: &[Sample],
    mut quantize: impl FnMut(&Sample) -> Option<(Vec<f32>, f64)>,
) -> Option<Candidate> {
    let (mut stats, mut bits, mut count) = (ErrorStats::default(), 0.0, 0.0);
    let (mut power, mut noise, mut weighted) = (0f64, 0f64, !sample.is_empty());
    for s in sample.iter().filter(|s| !s.values.is_empty()) {
        let (restored, own) = quantize(s)?;
        stats.observe(&s.values, &restored);
        bits += own * s.values.len() as f64;
        count += s.values.len() as f64;
        match &s.moment {
            None => weighted = false,
            Some(moment) => {
                // Layers have equal weight: the error of each is relative to its own output.
                let (mut p, mut n) = (0f64, 0f64);
                for (at, (x, y)) in s.values.iter().zip(&restored).enumerate() {
                    let (m, x, e) = (moment[at % s.shape.cols], f64::from(*x), f64::from(*x) - f64::from(*y));
                    p += m * x * x;
                    n += m * e * e;
                }
                power += 1.0;
                noise += n / p.max(f64::MIN_POSITIVE);
            }
        }
    }
    let output_db = (weighted && count > 0.0).then(|| 10.0 * (power / noise).log10());
    let sqnr_db = stats.report().sqnr_db;
    (count > 0.0).then(|| Candidate {
        name: name.to_owned(),
        bits: bits / count,
        sqnr_db,
        output_db,
        present: false,
    })
}
