//! compressed-tensors, as version 0.19 writes it and vLLM, SGLang and transformers read it.
//!
//! ```text
//! format in the config     tensors of module M, W = [N, K]
//! nvfp4-pack-quantized     M.weight_packed U8 [N, K/2]      M.weight_scale F8_E4M3 [N, K/16]   M.weight_global_scale F32 [1], which divides
//! mxfp4-pack-quantized     M.weight_packed U8 [N, K/2]      M.weight_scale U8 (E8M0) [N, K/32]
//! mxfp8-quantized          M.weight F8_E4M3 [N, K]          M.weight_scale U8 (E8M0) [N, K/32]
//! float-quantized, naive   M.weight F8_E4M3 [N, K]          M.weight_scale [1] | [N, 1] | [N/128, K/128] in the weight's dtype
//! int-quantized            M.weight I8 [N, K]               M.weight_scale [N, 1]
//! pack-quantized           M.weight_packed I32 [N, Kb/32]   M.weight_scale [N, 1] | [N, K/g]   M.weight_shape I64 [2] = N, K
//!                          asymmetric: M.weight_zero_point I32 [Nb/32, K/g], packed down the columns
//! ```
//!
//! `config.json` holds `quantization_config` with one group; keys sorted, indented by two, no newline at the end. Schemes and arguments in it
//! forbid unknown keys, so nothing is ever added to them. `pack-quantized` adds 2^(b-1) to signed codes; 3, 5, 6 and 7 bits cross word
//! ends (since 0.18). Sources: `quantization/quant_args.py`, `quant_scheme.py`, `compressors/`, of compressed-tensors 0.19.0.
//!
//! Experts are one module each, as vLLM loads them. transformers merges them at load: 5.17 does it right for FP8 per channel, symmetric packed integers and
//! MXFP4, refuses MXFP8, INT8, tiles and zero points, and drops the global scale of NVFP4 experts without a word.

mod config;
mod find;

use super::part::scale_dtype;
use super::{Carried, Companion, Found, Holds, Layout, Linear, Packing, Part, Quantized};
use crate::safetensors::Dtype;
use crate::{Checkpoint, Result};
use lowbit_blocks::{Block, Format, INT8, MXFP4, MXFP8, NVFP4, ScaleKind, Zero};
use lowbit_calib::{Activations, recipes::Producer};
use lowbit_kernels::Element;
use serde_json::{Map, Value};

/// See the module's text.
#[derive(Debug)]
pub(super) struct CompressedTensors;

/// `CompressionFormat` of a linear: how its tensors look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Compression {
    Nvfp4,
    Mxfp4,
    Mxfp8,
    Float,
    Naive,
    Int,
    Pack,
}

impl Compression {
    /// The compression of a format, with or without quantized activations; `None` where compressed-tensors has none.
    fn of(format: &Format, activations: Activations) -> Option<Self> {
        let quiet = activations == Activations::None;
        let float_scale = format.scale.is_float() && !format.tensor_scale;
        Some(match (format.element, format.block) {
            _ if *format == NVFP4 && quiet => Self::Nvfp4,
            _ if *format == MXFP4 => Self::Mxfp4,
            _ if *format == MXFP8 => Self::Mxfp8,
            (Element::E4m3, Block::Tensor | Block::Channel | Block::Tile { rows: 128, cols: 128 })
                if float_scale && format.zero == Zero::None =>
            {
                if quiet {
                    Self::Naive
                } else {
                    Self::Float
                }
            }
            (Element::Int { bits: 8 }, Block::Channel)
                if !quiet && float_scale && format.zero == Zero::None =>
            {
                Self::Int
            }
            (Element::Int { bits: 2..=8 }, Block::Channel | Block::Group(_))
                if quiet && float_scale && format.zero == Zero::None =>
            {
                Self::Pack
            }
            (Element::Uint { bits: 2..=8 }, Block::Channel | Block::Group(_))
                if quiet && float_scale && format.zero == Zero::Int =>
            {
                Self::Pack
            }
            _ => return None,
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Nvfp4 => "nvfp4-pack-quantized",
            Self::Mxfp4 => "mxfp4-pack-quantized",
            Self::Mxfp8 => "mxfp8-quantized",
            Self::Float => "float-quantized",
            Self::Naive => "naive-quantized",
            Self::Int => "int-quantized",
            Self::Pack => "pack-quantized",
        }
    }
}

impl Layout for CompressedTensors {
    fn name(&self) -> &'static str {
        "compressed-tensors"
    }

    fn producer(&self) -> Producer {
        Producer::CompressedTensors
    }

    fn carries(&self, format: &Format) -> Vec<Carried> {
        // FP8 and INT8 presets quantize activations; the others leave them alone.
        let dynamic_first =
            matches!(format.element, Element::E4m3) && format.scale.is_float() || is_int8(format);
        let mut ways = [Activations::None, Activations::Dynamic];
        if dynamic_first {
            ways.reverse();
        }
        let carried = |activations: &Activations| {
            Compression::of(format, *activations)
                .map(|_| Carried { scheme: preset(format, *activations), activations: *activations })
        };
        ways.iter().filter_map(carried).collect()
    }

