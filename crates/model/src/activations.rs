//! Activations quantized on their way into a linear, and restored at once: what an engine with low-bit products would multiply.
//!
//! ```text
//! weights as the checkpoint has them     input
//! FP8, INT8 with a static scale          x / scale, rounded, times scale                                 one scale for all
//! FP8, INT8 per row or tensor            one scale a token: amax over the largest code
//! FP8 in tiles                           one scale for each 128 features of a token
//! MXFP4, MXFP8                           power-of-two scales for each 32 features
//! NVFP4                                  E4M3 scales for each 16 features, and a tensor scale: the checkpoint's, or one a token
//! ```

use crate::{Error, Result};
use lowbit_blocks::{
    Block, Dtype, Element, FP8, FP8_CHANNEL, Format, INT8, MXFP4, MXFP8, NVFP4, QTensor, ScaleKind, Shape,
    TensorScale,
};
use lowbit_calib::recipes::{Producer, recipe};
use lowbit_calib::{Activations as Scheme, Recipe, ScaleRule, TokenScale, quantize_tokens};
use lowbit_checkpoint::Checkpoint;
use lowbit_checkpoint::layout::{ExtraKind, Stored};

/// What is done to the inputs of a model's linears.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
#[non_exhaustive]
pub enum Activations {
    /// They stay as they are, whatever the checkpoint says: weight-only.
    #[default]
    None,
    /// They are quantized in those linears, and in the way, that the checkpoint's configuration says.
    AsConfigured,
    /// As configured, with this rule for the block scales: `amax` or `four-over-six` for NVFP4.
    WithRule(ScaleRule),
    /// All linears of all layers quantize them by this recipe, token by token.
    All(Recipe),
}

/// How the input of one linear is quantized.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
#[non_exhaustive]
pub enum Input {
    /// Not at all.
    #[default]
    Plain,
    /// Token by token, with scales of their own; the second level is the token's or given.
    Tokens {
        /// Format and rule.
        recipe: Recipe,
        /// The second level of scales.
        scale: TokenScale,
    },
    /// One scale for everything.
    Static {
        /// FP8 or INT8 per tensor.
        format: Format,
        /// The scale.
        scale: f32,
    },
}

impl Input {
    /// Quantizes rows of `cols` features and puts back what the codes say.
    pub(crate) fn quantize(&self, linear: &str, cols: usize, x: &mut [f32]) -> Result<()> {
        let tokens = x.len() / cols.max(1);
        match self {
            Self::Plain => {}
            Self::Static { format, scale } => {
                let shape = Shape::matrix(tokens, cols);
                let q = QTensor::encode(*format, shape, (&*x).into(), &[*scale], None, TensorScale::None)?;
                q.dequantize_rows(0, 0..tokens, x);
            }
            Self::Tokens { recipe, scale } => {
                let block = match recipe.format.block {
                    Block::Group(size) => size,
                    _ => 1,
                };
                let wide = cols.next_multiple_of(block.max(1));
                // A short last block is filled up with zeros, which change no amax.
                let mut rows = vec![0.0; tokens * wide];
                for (row, x) in rows.chunks_exact_mut(wide.max(1)).zip(x.chunks_exact(cols.max(1))) {
                    row[..cols].copy_from_slice(x);
                }
                let q = quantize_tokens(recipe, tokens, wide, (&rows[..]).into(), *scale)
                    .map_err(|e| Error::Activations { linear: linear.to_owned(), reason: e.to_string() })?;
                let rows = q.to_f32_vec();
                for (row, x) in rows.chunks_exact(wide.max(1)).zip(x.chunks_exact_mut(cols.max(1))) {
                    x.copy_from_slice(&row[..cols]);
                }
            }
        }
        Ok(())
    }
}

impl Activations {
    /// Whether factors multiply the input, not the weight.
    pub(crate) fn simulates(&self) -> bool {
        *self != Self::None
    }

    /// How the input of a linear is quantized.
    pub(crate) fn input(
        &self,
        name: &str,
        stored: Option<&Stored>,
        producer: Producer,
        checkpoint: &Checkpoint,
    ) -> Result<Input> {
        let rule = match self {
            Self::None => return Ok(Input::Plain),
            Self::All(recipe) => return Ok(Input::Tokens { recipe: *recipe, scale: TokenScale::PerToken }),
            Self::AsConfigured => None,
            Self::WithRule(rule) => Some(*rule),
        };
        let Some(stored) = stored.filter(|stored| stored.activations != Scheme::None) else {
            return Ok(Input::Plain);
        };
        let refuse = |reason: String| Error::Activations { linear: name.to_owned(), reason };
        if let Some(extra) = stored.extras.iter().find(|e| e.kind == ExtraKind::InputZeroPoint) {
            return Err(refuse(format!(
                "activations with a zero point (`{}`) are not simulated",
                extra.tensor
            )));
        }
        let given = stored.read_input_scale(checkpoint)?;
        let format = format_of(&stored.format).ok_or_else(|| {
            refuse(format!("what activations beside {} weights are is not known", stored.format))
        })?;
        let is_static = stored.activations == Scheme::Static;
        if is_static && !format.tensor_scale && format.scale != ScaleKind::E8m0 {
            let scale = given.ok_or_else(|| refuse("its static input scale is missing".into()))?;
            return Ok(Input::Static { format: Format { block: Block::Tensor, ..format }, scale });
        }
        let tool =
            recipe(producer, &format, Dtype::F32, false).filter(|recipe| recipe.format.block == format.block);
        let mut recipe = tool.map_or_else(|| Recipe::new(format), Ok)?;
        if let Some(rule) = rule {
            recipe = recipe.with_scale_rule(rule)?;
        }
        let divides = matches!(recipe.tensor_scale, lowbit_calib::TensorScaleRule::Divide { .. });
        let scale = match given.filter(|_| format.tensor_scale) {
            Some(scale) => TokenScale::Given(if divides { 1.0 / scale } else { scale }),
            None => TokenScale::PerToken,
        };
        Ok(Input::Tokens { recipe, scale })
    }
}

/// The format of activations beside weights of this one, with scales of f32 where they are floats.
fn format_of(weights: &Format) -> Option<Format> {
    let float8 = matches!(weights.element, Element::E4m3 | Element::E5m2);
    Some(match (weights.element, weights.scale, weights.block) {
        (Element::E2m1, ScaleKind::E4m3, _) => NVFP4,
        (Element::E2m1, ScaleKind::E8m0, _) => MXFP4,
        (Element::E4m3, ScaleKind::E8m0, _) => MXFP8,
        (_, _, Block::Tile { cols, .. }) if float8 => Format { block: Block::Group(cols), ..FP8 },
        _ if float8 => FP8_CHANNEL,
        (Element::Int { bits: 8 }, ..) => INT8,
        _ => return None,
    })
}
