//! compressed-tensors, as version 0.19 writes it and vLLM, SGLang and transformers read it. Older
//! versions are read too.
//!
//! ```text
//! format in the config     tensors of module M, W = [N, K]
//! nvfp4-pack-quantized     M.weight_packed U8 [N, K/2]      M.weight_scale F8_E4M3 [N, K/16]   M.weight_global_scale F32 [1], which divides
//!                          static: M.input_global_scale F32 [1], which divides
//! mxfp4-pack-quantized     M.weight_packed U8 [N, K/2]      M.weight_scale U8 (E8M0) [N, K/32]
//! mxfp8-quantized          M.weight F8_E4M3 [N, K]          M.weight_scale U8 (E8M0) [N, K/32]
//! float-quantized, naive   M.weight F8_E4M3 [N, K]          M.weight_scale [1] | [N, 1] | [N/128, K/128] in the weight's dtype
//!                          static: M.input_scale [1]
//! int-quantized            M.weight I8 [N, K], any bits     M.weight_scale [1] | [N, 1] | [N, K/g]
//!                          asymmetric: M.weight_zero_point I8 like the scale      static: M.input_scale [1], M.input_zero_point I8 [1]
//! pack-quantized           M.weight_packed I32 [N, Kb/32]   M.weight_scale [1] | [N, 1] | [N, K/g]   M.weight_shape I64 [2] = N, K
//!                          asymmetric: M.weight_zero_point I32 [Nb/32, K/g], packed down the columns; I8 [1] of a single scale
//!                          act-order: M.weight_g_idx I32 [K], the group of each column
//! stacks of E matrices     the same with E in front, of shapes and of M.weight_shape
//! sparse-24-bitmask, sparse-bitmask: see `sparse`
//! attention module A       A.k_scale, A.v_scale, A.q_scale: [1] or [heads, 1, 1] in the weight's dtype
//! transforms               M.GROUP_LOCATION.weight, .perm
//! ```
//!
//! `pack-quantized` adds 2^(b-1) to signed codes. Since version 0.18, codes of 3, 5, 6 and 7 bits
//! cross word boundaries. Version 0.17 stored `32 / b` codes in each word under the same name; the
//! number of words distinguishes them. Version 0.19 removed `weight_g_idx` and refuses `"actorder":
//! "group"`; vLLM and versions up to 0.18 read it. Integers that are symmetric, weight-only and
//! unpacked (`naive-quantized`) are read as int-quantized.
//!
//! `config.json` has `quantization_config`, with sorted keys, indented by two, without a newline at
//! the end. Schemes and arguments in it forbid unknown keys, so nothing is ever added to them.
//! Sources: `quantization/quant_args.py`, `quant_scheme.py`, `utils/match.py`, `compressors/`, of
//! compressed-tensors 0.19.0.
//!
//! Each expert is a module, as vLLM loads them. transformers merges them when it loads: version
//! 5.17 is correct for FP8 per channel, symmetric packed integers and MXFP4. It refuses MXFP8,
//! INT8, tiles and zero points, and silently drops the global scale of NVFP4 experts.

mod args;
mod compression;
mod config;
mod find;
mod groups;

pub(super) use find::linears;

use super::{
    Cache, CacheNumber, Carried, Companion, Found, Ignored, Linear, Part, Quantized, ReadLayout, WriteLayout,
    stored,
};
use crate::{Checkpoint, Result};
use compression::Compression;
use lowbit_blocks::{Format, INT8, ScaleKind, Zero};
use lowbit_calib::Activations;
use lowbit_container::safetensors::Dtype;
use lowbit_kernels::Element;
use serde_json::{Map, Value};

/// `quant_method` of its configurations.
const METHOD: &str = "compressed-tensors";

/// Reader and writer of compressed-tensors.
#[derive(Debug)]
pub(super) struct CompressedTensors;

impl ReadLayout for CompressedTensors {
    fn find(&self, checkpoint: &Checkpoint) -> Result<Option<Found>> {
        find::find(checkpoint)
    }

