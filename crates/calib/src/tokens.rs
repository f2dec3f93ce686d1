//! Activations quantized at run time: each row is one token, and tokens are independent.
//!
//! ```text
//! fp8-channel, int8       one scale per token
//! mxfp4, mxfp6, mxfp8     power-of-two scales per 32 values
//! nvfp4                   E4M3 scales per 16 values, and a tensor scale: given (calibrated), or one per token
//! ```

use lowbit_blocks::{QTensor, Shape, TensorScale, Values};

use crate::error::Error;
use crate::in_memory;
use crate::recipe::Recipe;
use crate::tensor_scale::TensorScaleRule;

/// The source of the tensor scale of activations.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum TokenScale {
    /// Each token has its own: the result is a stack of one-row matrices.
    #[default]
    PerToken,
    /// A calibrated scale: ModelOpt's `input_scale` for a recipe that multiplies,
    /// compressed-tensors' `input_global_scale` for one that divides. Formats without a tensor
    /// scale ignore it.
    Given(f32),
}

/// Quantizes `tokens` rows of `width` values each.
///
/// ```
/// use lowbit_blocks::{FP8_CHANNEL, NVFP4, Shape};
/// use lowbit_calib::{Recipe, TokenScale, quantize_tokens};
///
/// let x = [448.0f32, 1.0, -0.5, 2.0]; // two tokens of two values
/// let q = quantize_tokens(&Recipe::new(FP8_CHANNEL)?, 2, 2, &x, TokenScale::PerToken)?;
/// assert_eq!(q.to_f32_vec(), x); // scales 1 and 2/448: both tokens are exact
///
/// let x = [6.0f32; 16];
/// let q = quantize_tokens(&Recipe::new(NVFP4)?, 1, 16, &x, TokenScale::Given(0.5))?;
/// assert_eq!((q.shape(), q.scales()), (Shape::matrix(1, 16), &[0x40][..])); // 6 / (6 * 0.5) = 2, E4M3 0x40
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
///
/// # Errors
/// [`Error::Recipe`] if blocks span several tokens; [`Error::TensorScale`] if the given scale is
/// not a positive finite number; otherwise as [`Recipe::quantize`].
pub fn quantize_tokens<'x>(
    recipe: &Recipe,
    tokens: usize,
    width: usize,
    values: impl Into<Values<'x>>,
    scale: TokenScale,
) -> Result<QTensor<'static>, Error> {
    let values = values.into();
    if !recipe.format.block.is_by_row() {
        let reason = "blocks of more than one token would make a token depend on its batch";
        return Err(Error::Recipe { format: recipe.format.name(), reason });
    }
    let matrix = Shape::matrix(tokens, width);
    match (recipe.tensor_scale, scale) {
        (TensorScaleRule::None | TensorScaleRule::Fixed { .. }, _) => recipe.quantize(matrix, values),
        (_, TokenScale::PerToken) => {
            recipe.quantize(Shape { matrices: tokens, rows: 1, cols: width }, values)
        }
        (TensorScaleRule::Multiply { .. }, TokenScale::Given(t)) => {
            in_memory::quantize(recipe, matrix, values, Some(&TensorScale::Multiply(vec![t])))
        }
        (TensorScaleRule::Divide { .. }, TokenScale::Given(t)) => {
            in_memory::quantize(recipe, matrix, values, Some(&TensorScale::Divide(vec![t])))
        }
    }
}
