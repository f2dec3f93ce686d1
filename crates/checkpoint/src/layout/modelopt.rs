//! ModelOpt's unified Hugging Face export, as version 0.47 writes it.
//!
//! ```text
//! quant_algo                  tensors of module M, W = [o, i]
//! W4A16_NVFP4, NVFP4          M.weight U8 [o, i/2]     M.weight_scale F8_E4M3 [o, i/16]   M.weight_scale_2 F32 [], which multiplies
//! mxfp4                       M.weight U8 [o, i/2]     M.weight_scale U8 (E8M0) [o, i/32]
//! MXFP8                       M.weight F8_E4M3 [o, i]  M.weight_scale U8 (E8M0) [o, i/32]
//! FP8                         M.weight F8_E4M3 [o, i]  M.weight_scale F32 []
//! FP8_PER_CHANNEL_PER_TOKEN   M.weight F8_E4M3 [o, i]  M.weight_scale F32 [o]
//! fp8_pb_wo                   M.weight F8_E4M3 [o, i]  M.weight_scale F32 [o/128, 1, i/128, 1]
//! W8A16                       M.weight I8 [o, i]       M.weight_scale F32 [o]
//! W4A16_AWQ                   M.weight U8 [o/2, i]     M.weight_scale F32 [o, i/g]        byte [j, c]: rows 2j (low) and 2j+1 (high)
//! ```
//!
//! Of a single tile ModelOpt drops every axis of the scale (`[]`), which a loader that has allocated four may not take: `[1, 1, 1, 1]` is written, both are read.
//!
//! Static activation scales are `M.input_scale` F32 [], smoothing is `M.pre_quant_scale` [i]. `hf_quant_config.json` and
//! `quantization_config` in `config.json` say the same twice, indented by four. The lower case of two algorithms is ModelOpt's.
//! Sources: `torch/export/quant_utils.py`, `unified_export_hf.py`, `convert_hf_config.py`, of ModelOpt 0.47.

mod config;
mod find;

use super::{Carried, Companion, Found, Holds, Layout, Linear, Packing, Part, Quantized};
use crate::safetensors::Dtype;
use crate::{Checkpoint, Result};
use lowbit_blocks::{Block, FP8, FP8_BLOCK, FP8_CHANNEL, Format, INT8, MXFP4, MXFP8, NVFP4, ScaleKind};
use lowbit_calib::{Activations, recipes::Producer};
use serde_json::{Map, Value};

/// See the module's text.
#[derive(Debug)]
pub(super) struct ModelOpt;

/// One algorithm: a format, what the configuration calls it, and which keys it adds.
struct Algorithm {
    name: &'static str,
    format: Format,
    activations: Activations,
    /// Whether `hf_quant_config.json` states the group size.
    group_size: bool,
    /// Whether `config.json` has `config_groups`.
    groups: bool,
    /// Whether this version writes it: some need calibrated input scales.
    written: bool,
}

const PLAIN: Algorithm = Algorithm {
    name: "",
    format: FP8,
    activations: Activations::None,
    group_size: false,
    groups: false,
    written: true,
};

/// The algorithms whose format is one row; INT4 comes with any group size and is in [`int4`].
const ALGORITHMS: &[Algorithm] = &[
    Algorithm { name: "W4A16_NVFP4", format: NVFP4, group_size: true, groups: true, ..PLAIN },
    Algorithm { name: "mxfp4", format: MXFP4, ..PLAIN },
    Algorithm { name: "MXFP8", format: MXFP8, group_size: true, activations: Activations::Dynamic, ..PLAIN },
    Algorithm {
        name: "FP8_PER_CHANNEL_PER_TOKEN",
        format: FP8_CHANNEL,
        activations: Activations::Dynamic,
        ..PLAIN
    },
    Algorithm { name: "fp8_pb_wo", format: FP8_BLOCK, ..PLAIN },
    Algorithm { name: "W8A16", format: INT8, ..PLAIN },
    Algorithm { name: "FP8", format: FP8, activations: Activations::Static, written: false, ..PLAIN },
    Algorithm { name: "NVFP4", format: NVFP4, activations: Activations::Static, written: false, ..PLAIN },
    Algorithm { name: "NVFP4_AWQ", format: NVFP4, activations: Activations::Static, written: false, ..PLAIN },
    Algorithm {
        name: "W8A8_SQ_PER_CHANNEL",
        format: INT8,
        activations: Activations::Static,
        written: false,
        ..PLAIN
    },
];

