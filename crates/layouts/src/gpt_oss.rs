//! gpt-oss: stacks of experts in MXFP4, `quant_method` `mxfp4`; everything else stays unquantized.
//!
//! ```text
//! X_blocks U8 [E, N, K/32, 16]     sixteen bytes of a block: 32 E2M1 codes, the first in the low nibble
//! X_scales U8 [E, N, K/32]         E8M0: 2^(byte - 127)
//! X_bias   BF16 [E, N]
//! ```
//!
//! X is `….mlp.experts.gate_up_proj` or `….mlp.experts.down_proj`. An unquantized checkpoint stores
//! it as [E, K, N], that is [in, out]. Even rows of gate_up are the gate's, odd rows are the up
//! projection's; the family's row in `lowbit-arch` says so. Source: transformers 5.17
//! `integrations/mxfp4.py`.

use super::{Carried, Found, Holds, Linear, Part, Quantized, ReadLayout, Stored, WriteLayout, stored};
use crate::{CONFIG, Checkpoint, Result, Tensor, json};
use lowbit_arch::Orientation;
use lowbit_blocks::{Format, MXFP4, Shape};
use lowbit_calib::Activations;
use lowbit_container::safetensors::Dtype;
use serde_json::{Map, Value, json};

/// Reader and writer of gpt-oss.
#[derive(Debug)]
pub(super) struct GptOss;

/// The number of values in a block, and its length in bytes.
const BLOCK: usize = 32;
const BYTES: usize = BLOCK / 2;

const BLOCKS: &str = "_blocks";
const SCALES: &str = "_scales";

impl ReadLayout for GptOss {
    fn find(&self, checkpoint: &Checkpoint) -> Result<Option<Found>> {
        let method = stored::any_quantization_config(checkpoint).map(|config| config.get("quant_method"));
        let blocks = checkpoint.tensors().filter_map(|blocks| {
            let weight = blocks.entry.name.strip_suffix(BLOCKS)?;
            // Without a configuration, both names have to exist.
            let known = method.is_some() || checkpoint.tensor(&format!("{weight}{SCALES}")).is_some();
            known.then(|| self.stored(checkpoint, blocks, weight))
        });
        Ok(match method {
            Some(method) if method.and_then(Value::as_str) == Some("mxfp4") => Some(blocks.collect()),
            Some(_) => None,
            None => Some(blocks.collect::<Vec<_>>()).filter(|found| !found.is_empty()),
        })
    }
}

impl WriteLayout for GptOss {
    fn carries(&self, format: &Format) -> Vec<Carried> {
        let way = Carried { scheme: "MXFP4 experts".into(), activations: Activations::None };
        (*format == MXFP4).then_some(way).into_iter().collect()
    }

    fn parts(&self, linear: &Linear, format: &Format, _: Activations) -> Result<Vec<Part>, String> {
        if *format != MXFP4 {
            return Err(format!("gpt-oss has no {format}"));
        }
        if !linear.stacked {
            return Err("gpt-oss quantizes stacks of experts and nothing else".into());
        }
        let Shape { matrices, rows, cols } = linear.shape;
        let part = |end, shape, holds| Part {
            name: format!("{}{end}", linear.weight),
            dtype: Dtype::U8,
            shape,
            holds,
        };
        let grid = [matrices, rows, cols / BLOCK];
        Ok(vec![
            part(BLOCKS, [&grid[..], &[BYTES]].concat(), Holds::Codes(None)),
            part(SCALES, grid.to_vec(), Holds::Scales(None)),
        ])
    }

    fn configure(&self, quantized: &Quantized<'_>, config: &Map<String, Value>) -> Vec<(String, Vec<u8>)> {
        let mut config = config.clone();
        let left_out: Vec<_> =
            quantized.left_out().into_iter().chain(quantized.embeddings.iter().cloned()).collect();
        config.insert(
            "quantization_config".into(),
            json!({"modules_to_not_convert": left_out, "quant_method": "mxfp4"}),
        );
        vec![(CONFIG.into(), json::dumps(&json::sorted(&Value::Object(config)), 2))]
    }
}

impl GptOss {
    /// The stack of experts whose codes are in this tensor.
    fn stored(&self, checkpoint: &Checkpoint, blocks: Tensor<'_>, weight: &str) -> Result<Stored> {
        let [matrices, rows, groups, BYTES] = blocks.entry.shape[..] else {
            return Err(blocks
                .error(format!("shape {:?} is not [experts, out, in / 32, 16]", blocks.entry.shape))
                .into());
        };
        let shape = Shape { matrices, rows, cols: groups.saturating_mul(BLOCK) };
        MXFP4.check(shape).map_err(|e| blocks.error(e.to_string()))?;
        let linear = Linear {
            module: weight.to_owned(),
            orientation: Orientation::InOut,
            stacked: true,
            ..stored::linear(checkpoint, weight, shape)
        };
        let parts = self.parts(&linear, &MXFP4, Activations::None).map_err(|e| blocks.error(e))?;
        let mut stored = Stored::new(checkpoint, linear, MXFP4, parts)?;
        stored.bias = checkpoint.tensor(&format!("{weight}_bias")).map(|bias| bias.entry.name.clone());
        Ok(stored)
    }
}
