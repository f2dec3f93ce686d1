//! ModelOpt's unified Hugging Face export, as version 0.47 writes it.
//!
//! ```text
//! quant_algo                        tensors of module M, W = [o, i]
//! NVFP4, W4A16_NVFP4, NVFP4_AWQ,    M.weight U8 [o, i/2]     M.weight_scale F8_E4M3 [o, i/16]   M.weight_scale_2 F32 [], which multiplies
//!   NVFP4_SVD
//! W4A8_NVFP4_FP8                    as NVFP4 with [o, i/32]; M.weight_scale_2 is amax / 448, so that code * scale is in the range of E4M3
//! mxfp4, W4A8_MXFP4_FP8             M.weight U8 [o, i/2]     M.weight_scale U8 (E8M0) [o, i/32]
//! MXFP8                             M.weight F8_E4M3 [o, i]  M.weight_scale U8 (E8M0) [o, i/32]
//! FP8                               M.weight F8_E4M3 [o, i]  M.weight_scale F32 []
//! FP8_PER_CHANNEL_PER_TOKEN         M.weight F8_E4M3 [o, i]  M.weight_scale F32 [o]
//! fp8_pb_wo                         M.weight F8_E4M3 [o, i]  M.weight_scale F32 [o/128, 1, i/128, 1], or without the ones
//! W8A16, W8A8_SQ_PER_CHANNEL        M.weight I8 [o, i]       M.weight_scale F32 [o]
//! W4A16_AWQ                         M.weight U8 [o/2, i]     M.weight_scale F32 [o, i/g]        byte [j, c]: rows 2j (low) and 2j+1 (high)
//! W4A8_AWQ                          as W4A16_AWQ, and M.weight_scale_2 F32 []
//!
//! static scales of the input        M.input_scale F32 []     NVFP4: amax / 2688, the others amax / 448 or / 127
//! smoothing                         M.pre_quant_scale [i] in the weight's dtype, which the input is multiplied by
//! NVFP4_SVD                         M.svdquant_lora_a [r, i], M.svdquant_lora_b [o, r], or under M.weight_quantizer._svdquant_lora_a and _b
//! cache of attention module A       A.k_proj.k_scale, A.v_proj.v_scale F32 [] (amax / 448, of NVFP4 too)   affine: A.k_proj.k_bias, A.v_proj.v_bias
//! stacks of E matrices              the same with E in front
//! ```
//!
//! For W4A8_AWQ the file has the INT4 stage only: `W = code * weight_scale`. Its second stage is an
//! E4M3 rounding in the engine at run time, `E4M3(W / weight_scale_2) * weight_scale_2`, with
//! `weight_scale_2 = amax / 448`. W is read exactly; `weight_scale_2` is carried over.
//!
//! For a single tile ModelOpt drops all axes of the scale (`[]`). A loader that has allocated four
//! may refuse this, so `[1, 1, 1, 1]` is written, and both are read.
//!
//! `hf_quant_config.json` and `quantization_config` in `config.json` have the same content,
//! indented by four. A checkpoint without either is recognised by the dtypes and shapes of its
//! tensors. The lower case of two algorithms is ModelOpt's. Sources: `torch/export/quant_utils.py`,
//! `unified_export_hf.py`, `convert_hf_config.py`, of ModelOpt 0.47.

mod algorithm;
mod config;
mod exclude;
mod find;
mod stacks;

use super::{
    Cache, CacheNumber, Carried, Companion, Found, Holds, Ignored, Linear, Part, Quantized, ReadLayout,
    WriteLayout, stored,
};
use crate::{Checkpoint, Result};
use algorithm::{ALGORITHMS, Algorithm, Weight, second_stage};
use lowbit_blocks::{Format, ScaleKind};
use lowbit_calib::Activations;
use lowbit_container::safetensors::Dtype;
use serde_json::{Map, Value};

/// Name of the layout, and `quant_method` of its configurations.
const METHOD: &str = "modelopt";

/// Reader and writer of ModelOpt.
#[derive(Debug)]
pub(super) struct ModelOpt;

