//! Smoothing scales moved from the inputs of linears into their weights, before these are quantized: AWQ, SmoothQuant.
//!
//! ```text
//! y = W x = (W diag s) (x / s)            x / s is made by what comes before: a norm whose weight is divided, or the rows of a linear
//!
//! layer as it is ──► statistics of each input ──► s of each feed ──► a sheet with the folded layer ──► quantized like any other
//! ```
//!
//! Scales are powers that search (AWQ: error of the outputs by E[x²], doing nothing included) or a formula (SmoothQuant) gives. A norm's weight is rounded to
//! its type, and columns are multiplied by what that leaves, so that the folded layer gives what it gave. Values of grouped heads, which several
//! columns share, are left alone, as are feeds of which a linear is not quantized.

use std::collections::HashMap;

use lowbit_arch::{Arch, Feed, Producer};
use lowbit_calib::awq::{Awq, search};
use lowbit_calib::{ChannelStats, Inputs, fold, smooth};
use lowbit_checkpoint::overlay::Sheet;
use lowbit_checkpoint::safetensors::Dtype;
use lowbit_checkpoint::{Checkpoint, Choice, Weights};

use lowbit_model::{Hidden, Hook, Model, Projections};

use crate::collect::InputCollector;
use crate::method::{Method, Prescale};
use crate::{Error, Result};

/// A tensor of a sheet.
type Tensor = (String, Dtype, Vec<usize>, Vec<u8>);

/// A layer with its smoothing scales folded.
#[derive(Default)]
pub(super) struct Folded {
    /// Weights of linears, f32: they are quantized in place of the source's.
    linears: Vec<Tensor>,
    /// Norms and routers, in their own types: part of the output.
    pub(super) kept: Vec<Tensor>,
}

impl Folded {
    /// Folds one layer of a model, whose input is `hidden`.
    pub(super) fn of(
        method: &Method,
        model: &Model<'_>,
        at: usize,
        hidden: &Hidden,
        choices: &HashMap<&str, &Choice>,
    ) -> Result<Self> {
        let prefix = model.module(&format!("layers.{at}"));
        let weights = model.weights();
        let modules: Vec<&str> = weights.names().filter_map(|name| name.strip_suffix(".weight")).collect();
        let mut inputs = LayerInputs::default();
        model.layer(at)?.forward(&mut hidden.clone(), &mut inputs)?;
        let mut changed: HashMap<String, Vec<f32>> = HashMap::new();
        let mut kept = Vec::new();
        for feed in Arch::new(model.checkpoint().config()).feeds(&prefix, modules) {
            let quantized = |module: &String| choices.contains_key(module.as_str());
            let known = feed.to.first().and_then(|first| inputs.by_module.get(first));
            let Some(stats) = known.filter(|stats| feed.to.iter().all(quantized) && stats.tokens() > 0)
            else {
                continue;
            };
            if feed.producer != Producer::Norm && !choices.contains_key(feed.from.as_str()) {
                continue;
            }
            let read = |module: &str| -> Result<Vec<f32>> {
                let name = format!("{module}.weight");
                changed.get(&name).map_or_else(|| values(weights, &name), |own| Ok(own.clone()))
            };
            let own: Vec<Vec<f32>> = feed.to.iter().map(|module| read(module)).collect::<Result<_>>()?;
            let Some(scales) = scales(method, choices[feed.to[0].as_str()], &own, stats)
                .map_err(|e| Error::method(&feed.to[0], e))?
            else {
                continue;
            };
            let from = format!("{}.weight", feed.from);
            let mut producer = read(&feed.from)?;
            let Some(scales) = divide(model, &feed, &mut producer, scales)? else { continue };
            let wrong = |e: lowbit_calib::Error| Error::method(&feed.from, e);
            match feed.producer {
                Producer::Norm => kept.push(tensor(weights, &from, &producer)?),
                Producer::Rows | Producer::Values => _ = changed.insert(from, producer),
            }
            for (module, mut weight) in feed.to.iter().zip(own) {
                fold::multiply_columns(&mut weight, &scales).map_err(wrong)?;
                changed.insert(format!("{module}.weight"), weight);
            }
            for router in &feed.routers {
                let name = format!("{router}.weight");
                let mut weight = values(weights, &name)?;
                fold::multiply_columns(&mut weight, &scales).map_err(wrong)?;
                kept.push(tensor(weights, &name, &weight)?);
            }
        }
        let mut names: Vec<_> = changed.into_iter().collect();
        names.sort_by(|a, b| a.0.cmp(&b.0));
        let linears = names.into_iter().map(|(name, weight)| {
            let shape = weights.get(&name).map_or(vec![weight.len()], |w| vec![w.rows(), w.shape().cols]);
            (name, Dtype::F32, shape, weight.iter().flat_map(|w| w.to_le_bytes()).collect())
        });
        Ok(Self { linears: linears.collect(), kept })
    }

