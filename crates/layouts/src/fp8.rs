//! FP8 with separate scales, as DeepSeek and transformers name them: `quant_method` `fp8`, `mxfp8`,
//! `fbgemm_fp8`.
//!
//! ```text
//! fp8            W F8_E4M3 [N, K]     W_scale_inv F32 | BF16 | F16 | F8_E8M0 | U8 (E8M0) [ceil(N / r), ceil(K / c)], which multiplies
//!                                     W_scale_inv []: one for the tensor; [1, 32] blocks with E8M0 are MXFP8 (quant_method mxfp8)
//!                                     W I8 or F4 [N, K/2]: packed E2M1
//!                                     M.activation_scale F32 []: static scale of the input
//!                                     M.weight_scale, M.input_scale: the names of AutoFP8
//! deepseek-v4    M.weight F8_E4M3     M.scale F8_E8M0 [ceil(N/128), ceil(K/128)]; F32 powers of two in the Base variant
//!                experts: M.weight I8 [N, K/2], two E2M1 in a byte, the first in the low nibble; M.scale F8_E8M0 [N, K/32]
//! fbgemm-fp8     M.weight F8_E4M3     M.weight_scale F32 [N, 1]
//!                Llama 4 experts: X F8_E4M3 [E, K, N], the matrices transposed; X_scale F32 [E, 1, N], of down_proj [E, N, 1]
//! ```
//!
//! W is the name of the parameter: `M.weight`, or that of a stack of experts. Despite its name,
//! `weight_scale_inv` multiplies. The block follows from `weight_block_size` if the grid of scales
//! fits it, otherwise from the shapes. E8M0 bytes that are read as integers, as the dtype U8
//! suggests, give scales that are wrong by a factor of 2^(b-127)/b. Sources: transformers 5.17
//! `integrations/finegrained_fp8.py`, `integrations/fbgemm_fp8.py`; vLLM `fp8.py`, `deepseek_v4`.

mod config;
mod find;

use super::part::scale_dtype;
use super::{
    Carried, Companion, Found, Holds, Ignored, Linear, Packing, Part, Quantized, ReadLayout, WriteLayout,
    stored,
};
use crate::{Checkpoint, Result};
use lowbit_arch::Orientation;
use lowbit_blocks::{FP8_CHANNEL, Format, MXFP4, MXFP8, ScaleKind, Zero};
use lowbit_calib::Activations;
use lowbit_container::safetensors::Dtype;
use lowbit_kernels::Element;
use serde_json::{Map, Value};

/// The three FP8 conventions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fp8 {
    /// `quant_method` `fp8` and `mxfp8`.
    Blocks,
    /// DeepSeek-V4.
    DeepSeekV4,
    /// FBGEMM.
    Fbgemm,
}

impl Fp8 {
    /// Name of the layout.
    const fn name(&self) -> &'static str {
        match self {
            Self::Blocks => "fp8",
            Self::DeepSeekV4 => "deepseek-v4",
            Self::Fbgemm => "fbgemm-fp8",
        }
    }
}

impl ReadLayout for Fp8 {
    fn find(&self, checkpoint: &Checkpoint) -> Result<Option<Found>> {
        find::find(*self, checkpoint)
    }

    fn ignored(&self, checkpoint: &Checkpoint) -> Option<Ignored> {
        Ignored::of_transformers(stored::any_quantization_config(checkpoint)?)
    }
}

impl WriteLayout for Fp8 {
    fn carries(&self, format: &Format) -> Vec<Carried> {
        let plain = format.zero == Zero::None && !format.has_tensor_scale();
        let float = format.element == Element::E4m3 && plain && format.scale.kind.is_float();
        let block = format.block;
        let of_deepseek = block.tile() == Some((128, 128));
        let scheme = match self {
            Self::Blocks if block.is_tensor() && float => "FP8",
            Self::Blocks if block.is_tile() && float => "FP8 blocks",
            Self::Blocks if *format == MXFP8 => "MXFP8",
            Self::DeepSeekV4 if of_deepseek && float => "FP8 blocks",
            Self::DeepSeekV4 if of_deepseek && is_ue8m0(format) => "FP8 blocks, ue8m0",
            Self::DeepSeekV4 if *format == MXFP4 => "MXFP4 experts",
            Self::Fbgemm if block.is_channel() && float => "FP8 rows",
            _ => return Vec::new(),
        };
        // A static input scale requires a single scale for the weight.
        let fixed = *self == Self::Blocks && format.block.is_tensor();
        let ways =
            [(scheme.to_owned(), Activations::Dynamic), (format!("{scheme} static"), Activations::Static)];
        let ways = ways.into_iter().take(if fixed { 2 } else { 1 });
        ways.map(|(scheme, activations)| Carried { scheme, activations }).collect()
    }

