//! Recipes of compressed-tensors 0.19 and llm-compressor 0.14, eager mode on a CPU: everything is
//! computed in the weight's type d.
//!
//! ```text
//! format        preset          scale                                           zero      quotient
//! nvfp4         NVFP4A16        E4M3(RN_d(bmax/6) g), g = RN_d(RN_d(1/amax) 2688)  0.125    f32, -0.0 -> +0
//! mxfp4, mxfp8  MXFP4A16 …      round-1.75                                      byte 0    RN_d, exact (*)
//! fp8           FP8             RN_d(amax / 448)                                eps(d)    parity: RN_d
//! fp8-channel   FP8_DYNAMIC     RN_d(amax / 448)                                eps(d)    parity: RN_d
//! fp8-block     FP8_BLOCK       RN_d(amax / 448)                                eps(d)    parity: RN_d
//! int8          W8A8            RN_d(amax / 127.5)                              eps(d)    parity: RN_d
//! intN-…        W4A16 …         RN_d(amax / (2^(b-1) - 0.5))                    eps(d)    parity: RN_d
//! intN-…-asym   W4A16_ASYM      RN_d(RN_d(hi - lo) / (2^b - 1))                 eps(d)    parity: RN_d, twice
//! ```
//!
//! The default has the same scales and zero points, with quotients in f32, as the tool itself
//! computes them on a GPU.
//!
//! (*) Exact in bf16 and f32; quotients below the range of bf16 round to zero in both. Weights in
//! f16 are different: 2688 / amax overflows below 0.041, and block scales and quotients underflow.
//! All of these lose accuracy, so for f16 the default computes in f32.
//!
//! Sources: `compressed_tensors/quantization/utils/helpers.py`, `mxfp_utils.py`,
//! `lifecycle/forward_helpers.py`.

use lowbit_blocks::{
    Dtype, Element, FP8, FP8_BLOCK, FP8_CHANNEL, Format, MXFP4, MXFP8, NVFP4, ScaleKind, Zero,
};

use crate::arithmetic::{Arithmetic, ZeroSign};
use crate::recipe::{Activations, Recipe};
use crate::scale_rule::ScaleRule;
use crate::tensor_scale::TensorScaleRule;
use crate::zero_block::ZeroBlock;

/// The recipe of a format that compressed-tensors writes; `None` for others.
#[must_use]
pub fn recipe(format: &Format, dtype: Dtype, parity: bool) -> Option<Recipe> {
    let ours = Recipe::new(*format).ok()?;
    let f16_at_a_loss = dtype == Dtype::F16 && !parity;
    let scale_arithmetic = if f16_at_a_loss { Arithmetic::F32 } else { Arithmetic::Weight };
    if *format == NVFP4 {
        let tensor_scale = TensorScaleRule::Divide { scale_max: Element::E4m3.max() };
        let (zero_block, zero_sign) = (ZeroBlock::Epsilon, ZeroSign::Positive);
        return Some(Recipe { tensor_scale, zero_block, zero_sign, scale_arithmetic, ..ours });
    }
    if *format == MXFP4 || *format == MXFP8 {
        let zero_sign = if *format == MXFP4 { ZeroSign::Positive } else { ZeroSign::Keep };
        let zero_block = if parity && dtype == Dtype::F16 { ZeroBlock::Epsilon } else { ZeroBlock::Least };
        let (scale_rule, arithmetic) = (ScaleRule::Round175, scale_arithmetic);
        return Some(Recipe { scale_rule, zero_block, zero_sign, scale_arithmetic, arithmetic, ..ours });
    }
    // All other formats store scales in the type of the weight.
    let float = |scale: ScaleKind| scale.is_float();
    let activations = match format.with_scale(ScaleKind::F32) {
        FP8 | FP8_CHANNEL | FP8_BLOCK => Activations::Dynamic,
        Format { element, block, zero: Zero::None, .. }
            if block.is_channel() && element == (Element::Int { bits: 8 }) && float(format.scale.kind) =>
        {
            Activations::Dynamic
        }
        Format { element, block, zero, scale, .. }
            if (block.is_tensor() || block.is_by_row())
                && float(scale.kind)
                && (element.is_int() || element.is_uint() && zero == Zero::Int) =>
        {
            Activations::None
        }
        _ => return None,
    };
    let arithmetic = if parity { Arithmetic::Weight } else { Arithmetic::F32 };
    let recipe = Recipe { zero_block: ZeroBlock::Epsilon, scale_arithmetic, arithmetic, activations, ..ours };
    Some(recipe.with_scale(ScaleKind::of(dtype)))
}
