//! Quantized linears of a ModelOpt checkpoint: the algorithm is stated once, or per layer for `MIXED_PRECISION`.

use super::super::{Found, Layout, Linear, Stored, stored};
use super::config::SIDE_FILE;
use super::{ALGORITHMS, AWQ, ModelOpt, int4};
use crate::checkpoint::{Checkpoint, read_config};
use crate::{Error, Result};
use lowbit_blocks::{Block, Format, Shape};
use serde_json::{Map, Value};

pub(super) fn find(checkpoint: &Checkpoint) -> Result<Option<Found>> {
    let side = read_config(&checkpoint.dir().join(SIDE_FILE))?;
    let side = side.as_ref().and_then(|side| side.get("quantization")).and_then(Value::as_object);
    let Some(config) = side.or(stored::quantization_config(checkpoint, "modelopt")) else { return Ok(None) };
    let layers = config.get("quantized_layers").and_then(Value::as_object);
    let modules = checkpoint.tensors().filter_map(|t| t.entry.name.strip_suffix(".weight_scale"));
    let stored = modules.map(|module| {
        let config =
            layers.and_then(|layers| layers.get(module)).and_then(Value::as_object).unwrap_or(config);
        module_of(checkpoint, config, module)
    });
    Ok(Some(stored.collect()))
}

fn module_of(checkpoint: &Checkpoint, config: &Map<String, Value>, module: &str) -> Result<Stored> {
    let name = config.get("quant_algo").and_then(Value::as_str).unwrap_or_default();
    let weight = checkpoint.require(&format!("{module}.weight"))?;
    let scale = checkpoint.require(&format!("{module}.weight_scale"))?;
    let [rows, cols] = weight.entry.shape[..] else {
        return Err(weight.error(format!("shape {:?} is not a matrix", weight.entry.shape)));
    };
    let known = ALGORITHMS.iter().find(|a| a.name.eq_ignore_ascii_case(name)).map(|a| a.format);
    let format = match known {
        Some(format) => format,
        None if name == AWQ => {
            // The group size is in one of the two configurations at best; the scales always tell it.
            let groups = scale.entry.shape.last().copied().unwrap_or(0).max(1);
            int4(cols / groups).format
        }
        None => {
            return Err(Error::Convention {
                dir: checkpoint.dir().to_owned(),
                method: format!("modelopt {name}"),
                readable: ALGORITHMS.iter().map(|a| a.name).chain([AWQ]).collect::<Vec<_>>().join(", "),
            });
        }
    };
    let shape = match format.block {
        Block::Group(_) if format.element.bits() == 4 && name != AWQ => {
            Shape::matrix(rows, cols.saturating_mul(2))
        }
        _ if name == AWQ => Shape::matrix(rows.saturating_mul(2), cols),
        _ => Shape::matrix(rows, cols),
    };
    let linear = Linear {
        module: module.to_owned(),
        weight: weight.entry.name.clone(),
        shape,
        dtype: stored::weight_dtype(checkpoint),
        ..Linear::default()
    };
    format.check(shape).map_err(|e| weight.error(e.to_string()))?;
    let parts = ModelOpt.parts(&linear, &Format { ..format }, lowbit_calib::Activations::None);
    let mut stored = Stored::new(checkpoint, linear, format, parts.map_err(|e| weight.error(e))?)?;
    stored.input_scale = stored::input_scale(checkpoint, module, "input_scale", false);
    stored.pre_quant_scale =
        checkpoint.tensor(&format!("{module}.pre_quant_scale")).map(|t| t.entry.name.clone());
    Ok(stored)
}