/// Name of the INT4 algorithm. ModelOpt uses it for plain groups too, where no `pre_quant_scale` is in the file.
const AWQ: &str = "W4A16_AWQ";

/// INT4 in groups of this size, scales in f32.
const fn int4(group: usize) -> Algorithm {
    let format = Format::int(4, Block::Group(group)).with_scale(ScaleKind::F32);
    Algorithm { name: AWQ, format, group_size: true, ..PLAIN }
}

/// The algorithm that writes a format.
fn algorithm(format: &Format) -> Option<Algorithm> {
    // ModelOpt keeps every float scale in f32.
    let format = if format.scale.is_float() { format.with_scale(ScaleKind::F32) } else { *format };
    match format.block {
        Block::Group(group) if format == int4(group).format => Some(int4(group)),
        _ => ALGORITHMS.iter().find(|a| a.written && a.format == format).map(|a| Algorithm { ..*a }),
    }
}

impl Layout for ModelOpt {
    fn name(&self) -> &'static str {
        "modelopt"
    }

    fn producer(&self) -> Producer {
        Producer::ModelOpt
    }

    fn carries(&self, format: &Format) -> Vec<Carried> {
        let carried = |a: Algorithm| Carried { scheme: a.name.to_owned(), activations: a.activations };
        algorithm(format).map(carried).into_iter().collect()
    }

    fn stores(&self, format: &Format, _: lowbit_blocks::Dtype) -> Format {
        if format.scale.is_float() { format.with_scale(ScaleKind::F32) } else { *format }
    }

    fn input_scale(&self, _: &Format) -> Option<Companion> {
        Some(Companion { suffix: "input_scale", dtype: Some(Dtype::F32), listed: false, reciprocal: false })
    }

    fn pre_quant_scale(&self) -> Option<Companion> {
        Some(Companion { suffix: "pre_quant_scale", dtype: None, listed: true, reciprocal: false })
    }

    fn parts(&self, linear: &Linear, format: &Format, _: Activations) -> Result<Vec<Part>, String> {
        let (rows, cols) = linear.matrix("ModelOpt")?;
        let (high, wide) = format.scale_grid(linear.shape);
        let part = |suffix, dtype, shape, holds| Part::new(&linear.module, suffix, dtype, shape, holds);
        let scale = |dtype, shape| part("weight_scale", dtype, shape, Holds::Scales(None));
        let weight = |dtype, cols| part("weight", dtype, vec![rows, cols], Holds::Codes(None));
        let float = |shape| scale(Dtype::F32, shape);
        Ok(match (*format, format.block) {
            (NVFP4, _) => vec![
                weight(Dtype::U8, cols / 2),
                scale(Dtype::F8_E4M3, vec![high, wide]),
                part("weight_scale_2", Dtype::F32, vec![], Holds::TensorScale),
            ],
            (MXFP4, _) => vec![weight(Dtype::U8, cols / 2), scale(Dtype::U8, vec![high, wide])],
            (MXFP8, _) => vec![weight(Dtype::F8_E4M3, cols), scale(Dtype::U8, vec![high, wide])],
            (FP8, _) => vec![weight(Dtype::F8_E4M3, cols), float(vec![])],
            (FP8_CHANNEL, _) => vec![weight(Dtype::F8_E4M3, cols), float(vec![rows])],
            (FP8_BLOCK, _) => vec![weight(Dtype::F8_E4M3, cols), float(vec![high, 1, wide, 1])],
            (INT8, _) => vec![weight(Dtype::I8, cols), float(vec![rows])],
            (_, Block::Group(group)) if *format == int4(group).format => {
                if rows % 2 != 0 || cols % 2 != 0 {
                    return Err(format!(
                        "{rows} rows of {cols}: INT4 in ModelOpt pairs rows, both numbers must be even"
                    ));
                }
                let pairs = Holds::Codes(Some(Packing::RowPairs));
                vec![part("weight", Dtype::U8, vec![rows / 2, cols], pairs), float(vec![rows, wide])]
            }
            _ => return Err(format!("ModelOpt has no {format}")),
        })
    }

    fn configure(&self, quantized: &Quantized<'_>, config: &Map<String, Value>) -> Vec<(String, Vec<u8>)> {
        config::write(quantized, config)
    }

    fn find(&self, checkpoint: &Checkpoint) -> Result<Option<Found>> {
        find::find(checkpoint)
    }
}
