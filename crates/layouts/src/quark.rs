//! AMD Quark's Hugging Face export (`weight_format` `real_quantized`).
//!
//! ```text
//! dtype, qscheme              weight                                weight_scale                       value
//! fp8_e4m3, fp8_e5m2          F8 [N, K]                             F32 [] | [N] | [N/b0, K/b1]        code * scale
//! fp4, per_group              U8 [N, K/2], low nibble first         U8 E8M0 [N, K/g], or floats        code * scale
//! [fp4, fp8_e4m3]  (NVFP4)    the same                              F8_E4M3 [N, K/g]                   code * (scale * weight_scale_2), F32 []
//! fp6_e2m3, fp6_e3m2          U8 [N, 3K/4], 4 codes in 3 bytes      U8 E8M0 [N, K/g]                   code * scale
//! int8, uint8                 I8, U8 [N, K]; per_group [K, N]       [] | [N]; per_group [K/g, N]       (code - weight_zero_point) * scale
//! int4, uint4, per_group      I32 [K, N/8], in AWQ's order          [K/g, N]                           (code - weight_zero_point) * scale
//! ```
//!
//! Further tensors are `input_scale`, `input_zero_point`, `output_scale`. On `k_proj` and `v_proj`
//! the `output_scale` is the scale of the key-value cache.
//!
//! The `quantization_config` has `layer_quant_config` by `fnmatch` patterns (the first match
//! decides), `layer_type_quant_config` by class, and otherwise `global_quant_config`. Each has
//! `weight` and `input_tensors`, which are specifications (`dtype`, `qscheme`, `group_size`,
//! `symmetric`, `is_dynamic`, `scale_format`) or lists of them. `exclude` names unquantized
//! modules. Layers that were FP8 in blocks before Quark are exported under Quark's names; they are
//! in `exclude` and have scales nevertheless, and are read as FP8.
//!
//! Sources: `quark/torch/export`, `quark/torch/utils/pack.py` of amd-quark 0.13; vLLM's
//! `quantization/quark`.

mod config;
mod weights;

use super::{Extra, ExtraKind, Found, ReadLayout, Stored, cache, stored};
use crate::{Checkpoint, Result};
use config::Config;
use lowbit_calib::Activations;

/// AMD Quark 0.13; read only.
#[derive(Debug)]
pub(super) struct Quark;

impl ReadLayout for Quark {
    fn find(&self, checkpoint: &Checkpoint) -> Result<Option<Found>> {
        let Some(config) = stored::quantization_config(checkpoint, "quark") else { return Ok(None) };
        let config = Config::read(checkpoint, config)?;
        let modules = checkpoint.tensors().filter_map(|t| t.entry.name.strip_suffix(".weight_scale"));
        Ok(Some(modules.map(|module| read(checkpoint, &config, module)).collect()))
    }
}

/// Reads one module. Its specification has the settings; its tensors have the shape and the type of
/// scales.
fn read(checkpoint: &Checkpoint, config: &Config<'_>, module: &str) -> Result<Stored> {
    let weight = checkpoint.require(&format!("{module}.weight"))?;
    let scale = checkpoint.require(&format!("{module}.weight_scale"))?;
    let layer = config.of(module);
    let zero = checkpoint.tensor(&format!("{module}.weight_zero_point"));
    let laid = weights::lay(&layer.weight, weight, scale, zero)?;
    let (shape, format) = (laid.shape, laid.format);
    let linear = stored::linear(checkpoint, &weight.entry.name, shape);
    let mut stored = Stored::new(checkpoint, linear, format, laid.parts(module, weight, scale, zero))?;
    dress(&mut stored, checkpoint, layer.activations);
    Ok(stored)
}

/// Adds the tensors that belong to the linear besides its weight.
fn dress(stored: &mut Stored, checkpoint: &Checkpoint, activations: Activations) {
    let module = stored.linear.module.clone();
    let named = |suffix: &str| checkpoint.tensor(&format!("{module}.{suffix}"));
    stored.activations = activations;
    // With two levels of scales, the second is the scale of the whole input.
    let input = named("input_scale_2").or(named("input_scale"));
    if let Some(input) = input {
        let tensor = input.entry.name.clone();
        match input.entry.elements() {
            1 => stored.input_scale = Some((tensor, false)),
            _ => stored.extras.push(Extra { tensor, kind: ExtraKind::InputScales }),
        }
    }
    let extras = [
        ("input_zero_point", ExtraKind::InputZeroPoint),
        ("output_scale", ExtraKind::OutputScale),
        ("input_rotation", ExtraKind::Transform),
    ];
    for (suffix, kind) in extras {
        let found = named(suffix).filter(|tensor| !cache::is_cache(&tensor.entry.name));
        stored.extras.extend(found.map(|tensor| Extra { tensor: tensor.entry.name.clone(), kind }));
    }
}