    /// A sheet under which the layer is the folded one.
    pub(super) fn sheet(&self) -> Sheet {
        let mut sheet = Sheet::new();
        for (name, dtype, shape, bytes) in self.linears.iter().chain(&self.kept) {
            sheet.tensor(name, *dtype, shape, bytes.clone());
        }
        sheet
    }
}

/// The smoothing scales of linears that read the same input; `None` where nothing is better.
fn scales(
    method: &Method,
    choice: &Choice,
    weights: &[Vec<f32>],
    stats: &ChannelStats,
) -> Result<Option<Vec<f32>>, lowbit_calib::Error> {
    let views: Vec<&[f32]> = weights.iter().map(Vec::as_slice).collect();
    match method.prescale {
        Prescale::None => Ok(None),
        Prescale::Smooth => {
            let absmax = smooth::weight_absmax(&views, stats.channels())?;
            smooth::scales(stats.absmax(), &absmax, SMOOTH_EXPONENT).map(Some)
        }
        Prescale::Awq => {
            let squares = stats.mean_square();
            let inputs = Inputs::MeanSquare(&squares);
            let found = search(&Awq::default(), &choice.recipe, &views, &stats.mean_abs(), inputs)?;
            Ok(found.exponent.map(|_| found.scales))
        }
    }
}

/// SmoothQuant's.
const SMOOTH_EXPONENT: f64 = 0.5;

/// Divides the weight that produces the input; gives the scales after rounding. `None` where it cannot be divided so.
fn divide(
    model: &Model<'_>,
    feed: &Feed,
    producer: &mut [f32],
    scales: Vec<f32>,
) -> Result<Option<Vec<f32>>> {
    let wrong = |e: lowbit_calib::Error| Error::method(&feed.from, e);
    if feed.producer != Producer::Norm {
        let name = format!("{}.weight", feed.from);
        let rows = model.weights().get(&name).map_or(0, |weight| weight.rows());
        // Grouped heads: several columns read one row.
        if rows != scales.len() {
            return Ok(None);
        }
        fold::divide_rows(producer, &scales).map_err(wrong)?;
        return Ok(Some(scales));
    }
    if producer.len() != scales.len() {
        return Ok(None);
    }
    let offset = if model.description().unit_norms { 1.0 } else { 0.0 };
    let before: Vec<f32> = producer.iter().map(|w| w + offset).collect();
    if offset == 0.0 { fold::divide(producer, &scales) } else { fold::divide_offset(producer, &scales) }
        .map_err(wrong)?;
    let dtype = model.checkpoint().require(&format!("{}.weight", feed.from))?.entry.dtype;
    for value in producer.iter_mut() {
        *value = rounded(*value, dtype);
    }
    let left = before.iter().zip(producer.iter().map(|w| w + offset)).zip(&scales);
    Ok(Some(left.map(|((before, now), s)| if now == 0.0 { *s } else { before / now }).collect()))
}

/// A weight as f32.
fn values(weights: &Weights<&Checkpoint>, name: &str) -> Result<Vec<f32>> {
    let mut values = Vec::new();
    let missing = || Error::method(name, "is not there to be folded into");
    let weight = weights.get(name).ok_or_else(missing)?;
    weight.read(0..weight.rows(), &mut values)?;
    Ok(values)
}

/// A tensor of the source with other values.
fn tensor(weights: &Weights<&Checkpoint>, name: &str, values: &[f32]) -> Result<Tensor> {
    let entry = weights.checkpoint().require(name)?.entry;
    let bytes = match entry.dtype {
        Dtype::F16 => values.iter().flat_map(|x| half::f16::from_f32(*x).to_le_bytes()).collect(),
        Dtype::BF16 => values.iter().flat_map(|x| half::bf16::from_f32(*x).to_le_bytes()).collect(),
        _ => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
    };
    let dtype = if matches!(entry.dtype, Dtype::F16 | Dtype::BF16) { entry.dtype } else { Dtype::F32 };
    Ok((name.to_owned(), dtype, entry.shape.clone(), bytes))
}

fn rounded(value: f32, dtype: Dtype) -> f32 {
    match dtype {
        Dtype::F16 => half::f16::from_f32(value).to_f32(),
        Dtype::BF16 => half::bf16::from_f32(value).to_f32(),
        _ => value,
    }
}

/// Statistics of the input of every linear of a layer.
#[derive(Default)]
struct LayerInputs {
    collector: Option<InputCollector>,
    by_module: HashMap<String, ChannelStats>,
}

impl Hook for LayerInputs {
    fn observe(&mut self, projections: &Projections, rows: &[f32]) -> lowbit_model::Result<()> {
        self.collector
            .get_or_insert_with(|| InputCollector::new(projections, false))
            .observe(projections, rows)?;
        Ok(())
    }

    fn replace_weights(&mut self, projections: &mut Projections) -> lowbit_model::Result<()> {
        let Some(collector) = self.collector.take() else { return Ok(()) };
        let modules = projections.linears.iter().map(|linear| linear.name.clone());
        self.by_module.extend(modules.map(|module| (module, collector.channels.clone())));
        Ok(())
    }
}