impl ReadLayout for ModelOpt {
    fn find(&self, checkpoint: &Checkpoint) -> Result<Option<Found>> {
        find::find(checkpoint)
    }

    fn ignored(&self, checkpoint: &Checkpoint) -> Option<Ignored> {
        match stored::any_quantization_config(checkpoint) {
            Some(config) => Ignored::of_modelopt(config),
            None => {
                Ignored::of_modelopt(find::side(checkpoint).ok().flatten()?.get("quantization")?.as_object()?)
            }
        }
    }
}

impl WriteLayout for ModelOpt {
    fn carries(&self, format: &Format) -> Vec<Carried> {
        let ways = [Activations::None, Activations::Dynamic, Activations::Static];
        let carried = |activations| {
            let algorithm = Algorithm::of(format, activations, false)?;
            Some(Carried { scheme: algorithm.name.to_owned(), activations })
        };
        ways.into_iter().filter_map(carried).collect()
    }

    fn parts(&self, linear: &Linear, format: &Format, activations: Activations) -> Result<Vec<Part>, String> {
        linear.matrix("ModelOpt")?;
        if linear.permuted {
            return Err("ModelOpt has no place for the order of columns".into());
        }
        // Scales of any float type are accepted. The conversion reports whether f32 changes them.
        let algorithm = Algorithm::of(format, activations, false)
            .or_else(|| ALGORITHMS.iter().find(|a| a.carries(format)).copied())
            .ok_or_else(|| format!("ModelOpt has no {format}"))?;
        let stored = if format.scale.kind.is_float() { format.with_scale(ScaleKind::F32) } else { *format };
        let mut parts = algorithm.weight.parts(linear, &stored)?;
        if algorithm.weight == Weight::Int4 && activations == Activations::Static {
            parts.push(Part::new(
                &linear.module,
                "weight_scale_2",
                Dtype::F32,
                vec![],
                Holds::Made(second_stage),
            ));
        }
        Ok(parts)
    }

    fn configure(&self, quantized: &Quantized<'_>, config: &Map<String, Value>) -> Vec<(String, Vec<u8>)> {
        config::write(quantized, config)
    }

    fn stores(&self, format: &Format, _: lowbit_blocks::Dtype) -> Format {
        if format.scale.kind.is_float() { format.with_scale(ScaleKind::F32) } else { *format }
    }

    fn input_scale(&self, format: &Format) -> Option<Companion> {
        let companion =
            Companion { suffix: "input_scale", dtype: Some(Dtype::F32), listed: false, reciprocal: false };
        let takes = |a: &Algorithm| a.activations == Activations::Static && a.carries(format);
        ALGORITHMS.iter().any(takes).then_some(companion)
    }

    fn pre_quant_scale(&self) -> Option<Companion> {
        Some(Companion { suffix: "pre_quant_scale", dtype: None, listed: true, reciprocal: false })
    }

    fn cache(&self, attention: &str, number: CacheNumber) -> Option<(String, Companion)> {
        let (projection, suffix, dtype) = match number {
            CacheNumber::Scale(Cache::Key) => ("k_proj", "k_scale", Some(Dtype::F32)),
            CacheNumber::Scale(Cache::Value) => ("v_proj", "v_scale", Some(Dtype::F32)),
            CacheNumber::Bias(Cache::Key) => ("k_proj", "k_bias", None),
            CacheNumber::Bias(Cache::Value) => ("v_proj", "v_bias", None),
            CacheNumber::Scale(Cache::Query) | CacheNumber::Bias(Cache::Query) => return None,
        };
        let companion = Companion { suffix, dtype, listed: false, reciprocal: false };
        Some((format!("{attention}.{projection}.{suffix}"), companion))
    }
}

/// Whether there is a `hf_quant_config.json` with quantization.
pub(super) fn has_side_file(checkpoint: &Checkpoint) -> bool {
    let side = find::side(checkpoint).ok().flatten();
    side.is_some_and(|side| side.get("quantization").is_some_and(Value::is_object))
}
