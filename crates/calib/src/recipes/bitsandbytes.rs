//! Recipes of bitsandbytes 0.50 on a CPU: NF4 and FP4 over the flat matrix, INT8 by rows.
//!
//! ```text
//! scale      amax of the block, f32; zero stays zero
//! quotient   x * (1 / max(amax, 1e-38))
//!            short last block: x / max(amax, 1e-38), and this maximum is the stored scale
//! ties       to the lower value; FP4: among its two zeros, code 8 for (0, 1/384] and code 0 for (-1/384, 0]
//! ```
//!
//! INT8 stores the amax of a row. A step is amax / 127: amax * (1/127 rounded to f32). Quotients
//! are ours: x / step in f32, from the unrounded weight, with ties to even. bitsandbytes multiplies
//! the weight in f16 by 127/amax, which differs at ties only. For rows of zeros its codes are
//! undefined; ours store a scale of 1.
//!
//! NF4 has one recipe. For FP4 the default is the rule of the CUDA kernel: thresholds on |x|, and
//! the sign of x. Parity is the search of the CPU.
//!
//! Sources: `bitsandbytes/backends/default/ops.py` (`quantize_4bit`), `csrc/kernels.cu`.

use lowbit_blocks::{Element, Format, INT8, Outer, ScaleKind, Zero};

use crate::arithmetic::{Quotient, Ties};
use crate::recipe::Recipe;
use crate::scale_rule::ScaleRule;
use crate::tensor_scale::TensorScaleRule;
use crate::zero_block::ZeroBlock;

/// The step of INT8, relative to the stored amax of the row.
pub const STEP: f32 = 1.0 / 127.0;

/// The recipe of a format that bitsandbytes writes; `None` for others.
#[must_use]
pub fn recipe(format: &Format, parity: bool) -> Option<Recipe> {
    let int8 = format.with_scale(INT8.scale.kind).with_outer(Outer::None);
    if int8 == INT8 && format.scale.kind.is_float() {
        let ours = Recipe::new(INT8).ok()?;
        let format = INT8.with_outer(Outer::Matrix);
        let tensor_scale = TensorScaleRule::Fixed { factor: STEP };
        return Some(Recipe { format, tensor_scale, scale_rule: ScaleRule::Narrow, ..ours });
    }
    let flat = format.block.is_flat() && format.scale.kind.is_float() && format.zero == Zero::None;
    if !flat || !format.element.is_codebook() {
        return None;
    }
    let ours = Recipe::new(format.with_scale(ScaleKind::F32)).ok()?;
    let ties = if parity && format.element == Element::Fp4 { Ties::Lower } else { Ties::Even };
    Some(Recipe { zero_block: ZeroBlock::Keep, quotient: Quotient::Reciprocal, ties, ..ours })
}
