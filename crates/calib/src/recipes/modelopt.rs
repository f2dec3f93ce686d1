//! Recipes of NVIDIA Model Optimizer 0.47: f32 scales, f32 quotients of float scales, calibration
//! by `max`.
//!
//! ```text
//! format        quant_algo                  scale                                        zero block   quotient
//! nvfp4         W4A16_NVFP4                 E4M3(bmax / RN(6 t)), t = amax / 2688        1.0          f32, -0.0 -> +0
//! mxfp4         mxfp4                       2^ceil(log2(bmax / 6))                       byte 0       parity: ties toward zero, 0 -> -0
//! mxfp8         MXFP8                       2^ceil(log2(bmax / 448))                     byte 0       f32
//! fp8           FP8                         amax / 448                                   1.0          parity: rounded to the weight's type
//! fp8-channel   FP8_PER_CHANNEL_PER_TOKEN   amax / 448                                   1.0          f32
//! fp8-block     fp8_pb_wo                   amax / 448                                   1.0          f32
//! int8          W8A16                       amax / 127                                   1.0          f32
//! int4-g*       W4A16_AWQ                   amax / 7                                     1.0          f32
//! ```
//!
//! One deviation from the tool: an all-zero matrix, which it turns into NaN (NVFP4, FP8 per
//! tensor), gets scale 1.
//!
//! Sources: `modelopt/torch/quantization/qtensor/*.py`, `modelopt/torch/export/quant_utils.py`.

use lowbit_blocks::{
    Dtype, Element, FP8, FP8_BLOCK, FP8_CHANNEL, Format, INT8, MXFP4, MXFP8, NVFP4, ScaleKind, Zero,
};

use crate::arithmetic::{Arithmetic, Ties, ZeroSign};
use crate::recipe::{Activations, Recipe};
use crate::scale_rule::ScaleRule;
use crate::zero_block::ZeroBlock;

/// Calibration keeps the amax of rows and tiles in the weight's type, and the amax of INT4 groups
/// in f32.
const OF_WEIGHT: ZeroBlock = ZeroBlock::OneNormal(Arithmetic::Weight);

/// The recipe of a format that ModelOpt writes; `None` for others.
#[must_use]
pub fn recipe(format: &Format, dtype: Dtype, parity: bool) -> Option<Recipe> {
    let format = if format.scale.kind.is_float() { format.with_scale(ScaleKind::F32) } else { *format };
    let ours = Recipe::new(format).ok()?;
    let recipe = match format {
        NVFP4 => Recipe { zero_sign: ZeroSign::Positive, ..ours },
        MXFP4 => {
            let f32_rne = Recipe { scale_rule: ScaleRule::CeilLog2, ..ours };
            match parity {
                true => Recipe { ties: Ties::TowardZero, zero_sign: ZeroSign::Negative, ..f32_rne },
                false => f32_rne,
            }
        }
        MXFP8 => Recipe { scale_rule: ScaleRule::CeilLog2, activations: Activations::Dynamic, ..ours },
        // In PyTorch a scale without dimensions does not promote, so the quotient of a bf16 weight
        // is bf16.
        FP8 => {
            let arithmetic = if parity && dtype != Dtype::F32 { Arithmetic::Weight } else { Arithmetic::F32 };
            Recipe { arithmetic, activations: Activations::Static, ..ours }
        }
        FP8_CHANNEL => Recipe { zero_block: OF_WEIGHT, activations: Activations::Dynamic, ..ours },
        FP8_BLOCK => Recipe { zero_block: OF_WEIGHT, ..ours },
        INT8 => Recipe { scale_rule: ScaleRule::Narrow, zero_block: OF_WEIGHT, ..ours },
        Format { element, block, zero: Zero::None, .. }
            if block.is_group() && element == (Element::Int { bits: 4 }) && format.scale.kind.is_float() =>
        {
            Recipe {
                scale_rule: ScaleRule::Narrow,
                zero_block: ZeroBlock::OneNormal(Arithmetic::F32),
                ..ours
            }
        }
        _ => return None,
    };
    Some(recipe)
}