    fn stores(&self, format: &Format, weight: lowbit_blocks::Dtype) -> Format {
        if format.scale.is_float() { format.with_scale(ScaleKind::of(weight)) } else { *format }
    }

    fn divides(&self) -> bool {
        true
    }

    fn input_scale(&self, format: &Format) -> Option<Companion> {
        let reciprocal = format.tensor_scale;
        let suffix = if reciprocal { "input_global_scale" } else { "input_scale" };
        Some(Companion { suffix, dtype: reciprocal.then_some(Dtype::F32), listed: true, reciprocal })
    }

    fn parts(&self, linear: &Linear, format: &Format, activations: Activations) -> Result<Vec<Part>, String> {
        let (rows, cols) = linear.matrix("compressed-tensors")?;
        let compression =
            Compression::of(format, activations).ok_or("compressed-tensors has no such format")?;
        let (high, wide) = format.scale_grid(linear.shape);
        let part = |suffix, dtype, shape, holds| Part::new(&linear.module, suffix, dtype, shape, holds);
        let scale = |dtype, shape| part("weight_scale", dtype, shape, Holds::Scales(None));
        let packed = |bytes| part("weight_packed", Dtype::U8, vec![rows, bytes], Holds::Codes(None));
        let weight = |dtype| part("weight", dtype, vec![rows, cols], Holds::Codes(None));
        let float_scale = || {
            let shape = if format.block == Block::Tensor { vec![1] } else { vec![high, wide] };
            scale(scale_dtype(format.scale), shape)
        };
        Ok(match compression {
            Compression::Nvfp4 => vec![
                packed(cols / 2),
                scale(Dtype::F8_E4M3, vec![high, wide]),
                part("weight_global_scale", Dtype::F32, vec![1], Holds::TensorScale),
            ],
            Compression::Mxfp4 => vec![packed(cols / 2), scale(Dtype::U8, vec![high, wide])],
            Compression::Mxfp8 => vec![weight(Dtype::F8_E4M3), scale(Dtype::U8, vec![high, wide])],
            Compression::Float | Compression::Naive => vec![weight(Dtype::F8_E4M3), float_scale()],
            Compression::Int => vec![weight(Dtype::I8), float_scale()],
            Compression::Pack => {
                let bits = format.element.bits();
                // The shape may come from a file: no product of it before it is known to be small.
                let words = |n: usize| n / 32 * bits as usize + (n % 32 * bits as usize).div_ceil(32);
                let codes = Packing::Words { bits, signed: format.zero == Zero::None };
                let numbers = [rows, cols].iter().flat_map(|&n| (n as u64).to_le_bytes()).collect();
                let mut parts = vec![
                    part("weight_packed", Dtype::I32, vec![rows, words(cols)], Holds::Codes(Some(codes))),
                    float_scale(),
                    part("weight_shape", Dtype::I64, vec![2], Holds::Fixed(numbers)),
                ];
                if format.zero == Zero::Int {
                    let zeros = Holds::Zeros(Some(Packing::Down { bits }));
                    parts.push(part("weight_zero_point", Dtype::I32, vec![words(rows), wide], zeros));
                }
                parts
            }
        })
    }

    fn configure(&self, quantized: &Quantized<'_>, config: &Map<String, Value>) -> Vec<(String, Vec<u8>)> {
        config::write(quantized, config)
    }

    fn find(&self, checkpoint: &Checkpoint) -> Result<Option<Found>> {
        find::find(checkpoint)
    }
}

/// INT8 per channel, whatever float its scales are stored in.
fn is_int8(format: &Format) -> bool {
    format.scale.is_float() && format.with_scale(INT8.scale) == INT8
}

/// The preset's name in llm-compressor, or one in its style.
fn preset(format: &Format, activations: Activations) -> String {
    let quiet = activations == Activations::None;
    let name = match (format.element, format.block) {
        (Element::E2m1, _) if format.tensor_scale => "NVFP4",
        (Element::E2m1, _) => "MXFP4",
        (Element::E4m3, _) if format.scale == ScaleKind::E8m0 => "MXFP8",
        (Element::E4m3, Block::Tensor) => "FP8",
        (Element::E4m3, Block::Channel) => return if quiet { "FP8A16" } else { "FP8_DYNAMIC" }.into(),
        (Element::E4m3, _) => "FP8_BLOCK",
        (element, _) => {
            let (bits, asym) = (element.bits(), if format.zero == Zero::Int { "_ASYM" } else { "" });
            return format!("W{bits}A{}{asym}", if quiet { 16 } else { 8 });
        }
    };
    if quiet { format!("{name}A16") } else { name.into() }
}
