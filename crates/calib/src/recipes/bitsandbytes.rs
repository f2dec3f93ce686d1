//! Recipes of bitsandbytes 0.50 on a CPU: NF4 and FP4 over the flat matrix.
//!
//! ```text
//! scale      amax of the block, f32; zero stays zero
//! quotient   x * (1 / max(amax, 1e-38)); the short last block x / max(amax, 1e-38), which is also what it stores
//! ties       to the lower value; FP4: among its two zeros, code 8 for (0, 1/384] and code 0 for (-1/384, 0]
//! ```
//!
//! NF4 has one recipe. For FP4 the default is the rule of the CUDA kernel, cuts on |x| and the sign of x; parity is the CPU's search.
//!
//! Sources: `bitsandbytes/backends/default/ops.py` (`quantize_4bit`), `csrc/kernels.cu`.

use lowbit_blocks::{Block, Element, Format, ScaleKind, Zero};

use crate::arithmetic::{Quotient, Ties};
use crate::recipe::Recipe;
use crate::zero_block::ZeroBlock;

/// The recipe of a format that bitsandbytes writes.
#[must_use]
pub fn recipe(format: &Format, parity: bool) -> Option<Recipe> {
    let flat = matches!(format.block, Block::Flat(_)) && format.scale.is_float() && format.zero == Zero::None;
    if !flat || !matches!(format.element, Element::Nf4 | Element::Fp4) {
        return None;
    }
    let ours = Recipe::new(format.with_scale(ScaleKind::F32)).ok()?;
    let ties = if parity && format.element == Element::Fp4 { Ties::Lower } else { Ties::Even };
    Some(Recipe { zero_block: ZeroBlock::Keep, quotient: Quotient::Reciprocal, ties, ..ours })
}
