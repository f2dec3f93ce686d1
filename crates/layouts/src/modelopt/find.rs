//! Finds the quantized linears of a ModelOpt checkpoint. The algorithm is configured once, or per
//! layer for `MIXED_PRECISION`, or inferred from the tensors.

use super::super::{Extra, ExtraKind, Found, Stored, stored};
use super::algorithm::{ALGORITHMS, Algorithm, Weight};
use super::stacks;
use crate::{Error, Result};
use lowbit_blocks::Shape;
use lowbit_calib::Activations;
use lowbit_container::safetensors::Entry;
use lowbit_container::{Checkpoint, read_config};
use serde_json::{Map, Value};

/// Name suffixes of further tensors of a linear. The low-rank factors have two spellings, one for
/// each exporter.
const EXTRAS: &[(&str, ExtraKind)] = &[
    ("output_scale", ExtraKind::OutputScale),
    ("svdquant_lora_a", ExtraKind::LowRank),
    ("svdquant_lora_b", ExtraKind::LowRank),
    ("weight_quantizer._svdquant_lora_a", ExtraKind::LowRank),
    ("weight_quantizer._svdquant_lora_b", ExtraKind::LowRank),
];

/// Name of ModelOpt's own configuration file.
pub(super) const SIDE_FILE: &str = "hf_quant_config.json";

/// The content of ModelOpt's own configuration file, if it exists.
pub(super) fn side(checkpoint: &Checkpoint) -> Result<Option<Map<String, Value>>> {
    Ok(read_config(&checkpoint.dir().join(SIDE_FILE))?)
}

pub(super) fn find(checkpoint: &Checkpoint) -> Result<Option<Found>> {
    let side = side(checkpoint)?;
    let side = side.as_ref().and_then(|side| side.get("quantization")).and_then(Value::as_object);
    let modules = || checkpoint.tensors().filter_map(|t| t.entry.name.strip_suffix(".weight_scale"));
    let Some(config) = side.or_else(|| own_config(checkpoint)) else {
        // Without a configuration, all tensors have to be recognisable.
        let known = |module: &str| of_tensors(checkpoint, module).is_some();
        if stored::any_quantization_config(checkpoint).is_some() || !modules().all(known) {
            return Ok(None);
        }
        let found = modules().map(|module| module_of(checkpoint, &Map::new(), module));
        let stacks = stacks::names(checkpoint).map(|name| stacks::read(checkpoint, name, Activations::None));
        let found: Found = found.chain(stacks).collect();
        return Ok((!found.is_empty() && found.iter().all(Result::is_ok)).then_some(found));
    };
    let layers = config.get("quantized_layers").and_then(Value::as_object);
    let stored = modules().map(|module| {
        let layer = layers.and_then(|layers| layers.get(module)).and_then(Value::as_object);
        module_of(checkpoint, layer.unwrap_or(config), module)
    });
    let algorithm = config.get("quant_algo").and_then(Value::as_str).and_then(Algorithm::named);
    let unscaled = algorithm.map_or(Activations::None, |algorithm| algorithm.unscaled);
    let stacks = stacks::names(checkpoint).map(|name| stacks::read(checkpoint, name, unscaled));
    Ok(Some(stored.chain(stacks).collect()))
}

/// The `quantization_config`, if it is ModelOpt's. Engines also write `modelopt_fp4` and similar
/// names.
fn own_config(checkpoint: &Checkpoint) -> Option<&Map<String, Value>> {
    stored::any_quantization_config(checkpoint).filter(|config| is_own(config))
}

/// Whether a `quantization_config` is ModelOpt's.
pub(super) fn is_own(config: &Map<String, Value>) -> bool {
    config.get("quant_method").and_then(Value::as_str).is_some_and(|method| method.starts_with(super::METHOD))
}

/// The kind of a module's weight, inferred from dtypes and shapes.
fn of_tensors(checkpoint: &Checkpoint, module: &str) -> Option<Weight> {
    let entry = |suffix: &str| Some(checkpoint.tensor(&format!("{module}.{suffix}"))?.entry);
    Weight::of_tensors(entry("weight")?, entry("weight_scale")?, entry("weight_scale_2").is_some())
}

fn module_of(checkpoint: &Checkpoint, config: &Map<String, Value>, module: &str) -> Result<Stored> {
    let tensor =
        |suffix: &str| checkpoint.tensor(&format!("{module}.{suffix}")).map(|t| t.entry.name.clone());
    let weight = checkpoint.require(&format!("{module}.weight"))?;
    let scale = checkpoint.require(&format!("{module}.weight_scale"))?;
    let name = config.get("quant_algo").and_then(Value::as_str).unwrap_or_default();
    let algorithm = Algorithm::named(name);
    let holds = match algorithm {
        Some(algorithm) => algorithm.weight,
        None if name.is_empty() || name == "MIXED_PRECISION" => of_tensors(checkpoint, module)
            .ok_or_else(|| weight.error("no algorithm of ModelOpt has tensors like these"))?,
        None => {
            return Err(Error::Convention {
                dir: checkpoint.dir().to_owned(),
                method: format!("modelopt {name}"),
                readable: ALGORITHMS.iter().map(|a| a.name).collect::<Vec<_>>().join(", "),
            });
        }
    };
    let codes = match weight.entry.shape[..] {
        [rows, cols] => Shape::matrix(rows, cols),
        [matrices, rows, cols] => Shape { matrices, rows, cols },
        _ => return Err(weight.error(format!("shape {:?} is not a matrix", weight.entry.shape)).into()),
    };
    let shape = holds.shape(codes);
    let format = holds.format(group(config, scale.entry, shape.cols));
    let linear = stored::linear(checkpoint, &weight.entry.name, shape);
    format.check(shape).map_err(|e| weight.error(e.to_string()))?;
    let parts = holds.parts(&linear, &format).map_err(|e| weight.error(e))?;
    let mut stored = Stored::new(checkpoint, linear, format, parts)?;
    stored.input_scale = stored::input_scale(checkpoint, module, "input_scale", false);
    stored.pre_quant_scale = tensor("pre_quant_scale");
    stored.activations = match (algorithm, &stored.input_scale) {
        (Some(algorithm), Some(_)) if algorithm.activations != Activations::None => Activations::Static,
        (Some(algorithm), _) => algorithm.unscaled,
        (None, Some(_)) => Activations::Static,
        (None, None) if matches!(holds, Weight::Mxfp8 | Weight::Fp8Channel) => Activations::Dynamic,
        (None, None) => Activations::None,
    };
    stored.extras = stored::extras(checkpoint, module, EXTRAS);
    if holds == Weight::Int4 {
        let stage = tensor("weight_scale_2").map(|tensor| Extra { tensor, kind: ExtraKind::SecondStage });
        stored.extras.extend(stage);
    }
    Ok(stored)
}

/// The group size: the configured one, otherwise inferred from the scales.
fn group(config: &Map<String, Value>, scale: &Entry, cols: usize) -> usize {
    let said = config.get("group_size").and_then(Value::as_u64).filter(|&size| size > 0);
    let groups = scale.shape.last().copied().unwrap_or(0).max(1);
    said.and_then(|size| usize::try_from(size).ok()).unwrap_or(cols / groups)
}
