//! AWQ, as AutoAWQ and GPTQModel write it and transformers, vLLM and SGLang read it. GEMM is
//! written and read; GEMV and GEMV-fast are read only.
//!
//! ```text
//! version    M.qweight                M.qzeros                 M.scales
//! gemm       I32 [K, N / 8]           I32 [K / g, N / 8]       F16 [K / g, N]     nibble i of a word is row 8j + (0 2 4 6 1 3 5 7)[i]
//! gemv       I32 [N, K / 8]           I32 [N, w]               F16 [N, 8 w]       nibbles in order; w words are more than K / g / 8 for small groups
//! gemv_fast  I16 [N / 4, K]           F16 [8 w, N]             F16 [8 w, N]       four rows shuffled; qzeros are -zero * scale
//! all        M.bias F16 [N]
//!
//! w[n, k] = (code - zero) * scale     gemv_fast: code * scale + qzeros, in one fused operation
//! ```
//!
//! There are only 4-bit codes. Zero points are stored unchanged; symmetric linears have 8
//! everywhere. Columns are in their own order: there is no `g_idx`. `config.json` has a
//! `quantization_config` with `bits`, `group_size`, `zero_point`, `version`,
//! `modules_to_not_convert`; AutoAWQ's own `quant_config.json` has `w_bit` and `q_group_size`.
//! Sources: AutoAWQ 0.2.9 (`awq/modules/linear`, `awq/utils/packing_utils.py`,
//! `awq/models/_config.py`).

mod config;
mod find;

pub(super) use find::linears;

use super::part::{Linear, Part, scale_dtype};
use super::qweight::{self, Convention, constant};
use super::{
    Carried, Contradiction, Found, Holds, Ignored, Packing, Quantized, ReadLayout, WriteLayout, stored,
};
use crate::{Checkpoint, Result};
use lowbit_blocks::{Format, Zero};
use lowbit_calib::Activations;
use lowbit_container::safetensors::Dtype;
use serde_json::{Map, Value};

/// Reader and writer of AWQ's versions.
#[derive(Debug)]
pub(super) struct Awq(pub(super) Convention);

impl Awq {
    /// Name of the layout.
    const fn name(&self) -> &'static str {
        match self.0 {
            Convention::AwqGemv => "awq-gemv",
            Convention::AwqGemvFast => "awq-gemv-fast",
            _ => "awq",
        }
    }
}

impl ReadLayout for Awq {
    fn find(&self, checkpoint: &Checkpoint) -> Result<Option<Found>> {
        qweight::find(self.0, checkpoint, linears)
    }

    fn ignored(&self, checkpoint: &Checkpoint) -> Option<Ignored> {
        Ignored::of_transformers(stored::any_quantization_config(checkpoint)?)
    }

    fn contradictions(&self, checkpoint: &Checkpoint) -> Result<Vec<Contradiction>> {
        qweight::contradictions(checkpoint)
    }
}

impl WriteLayout for Awq {
    fn carries(&self, format: &Format) -> Vec<Carried> {
        if self.0 == Convention::AwqGemm { qweight::carries(format, &[4]) } else { Vec::new() }
    }

    fn parts(&self, linear: &Linear, format: &Format, _: Activations) -> Result<Vec<Part>, String> {
        if self.carries(format).is_empty() {
            return Err(format!("{} has no {format}", self.name()));
        }
        gemm(linear, format)
    }

    fn configure(&self, quantized: &Quantized<'_>, config: &Map<String, Value>) -> Vec<(String, Vec<u8>)> {
        config::write(quantized, config)
    }

    fn stores(&self, format: &Format, _: lowbit_blocks::Dtype) -> Format {
        qweight::stores(format)
    }
}

/// The tensors of a linear in version `gemm`.
fn gemm(linear: &Linear, format: &Format) -> Result<Vec<Part>, String> {
    let (rows, cols) = linear.matrix("AWQ")?;
    if rows % 8 != 0 {
        return Err(format!("{rows} rows do not divide into AWQ's words of 8"));
    }
    let groups = format.scale_grid(linear.shape).1;
    let signed = format.zero == Zero::None;
    let zeros = match constant(Packing::InterleavedZeros, 4, rows) {
        Some(words) if signed => Holds::Repeated(words),
        _ => Holds::Zeros(Some(Packing::InterleavedZeros)),
    };
    let scale = scale_dtype(format.scale.kind);
    let transposed = Packing::Transposed { bytes: scale.bitsize() / 8 };
    let part = |suffix, dtype, shape, holds| Part::new(&linear.module, suffix, dtype, shape, holds);
    let codes = Holds::Codes(Some(Packing::Interleaved { signed }));
    Ok(vec![
        part("qweight", Dtype::I32, vec![cols, rows / 8], codes),
        part("qzeros", Dtype::I32, vec![groups, rows / 8], zeros),
        part("scales", scale, vec![groups, rows], Holds::Scales(Some(transposed))),
    ])
}
