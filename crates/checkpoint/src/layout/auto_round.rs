//! AutoRound's own label on the tensors of GPTQ, AWQ and compressed-tensors; read, and written as one of those.
//!
//! ```text
//! packing_format            tensors
//! auto_round:auto_gptq      GPTQ version 1, often without g_idx
//! auto_round:gptqmodel      GPTQ version 2
//! auto_round                GPTQ version 2
//! auto_round:auto_awq       AWQ GEMM
//! auto_round:llm_compressor compressed-tensors
//! ```
//!
//! Its symmetric integers use the whole range: the larger side of a group becomes -2^(b-1), and scales may be negative. `extra_config` says what differs
//! by name or regular expression; 16 bits there mean that a module is left alone. Sources: AutoRound 0.15
//! (`export/export_to_autoround`, `inference/convert_model.py`, `inference/backend.py`).

use super::qweight::{Convention, Settings};
use super::{Found, Layout, awq, gptq};
use crate::{Checkpoint, Result};

/// See the module's text.
#[derive(Debug)]
pub(super) struct AutoRound;

impl Layout for AutoRound {
    fn name(&self) -> &'static str {
        "auto-round"
    }

    fn find(&self, checkpoint: &Checkpoint) -> Result<Option<Found>> {
        let Some(settings) = Settings::read(checkpoint)?.filter(|settings| settings.auto_round) else {
            return Ok(None);
        };
        Ok(Some(match settings.convention {
            Convention::Gptq | Convention::GptqV2 | Convention::GptqPlanar => {
                gptq::linears(checkpoint, &settings)
            }
            _ => awq::linears(checkpoint, &settings),
        }))
    }
}
