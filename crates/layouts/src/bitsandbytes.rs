//! bitsandbytes 0.50, as transformers saves it: NF4 and FP4 in flat blocks, and INT8 of LLM.int8().
//!
//! ```text
//! NF4, FP4   P U8 [ceil(N K / 2), 1]      two codes per byte, the first in the high nibble; blocks cross row ends, the last may be short
//!            P.absmax F32 [blocks]        the amax of each block: its scale
//!            P.quant_map F32 [16]         the table of values, always that of the element
//!            P.quant_state.bitsandbytes__nf4 (or __fp4) U8: a JSON text
//!              {"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [N, K]}
//! nested     P.absmax U8 [blocks], P.nested_absmax F32 [ceil(blocks / 256)], P.nested_quant_map F32 [256], and in the text
//!              "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": o
//!            absmax[i] = nested_quant_map[code[i]] * nested_absmax[i / 256] + o       f32, product and sum rounded
//! INT8       M.weight I8 [N, K]           value = (code * SCB[row]) * c, c = 1/127 in f32, both products rounded
//!            M.SCB F32 [N]                the amax of each row
//!            M.weight_format U8 []        0: plain rows; other values are tensor-core orders of old versions
//! ```
//!
//! P is the name of the parameter, `M.weight`. With `bnb_4bit_quant_storage` P has another dtype,
//! but the same bytes. The block size is in the JSON text only. Sources: `functional.py`
//! (`QuantState`, `quantize_4bit`, `int8_vectorwise_dequant`), `nn/modules.py`,
//! `backends/default/ops.py`, of bitsandbytes 0.50.

mod config;
mod find;
mod nested;
mod state;

use super::{Carried, Found, Holds, Linear, Packing, Part, Quantized, ReadLayout, WriteLayout};
use crate::{Checkpoint, Result};
use lowbit_blocks::{Format, INT8, NF4, Outer, ScaleKind};
use lowbit_calib::Activations;
use lowbit_container::safetensors::Dtype;
use lowbit_kernels::Element;
use serde_json::{Map, Value};

/// Reader and writer of bitsandbytes.
#[derive(Debug)]
pub(super) struct BitsAndBytes {
    /// Whether the absmax values are quantized too (double quantization).
    pub(super) nested: bool,
}

/// Block sizes that `dequantize_4bit` accepts.
const BLOCKSIZES: [usize; 8] = [32, 64, 128, 256, 512, 1024, 2048, 4096];

/// Whether the format is NF4 or FP4 as bitsandbytes stores it, with scales of any float type.
fn is_four_bits(format: &Format) -> bool {
    let Some(blocksize) = format.block.flat() else { return false };
    let row = NF4.with_element(format.element).with_block(format.block);
    format.element.is_codebook()
        && BLOCKSIZES.contains(&blocksize)
        && format.scale.kind.is_float()
        && format.with_scale(row.scale.kind) == row
}

/// Whether the format is INT8 per channel, with scales of any float type, with or without a tensor
/// scale.
fn is_int8(format: &Format) -> bool {
    let plain = format.with_scale(INT8.scale.kind).with_outer(Outer::None);
    format.scale.kind.is_float() && plain == INT8
}

impl ReadLayout for BitsAndBytes {
    fn find(&self, checkpoint: &Checkpoint) -> Result<Option<Found>> {
        let nested = checkpoint.tensors().any(|t| t.entry.name.ends_with(nested::ABSMAX));
        if nested == self.nested { find::find(checkpoint) } else { Ok(None) }
    }
}

impl WriteLayout for BitsAndBytes {
    fn carries(&self, format: &Format) -> Vec<Carried> {
        let (scheme, activations) = if is_four_bits(format) {
            (format.element.name().to_uppercase(), Activations::None)
        } else if is_int8(format) && !self.nested {
            ("LLM.int8".into(), Activations::Dynamic)
        } else {
            return Vec::new();
        };
        vec![Carried { scheme, activations }]
    }

    fn parts(&self, linear: &Linear, format: &Format, _: Activations) -> Result<Vec<Part>, String> {
        linear.matrix("bitsandbytes")?;
        if is_int8(format) {
            let marker = Holds::Fixed(vec![0]);
            let mut parts = int8_parts(linear);
            parts.push(Part::new(&linear.module, "weight_format", Dtype::U8, vec![], marker));
            return Ok(parts);
        }
        if !is_four_bits(format) {
            return Err(format!("bitsandbytes has no {format}"));
        }
        let weight = &linear.weight;
        let part = |suffix, dtype, shape, holds| Part::new(weight, suffix, dtype, shape, holds);
        let codes = Part {
            name: weight.clone(),
            dtype: Dtype::U8,
            shape: vec![format.codes_len(linear.shape), 1],
            holds: Holds::Codes(Some(Packing::HighFirst)),
        };
        let (_, blocks) = format.scale_grid(linear.shape);
        let mut parts =
            vec![codes, part("quant_map", Dtype::F32, vec![16], Holds::Fixed(table(format.element)))];
        if self.nested {
            parts.extend(nested::parts(weight, blocks, state::NESTED_BLOCKSIZE));
        } else {
            parts.push(part("absmax", Dtype::F32, vec![blocks], Holds::Scales(None)));
        }
        // The length of the text does not depend on the offset.
        let text = state::text(linear, format, self.nested.then_some(0.0)).into_bytes();
        let (shape, suffix) =
            (vec![text.len()], format!("quant_state.bitsandbytes__{}", format.element.name()));
        let holds = if self.nested { Holds::Made(nested::write) } else { Holds::Fixed(text) };
        parts.push(part(&suffix, Dtype::U8, shape, holds));
        Ok(parts)
    }

    fn configure(&self, quantized: &Quantized<'_>, config: &Map<String, Value>) -> Vec<(String, Vec<u8>)> {
        config::write(quantized, config, self.nested)
    }

    fn stores(&self, format: &Format, _: lowbit_blocks::Dtype) -> Format {
        format
            .with_scale(ScaleKind::F32)
            .with_outer(Outer::matrix(format.has_tensor_scale() || is_int8(format)))
    }

    fn implied_scale(&self, format: &Format) -> Option<f32> {
        is_int8(format).then_some(STEP)
    }
}

/// The INT8 step as a fraction of the row's absmax. bitsandbytes multiplies by this f32.
const STEP: f32 = lowbit_calib::recipes::bitsandbytes::STEP;

/// The parts of an INT8 linear, without its marker.
fn int8_parts(linear: &Linear) -> Vec<Part> {
    let (rows, cols) = (linear.shape.rows, linear.shape.cols);
    let part = |suffix, dtype, shape, holds| Part::new(&linear.module, suffix, dtype, shape, holds);
    vec![
        part("weight", Dtype::I8, vec![rows, cols], Holds::Codes(None)),
        part("SCB", Dtype::F32, vec![rows], Holds::Scales(None)),
    ]
}

/// The sixteen values of an element as the file stores them. Both zeros of FP4 are positive there.
fn table(element: Element) -> Vec<u8> {
    (0..16).flat_map(|code| (element.decode_one(code) + 0.0).to_le_bytes()).collect()
}
