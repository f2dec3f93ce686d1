//! GPTQ, as AutoGPTQ and GPTQModel write it and transformers, vLLM and SGLang read it: version 1,
//! version 2, and the planar arrangement.
//!
//! ```text
//! M.qweight  I32 [K * b / 32, N]    each column is a stream of b-bit codes, least significant bit first; 2, 3, 4, 8 bits. 3-bit codes cross word boundaries
//! M.qzeros   I32 [K / g, N * b / 32]   each row is a stream of zero points: minus one, modulo 2^b, in version 1; unchanged in version 2
//! M.scales   F16 [K / g, N]
//! M.g_idx    I32 [K]                the group of each column; some writers omit it if it is k / g
//! M.bias     F16 [N]
//!
//! w[n, k] = (code[k, n] - zero[g_idx[k], n]) * scale[g_idx[k], n]
//! ```
//!
//! Symmetric linears also store zero points. All of them are 2^(b-1): 0x77777777 in version 1,
//! 0x88888888 in version 2. Version 1 cannot store a zero point of 0: it wraps to 2^b - 1, and
//! readers disagree whether that is 0 or 2^b. Files that claim version 1 but store version 2 are
//! recognised by their values ([`qweight::Zeros`](super::qweight)). Planar files (`gptq_p`, 2 to 8
//! bits) are version 2 with codes split into bit planes; they are read only.
//!
//! The configuration is in `quantize_config.json`, and repeated in `config.json` under
//! `quantization_config`. Settings of single modules are in `dynamic`. Sources: GPTQModel 7.7
//! (`quantization/config.py`, `nn_modules/qlinear`, `utils/model.py`), AutoGPTQ 0.7, vLLM PR 38966.

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

/// Reader and writer of GPTQ's versions.
#[derive(Debug)]
pub(super) struct Gptq(pub(super) Convention);

/// Widths of codes that can be written, in bits.
const WIDTHS: &[u32] = &[2, 3, 4, 8];

impl Gptq {
    /// Name of the layout.
    const fn name(&self) -> &'static str {
        match self.0 {
            Convention::Gptq => "gptq",
            Convention::GptqV2 => "gptq-v2",
            _ => "gptq-p",
        }
    }
}

impl ReadLayout for Gptq {
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

impl WriteLayout for Gptq {
    fn carries(&self, format: &Format) -> Vec<Carried> {
        if self.0 == Convention::GptqPlanar { Vec::new() } else { qweight::carries(format, WIDTHS) }
    }

    fn parts(&self, linear: &Linear, format: &Format, _: Activations) -> Result<Vec<Part>, String> {
        let (rows, cols) = linear.matrix("GPTQ")?;
        if self.carries(format).is_empty() {
            return Err(format!("{} has no {format}", self.name()));
        }
        if rows % 32 != 0 || cols % 32 != 0 {
            return Err(format!("{rows} rows of {cols}: GPTQ packs 32 of each together"));
        }
        tensors(self.0, linear, format)
    }

    fn configure(&self, quantized: &Quantized<'_>, config: &Map<String, Value>) -> Vec<(String, Vec<u8>)> {
        config::write(self.0, quantized, config)
    }

    fn stores(&self, format: &Format, _: lowbit_blocks::Dtype) -> Format {
        qweight::stores(format)
    }

    fn refuses(&self, format: &Format, zeros: &[u8]) -> Option<String> {
        let nulls = zeros.iter().filter(|zero| **zero == 0).count();
        let lost = self.0 == Convention::Gptq && format.zero == Zero::Int && nulls > 0;
        lost.then(|| {
            let all = zeros.len();
            format!("{nulls} of {all} zero points are 0, which version 1 of GPTQ cannot say; gptq-v2 can")
        })
    }
}

/// The tensors of a linear.
fn tensors(convention: Convention, linear: &Linear, format: &Format) -> Result<Vec<Part>, String> {
    let (rows, cols) = linear.matrix("GPTQ")?;
    let (bits, signed) = (format.element.bits(), format.zero == Zero::None);
    // The shape may come from a file. Divide before multiplying, so that nothing overflows.
    let words = |n: usize| n / 32 * bits as usize + (n % 32 * bits as usize).div_ceil(32);
    let groups = format.scale_grid(linear.shape).1;
    let planar = convention == Convention::GptqPlanar;
    if planar && (rows % 32 != 0 || cols % 32 != 0) {
        return Err(format!("{rows} rows of {cols}: planes are of 32 codes"));
    }
    let zeros = zeros(convention, bits);
    let zeros = if signed {
        let constant = constant(zeros, bits, rows);
        Holds::Repeated(constant.ok_or_else(|| format!("zero points of {rows} rows do not fill words"))?)
    } else {
        Holds::Zeros(Some(zeros))
    };
    let scale = scale_dtype(format.scale.kind);
    let transposed = Packing::Transposed { bytes: scale.bitsize() / 8 };
    let part = |suffix, dtype, shape, holds| Part::new(&linear.module, suffix, dtype, shape, holds);
    let codes = if planar { Packing::Planes { bits, signed } } else { Packing::Across { bits, signed } };
    Ok(vec![
        part("qweight", Dtype::I32, vec![words(cols), rows], Holds::Codes(Some(codes))),
        part("qzeros", Dtype::I32, vec![groups, words(rows)], zeros),
        part("scales", scale, vec![groups, rows], Holds::Scales(Some(transposed))),
        part("g_idx", Dtype::I32, vec![cols], Holds::Groups),
    ])
}

/// The packing of zero points in a version of GPTQ.
const fn zeros(convention: Convention, bits: u32) -> Packing {
    match convention {
        Convention::GptqPlanar => Packing::PlaneColumns { bits },
        _ => Packing::Columns { bits, less_one: matches!(convention, Convention::Gptq) },
    }
}