    fn parts(&self, linear: &Linear, format: &Format, _: Activations) -> Result<Vec<Part>, String> {
        if self.carries(format).is_empty() {
            return Err(format!("{} has no {format}", self.name()));
        }
        if !(linear.stacked && self.has_stacks(linear.orientation)) {
            linear.matrix(self.name())?;
        }
        Ok(self.pair(linear, format, None))
    }

    fn configure(&self, quantized: &Quantized<'_>, config: &Map<String, Value>) -> Vec<(String, Vec<u8>)> {
        config::write(*self, quantized, config)
    }

    fn stores(&self, format: &Format, _: lowbit_blocks::Dtype) -> Format {
        if format.scale.kind.is_float() { format.with_scale(ScaleKind::F32) } else { *format }
    }

    fn input_scale(&self, _: &Format) -> Option<Companion> {
        let companion = Companion {
            suffix: "activation_scale",
            dtype: Some(Dtype::F32),
            listed: false,
            reciprocal: false,
        };
        (*self == Self::Blocks).then_some(companion)
    }
}

/// Whether the format is E4M3 with power-of-two scales.
fn is_ue8m0(format: &Format) -> bool {
    format.scale.kind == ScaleKind::E8m0 && format.element == Element::E4m3 && !format.has_tensor_scale()
}

impl Fp8 {
    /// Whether experts are stacks, in a model whose stacks have this orientation. FBGEMM has the
    /// stacks of Llama 4.
    fn has_stacks(self, stacks: Orientation) -> bool {
        self == Self::Fbgemm && stacks == Orientation::InOut
    }

    /// The name of the scale tensor of a weight.
    fn scale_name(self, linear: &Linear) -> String {
        match self {
            Self::Blocks => format!("{}_scale_inv", linear.weight),
            Self::DeepSeekV4 => format!("{}.scale", linear.module),
            Self::Fbgemm => format!("{}_scale", linear.weight),
        }
    }

    /// The parts of codes and scales. `found` has the dtypes of codes and scales in a file that is
    /// read.
    fn pair(self, linear: &Linear, format: &Format, found: Option<(Dtype, Dtype)>) -> Vec<Part> {
        let shape = linear.shape;
        let stack = |tail: &[usize]| {
            let above = (linear.stacked || shape.matrices != 1).then_some(shape.matrices);
            above.into_iter().chain(tail.iter().copied()).collect::<Vec<_>>()
        };
        let packed = format.element.bits() == 4;
        let (dtypes, cols) = (
            found.unwrap_or((if packed { Dtype::I8 } else { Dtype::F8_E4M3 }, self.scale_dtype(format))),
            // F4 counts values, bytes count pairs of values.
            if packed && found.is_none_or(|(codes, _)| codes != Dtype::F4) {
                shape.cols / 2
            } else {
                shape.cols
            },
        );
        let transposed = linear.orientation == Orientation::InOut;
        let codes = if transposed { stack(&[cols, shape.rows]) } else { stack(&[shape.rows, cols]) };
        let (high, wide) = format.scale_grid(shape);
        // Llama 4's experts store their scales as a row, except for down_proj, [E, N, 1].
        let in_a_row = transposed && !linear.weight.ends_with("down_proj");
        let scales = match in_a_row {
            _ if format.block.is_tensor() => stack(&[]),
            true => stack(&[wide, high]),
            false => stack(&[high, wide]),
        };
        let packing = transposed.then_some(Packing::Transposed { bytes: 1 });
        vec![
            Part { name: linear.weight.clone(), dtype: dtypes.0, shape: codes, holds: Holds::Codes(packing) },
            Part {
                name: self.scale_name(linear),
                dtype: dtypes.1,
                shape: scales,
                holds: Holds::Scales(None),
            },
        ]
    }

    /// The dtype of scales. MXFP8 stores them as bytes, DeepSeek-V4 as E8M0.
    fn scale_dtype(self, format: &Format) -> Dtype {
        if format.scale.kind == ScaleKind::E8m0 && self == Self::Blocks {
            Dtype::U8
        } else {
            scale_dtype(format.scale.kind)
        }
    }
}

/// FP8 per channel with this kind of scale.
fn rows_of(scale: ScaleKind) -> Format {
    FP8_CHANNEL.with_scale(scale)
}
