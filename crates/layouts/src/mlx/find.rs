//! Finds the quantized modules of an MLX checkpoint: every `M.weight` with `M.scales`, with the
//! settings of M or of all modules.

use super::super::part::scale_kind;
use super::super::{Extra, ExtraKind, Formula, Found, Linear, Stored, read_floats, stored};
use super::{AFFINE, MODES, Mlx, NVFP4_ONE_LEVEL, affine};
use crate::layout::WriteLayout;
use crate::{Checkpoint, Error, Result, Tensor};
use lowbit_blocks::{Block, Format, MXFP4, NVFP4, Shape};
use lowbit_calib::Activations;
use lowbit_container::safetensors::Dtype;
use lowbit_kernels::Element;
use serde_json::{Map, Value};

/// Name suffixes of biases, of MLX and of transformers' `metal`.
const BIASES: [&str; 2] = ["biases", "qbiases"];

pub(super) fn find(checkpoint: &Checkpoint) -> Result<Option<Found>> {
    let Some(config) = quantization(checkpoint) else { return Ok(None) };
    let modules = checkpoint.tensors().filter_map(|scales| {
        let module = scales.entry.name.strip_suffix(".scales")?;
        let weight = checkpoint.tensor(&format!("{module}.weight"))?;
        Some(module_of(checkpoint, config, module, weight, scales))
    });
    Ok(Some(modules.collect()))
}

/// The `quantization`; or a `quantization_config` without `quant_method` that has the same keys; or
/// that of transformers' `metal`.
fn quantization(checkpoint: &Checkpoint) -> Option<&Map<String, Value>> {
    let own = checkpoint.config().and_then(|config| config.get("quantization")).and_then(Value::as_object);
    let shared = stored::any_quantization_config(checkpoint);
    let numbers =
        |config: &&Map<String, Value>| ["group_size", "bits"].iter().all(|key| config.contains_key(*key));
    match shared.and_then(|config| config.get("quant_method")).map(Value::as_str) {
        None => own.or(shared).filter(numbers),
        Some(Some("metal")) => shared,
        Some(_) => None,
    }
}

/// The settings of a module.
struct Said<'a> {
    mode: &'a str,
    bits: u8,
    group: usize,
}

impl<'a> Said<'a> {
    fn of(config: &'a Map<String, Value>, module: &str) -> Option<Self> {
        let own = config.get(module).and_then(Value::as_object);
        let get = |key: &str| own.and_then(|own| own.get(key)).or(config.get(key));
        let number = |key: &str| get(key).and_then(Value::as_u64);
        let mode = get("mode").and_then(Value::as_str).unwrap_or(AFFINE);
        let format = MODES.iter().find(|(name, _)| *name == mode).map(|(_, format)| *format);
        let usual = format
            .and_then(|format| Some((format.element.bits().into(), format.block.group()? as u64)))
            .unwrap_or((4, 64));
        let (bits, group) = (number("bits").unwrap_or(usual.0), number("group_size").unwrap_or(usual.1));
        Some(Self { mode, bits: u8::try_from(bits).ok()?, group: usize::try_from(group).ok()? })
    }

    /// The format, with scales of this dtype.
    fn format(&self, scales: Dtype) -> Option<Format> {
        if self.mode == AFFINE {
            return affine(self.bits, self.group, scale_kind(scales)?);
        }
        let (_, format) = MODES.iter().find(|(name, _)| *name == self.mode)?;
        let same = format.element.bits() == u32::from(self.bits) && format.block == Block::Group(self.group);
        (same && scales == Dtype::U8).then_some(*format)
    }
}

fn module_of(
    checkpoint: &Checkpoint,
    config: &Map<String, Value>,
    module: &str,
    weight: Tensor<'_>,
    scales: Tensor<'_>,
) -> Result<Stored> {
    let said = Said::of(config, module).ok_or_else(|| {
        Error::file(
            &checkpoint.dir().join(crate::CONFIG),
            format!("quantization of {module} has impossible numbers"),
        )
    })?;
    let format = said.format(scales.entry.dtype).ok_or_else(|| {
        let Said { mode, bits, group } = said;
        scales.error(format!(
            "is {}, and MLX has no {mode} of {bits} bits in groups of {group} with that",
            scales.entry.dtype
        ))
    })?;
    // The scales have the number of groups, so that the width of a row need not be inferred from
    // its words.
    let cols = |groups: usize| groups.saturating_mul(said.group);
    let shape = match scales.entry.shape[..] {
        [rows, groups] => Shape::matrix(rows, cols(groups)),
        [matrices, rows, groups] => Shape { matrices, rows, cols: cols(groups) },
        _ => return Err(scales.error(format!("shape {:?} is no matrix", scales.entry.shape)).into()),
    };
    format.check(shape).map_err(|e| scales.error(e.to_string()))?;
    let linear = Linear {
        module: module.to_owned(),
        weight: weight.entry.name.clone(),
        shape,
        dtype: format.scale.kind.dtype().unwrap_or_else(|| stored::weight_dtype(checkpoint)),
        stacked: scales.entry.shape.len() == 3,
        ..Linear::default()
    };
    let mut parts = Mlx.parts(&linear, &format, Activations::None).map_err(|e| weight.error(e))?;
    if let Some(biases) = parts.get_mut(2) {
        let names = BIASES.map(|end| format!("{module}.{end}"));
        if let Some(name) = names.into_iter().find(|name| checkpoint.tensor(name).is_some()) {
            biases.name = name;
        }
    }
    let mut stored = Stored::new(checkpoint, linear, format, parts)?;
    if format.scale.kind.is_float() {
        stored.formula = Formula::Rounded(stored.linear.dtype);
    }
    let global = checkpoint.tensor(&format!("{module}.global_scale"));
    if let Some(global) = global.filter(|_| format == NVFP4_ONE_LEVEL) {
        let [scale] = (if global.entry.elements() == 1 { read_floats(global)? } else { Vec::new() })[..]
        else {
            return Err(global.error(format!("holds {} values, not one", global.entry.elements())).into());
        };
        // The tensor has the amax of the matrix.
        stored.format = NVFP4;
        stored.implied_scale = Some(scale / (Element::E4m3.max() * MXFP4.element.max()));
        stored.extras.push(Extra { tensor: global.entry.name.clone(), kind: ExtraKind::Marker });
    }
    Ok(stored)
}
