//! Recipes of MLX 0.32 on a CPU: its affine mode. For its other modes they are ours.
//!
//! ```text
//! scale, bias    see ScaleRule::Affine; both in the type of the weight
//! default        codes from the stored scale and bias
//! parity         codes from scale and bias before they are rounded, as in MLX
//! ```
//!
//! Sources: `backend/cpu/quantized.cpp`, `ops.cpp` (`quantize`).

use lowbit_blocks::{Dtype, Format, MXFP4, MXFP8, NVFP4, Outer, ScaleKind, Zero};

use crate::arithmetic::Quotient;
use crate::recipe::Recipe;

/// The recipe of a format that MLX writes, for weights of type `dtype`; `None` for others.
///
/// ```
/// use lowbit_blocks::{Dtype, Format, Shape};
/// use lowbit_calib::recipes::mlx;
/// let format = Format::named("uint4-g32-bias").unwrap();
/// let weights: Vec<f32> = (0..32).map(|i| (i % 16) as f32).collect();
/// let q = mlx::recipe(&format, Dtype::F32, true).unwrap().quantize(Shape::matrix(1, 32), &weights)?;
/// // 15 is the end of larger magnitude: codes count down from it, in steps of -1.
/// assert_eq!(q.to_f32_vec(), weights);
/// assert_eq!(q.scales(), (-1.0f32).to_le_bytes());
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
#[must_use]
pub fn recipe(format: &Format, dtype: Dtype, parity: bool) -> Option<Recipe> {
    const MODES: [Format; 3] = [MXFP4, MXFP8, NVFP4.with_outer(Outer::None)];
    if MODES.contains(format) {
        return Recipe::new(*format).ok();
    }
    let affine = format.zero == Zero::Bias
        && format.element.is_uint()
        && matches!(format.block.group(), Some(32 | 64 | 128));
    if !affine {
        return None;
    }
    let ours = Recipe::new(format.with_scale(ScaleKind::of(dtype))).ok()?;
    Some(Recipe { quotient: if parity { Quotient::Unrounded } else { ours.quotient }, ..ours })
}
