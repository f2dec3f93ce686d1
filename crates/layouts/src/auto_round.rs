//! AutoRound's configuration over tensors of GPTQ, AWQ and compressed-tensors. Read only;
//! conversions write one of those layouts.
//!
//! ```text
//! packing_format            tensors
//! auto_round:auto_gptq      GPTQ version 1, often without g_idx
//! auto_round:gptqmodel      GPTQ version 2
//! auto_round                GPTQ version 2
//! auto_round:auto_awq       AWQ GEMM
//! auto_round:llm_compressor compressed-tensors: MXFP4, MXFP8, NVFP4
//! auto_round:fp8_static     compressed-tensors: FP8
//! ```
//!
//! Symmetric integers use the full range: the larger side of a group becomes -2^(b-1), and scales
//! may be negative. `extra_config` has the settings of single modules, by name or regular
//! expression; 16 bits mean that a module stays unquantized. Sources: AutoRound 0.15
//! (`export/export_to_autoround`, `inference/convert_model.py`, `inference/backend.py`).

mod translate;

use super::qweight::{self, Convention, Settings, is_auto_round};
use super::{Contradiction, Found, ReadLayout, awq, compressed_tensors, gptq, stored};
use crate::{Checkpoint, Result};
use serde_json::Value;

/// Reader of AutoRound's checkpoints.
#[derive(Debug)]
pub(super) struct AutoRound;

impl ReadLayout for AutoRound {
    fn find(&self, checkpoint: &Checkpoint) -> Result<Option<Found>> {
        let Some(settings) = Settings::read(checkpoint)? else {
            return of_compressed_tensors(checkpoint);
        };
        if !settings.auto_round {
            return Ok(None);
        }
        Ok(Some(match settings.convention {
            Convention::Gptq | Convention::GptqV2 | Convention::GptqPlanar => {
                gptq::linears(checkpoint, &settings)
            }
            _ => awq::linears(checkpoint, &settings),
        }))
    }

    fn contradictions(&self, checkpoint: &Checkpoint) -> Result<Vec<Contradiction>> {
        qweight::contradictions(checkpoint)
    }
}

/// The linears that are stored as tensors of compressed-tensors.
fn of_compressed_tensors(checkpoint: &Checkpoint) -> Result<Option<Found>> {
    let Some(config) = stored::any_quantization_config(checkpoint) else { return Ok(None) };
    let text = |key: &str| config.get(key).and_then(Value::as_str);
    let ours = text("quant_method").is_some_and(is_auto_round);
    match text("packing_format") {
        Some("auto_round:llm_compressor" | "auto_round:fp8_static" | "auto_round:fp8") if ours => {
            compressed_tensors::linears(checkpoint, &translate::translate(config)).map(Some)
        }
        _ => Ok(None),
    }
}