    fn ignored(&self, checkpoint: &Checkpoint) -> Option<Ignored> {
        Ignored::of_compressed_tensors(stored::any_quantization_config(checkpoint)?)
    }
}

impl WriteLayout for CompressedTensors {
    fn carries(&self, format: &Format) -> Vec<Carried> {
        // FP8 and INT8 presets quantize activations, the others do not.
        let dynamic_first =
            format.element == Element::E4m3 && format.scale.kind.is_float() || is_int8(format);
        let mut ways = [Activations::None, Activations::Dynamic, Activations::Static];
        if dynamic_first {
            ways.swap(0, 1);
        }
        let carried = |activations: &Activations| {
            Compression::of(format, *activations)
                .map(|_| Carried { scheme: preset(format, *activations), activations: *activations })
        };
        ways.iter().filter_map(carried).collect()
    }

    fn parts(&self, linear: &Linear, format: &Format, activations: Activations) -> Result<Vec<Part>, String> {
        let compression =
            Compression::of(format, activations).ok_or("compressed-tensors has no such format")?;
        if linear.permuted && compression != Compression::Pack {
            return Err(format!("{} has no place for the order of columns", compression.name()));
        }
        linear.matrix("compressed-tensors")?;
        Ok(compression.parts(linear, format))
    }

    fn configure(&self, quantized: &Quantized<'_>, config: &Map<String, Value>) -> Vec<(String, Vec<u8>)> {
        config::write(quantized, config)
    }

    fn stores(&self, format: &Format, weight: lowbit_blocks::Dtype) -> Format {
        if format.scale.kind.is_float() { format.with_scale(ScaleKind::of(weight)) } else { *format }
    }

    fn input_scale(&self, format: &Format) -> Option<Companion> {
        let reciprocal = format.has_tensor_scale();
        let suffix = if reciprocal { "input_global_scale" } else { "input_scale" };
        let companion =
            Companion { suffix, dtype: reciprocal.then_some(Dtype::F32), listed: true, reciprocal };
        (format.scale.kind != ScaleKind::E8m0).then_some(companion)
    }

    fn cache(&self, attention: &str, number: CacheNumber) -> Option<(String, Companion)> {
        let suffix = match number {
            CacheNumber::Scale(Cache::Key) => "k_scale",
            CacheNumber::Scale(Cache::Value) => "v_scale",
            CacheNumber::Scale(Cache::Query) => "q_scale",
            CacheNumber::Bias(_) => return None,
        };
        let companion = Companion { suffix, dtype: None, listed: true, reciprocal: false };
        Some((format!("{attention}.{suffix}"), companion))
    }
}

/// Whether the format is INT8 per channel, with scales of any float type.
fn is_int8(format: &Format) -> bool {
    format.scale.kind.is_float() && format.with_scale(INT8.scale.kind) == INT8
}

/// The name of the preset in llm-compressor, or a name in its style.
fn preset(format: &Format, activations: Activations) -> String {
    let quiet = activations == Activations::None;
    let fixed = if activations == Activations::Static && !format.has_tensor_scale() { "_STATIC" } else { "" };
    let block = format.block;
    let name = match activations {
        _ if format.element == Element::E2m1 => {
            if format.has_tensor_scale() {
                "NVFP4"
            } else {
                "MXFP4"
            }
        }
        _ if format.element != Element::E4m3 => {
            let (bits, asym) = (format.element.bits(), if format.zero == Zero::Int { "_ASYM" } else { "" });
            return format!("W{bits}A{}{asym}{fixed}", if quiet { 16 } else { 8 });
        }
        _ if format.scale.kind == ScaleKind::E8m0 => "MXFP8",
        Activations::Dynamic if block.is_tensor() => "FP8_TENSOR_DYNAMIC",
        _ if block.is_tensor() => "FP8",
        Activations::Static if block.is_channel() => "FP8_CHANNEL_STATIC",
        _ if block.is_channel() => return if quiet { "FP8A16" } else { "FP8_DYNAMIC" }.into(),
        _ => "FP8_BLOCK",
    };
    if quiet { format!("{name}A16") } else { name.into() }
}
