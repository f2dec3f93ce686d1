//! Activations quantized on their way into a linear, and restored at once: what an engine with low-bit products would multiply.
//!
//! ```text
//! weights as the checkpoint has them     input
//! FP8, INT8 with a static scale          x / scale, rounded, times scale                                 one scale for all
//! FP8, INT8 per row or tensor            one scale a token: amax over the largest code
//! FP8 in tiles                           one scale for each 128 features of a token
//! MXFP4, MXFP8                           power-of-two scales for each 32 features
//! NVFP4                                  E4M3 scales for each 16 features, and a tensor scale: the checkpoint's, or one a token
//! LLM.int8()                             INT8 with one scale a token; its outliers, |x| >= 6, leave the amax and stay as they are
//! bitsandbytes in four bits              input, decoded weight and result rounded to bf16 or f16
//! ```
//!
//! bitsandbytes keeps a column of the whole batch where any token of it has an outlier. Here each token keeps its own, as when tokens are generated one
//! by one: a result does not depend on what else is in the batch.

use crate::{Error, Result};
use lowbit_blocks::{
    Block, Dtype, Element, FP8, FP8_CHANNEL, Format, INT8, Kernels, MXFP4, MXFP8, NVFP4, QTensor, ScaleKind,
    Shape, TensorScale,
};
use lowbit_calib::recipes::{Producer, recipe};
use lowbit_calib::{
    Activations as Scheme, Recipe, ScaleRule, TokenScale, outliers, quantize_tokens, round_slice,
};
use lowbit_checkpoint::Checkpoint;
use lowbit_checkpoint::layout::{ExtraKind, Product, Stored};

/// How the inputs of a model's linears are quantized.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
#[non_exhaustive]
pub enum ActivationQuantization {
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
pub enum InputQuantization {
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
    /// INT8 token by token; what is as large as this stays as it is: LLM.int8().
    Outliers {
        /// The magnitude from which on a value is an outlier.
        threshold: f32,
    },
    /// The whole product is taken in this type: the output is rounded to it, too. Weights are when they are read.
    Float(Dtype),
}

impl InputQuantization {
    /// Takes results to the type that the product is taken in.
    pub(crate) fn round_output(&self, y: &mut [f32]) {
        if let Self::Float(dtype) = self {
            round_slice(Kernels::best(), *dtype, y);
        }
    }

    /// Quantizes rows of `cols` features, and decodes them in place.
    pub(crate) fn quantize(&self, linear: &str, cols: usize, x: &mut [f32]) -> Result<()> {
        let tokens = x.len() / cols.max(1);
        match self {
            Self::Plain => {}
            Self::Float(dtype) => round_slice(Kernels::best(), *dtype, x),
            Self::Outliers { threshold } => {
                for token in x.chunks_exact_mut(cols.max(1)) {
                    let kept = outliers::columns(token, cols, *threshold);
                    let kept: Vec<_> = kept.into_iter().map(|c| (c, std::mem::take(&mut token[c]))).collect();
                    let rows = outliers::Int8Rows::new(token, cols).map_err(|e| Error::Activations {
                        linear: linear.to_owned(),
                        reason: e.to_string(),
                    })?;
                    for (x, &code) in token.iter_mut().zip(&rows.codes) {
                        *x = f32::from(code) * rows.absmax[0] / 127.0;
                    }
                    kept.into_iter().for_each(|(c, x)| token[c] = x);
                }
            }
            Self::Static { format, scale } => {
                let shape = Shape::matrix(tokens, cols);
                let q = QTensor::encode(*format, shape, &*x, &[*scale], None, TensorScale::None)?;
                q.dequantize_rows(0, 0..tokens, x);
            }
            Self::Tokens { recipe, scale } => {
                let block = recipe.format.block.group().unwrap_or(1);
                let wide = cols.next_multiple_of(block.max(1));
                // A short last block is filled up with zeros, which change no amax.
                let mut rows = vec![0.0; tokens * wide];
                for (row, x) in rows.chunks_exact_mut(wide.max(1)).zip(x.chunks_exact(cols.max(1))) {
                    row[..cols].copy_from_slice(x);
                }
                let q = quantize_tokens(recipe, tokens, wide, &rows[..], *scale)
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

impl ActivationQuantization {
    /// Whether `pre_quant_scale` multiplies the input, not the weight.
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
    ) -> Result<InputQuantization> {
        let rule = match self {
            Self::None => return Ok(InputQuantization::Plain),
            Self::All(recipe) => {
                return Ok(InputQuantization::Tokens { recipe: *recipe, scale: TokenScale::PerToken });
            }
            Self::AsConfigured => None,
            Self::WithRule(rule) => Some(*rule),
        };
        match stored.map(|stored| stored.product) {
            Some(Product::In(dtype)) => return Ok(InputQuantization::Float(dtype)),
            Some(Product::Outliers(threshold)) => return Ok(InputQuantization::Outliers { threshold }),
            _ => {}
        }
        let Some(stored) = stored.filter(|stored| stored.activations != Scheme::None) else {
            return Ok(InputQuantization::Plain);
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
        if is_static && !format.has_tensor_scale() && format.scale.kind != ScaleKind::E8m0 {
            let scale = given.ok_or_else(|| refuse("its static input scale is missing".into()))?;
            return Ok(InputQuantization::Static { format: format.with_block(Block::Tensor), scale });
        }
        let tool =
            recipe(producer, &format, Dtype::F32, false).filter(|recipe| recipe.format.block == format.block);
        let mut recipe = tool.map_or_else(|| Recipe::new(format), Ok)?;
        if let Some(rule) = rule {
            recipe = recipe.with_scale_rule(rule)?;
        }
        let divides = matches!(recipe.tensor_scale, lowbit_calib::TensorScaleRule::Divide { .. });
        let scale = match given.filter(|_| format.has_tensor_scale()) {
            Some(scale) => TokenScale::Given(if divides { 1.0 / scale } else { scale }),
            None => TokenScale::PerToken,
        };
        Ok(InputQuantization::Tokens { recipe, scale })
    }
}

/// The format of activations beside weights of this one, with scales of f32 where they are floats.
fn format_of(weights: &Format) -> Option<Format> {
    let (e2m1, e4m3) = (weights.element == Element::E2m1, weights.element == Element::E4m3);
    let float8 = e4m3 || weights.element == Element::E5m2;
    let powers = weights.scale.kind.is_power_of_two();
    Some(match weights.block.tile() {
        _ if e2m1 && weights.scale.kind == ScaleKind::E4m3 => NVFP4,
        _ if e2m1 && powers => MXFP4,
        _ if e4m3 && powers => MXFP8,
        Some((_, cols)) if float8 => FP8.with_block(Block::Group(cols)),
        _ if float8 => FP8_CHANNEL,
        _ if weights.element == (Element::Int { bits: 8 }) => INT8,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outliers_stay_and_the_rest_is_eight_bits() {
        // The larger token has an outlier in column 1; without it, its amax is 1.27 and its codes are hundredths.
        let mut x = [1.27, -80.0, 0.504, 0.25, 2.54, 5.9];
        InputQuantization::Outliers { threshold: 6.0 }.quantize("", 3, &mut x).unwrap();
        let step = 5.9_f32 / 127.0;
        for (x, want) in x.iter().zip([1.27, -80.0, 0.50, 5.0 * step, 55.0 * step, 5.9]) {
            assert!((x - want).abs() < 1e-6, "{x} {want}");
        }
    }

    #[test]
    fn a_token_is_multiplied_as_llm_int8_does() {
        let weight: Vec<f32> = (0..5 * 8).map(|i| ((i * 37 % 23) as f32 - 11.0) / 16.0).collect();
        let weight = outliers::Int8Rows::new(&weight, 8).unwrap();
        let token = [0.3, -7.5, 2.25, 0.0, 5.99, -0.01, 6.0, 1.5];
        let want = outliers::product(&token, &weight, 8, 6.0).unwrap();
        let mut x = token;
        InputQuantization::Outliers { threshold: 6.0 }.quantize("", 8, &mut x).unwrap();
        for ((row, absmax), want) in weight.codes.chunks(8).zip(&weight.absmax).zip(want) {
            let y: f32 = row.iter().zip(&x).map(|(&w, x)| f32::from(w) * absmax / 127.0 * x).sum();
            assert!((y - want).abs() < 1e-4 * want.abs().max(1.0), "{y} {want}");
        }
        let mut nan = [f32::NAN, 1.0];
        assert!(InputQuantization::Outliers { threshold: 6.0 }.quantize("q", 2, &mut nan).is_err());
    }

    #[test]
    fn products_in_a_shorter_float_are_rounded() {
        let mut x = [1.003, 1.005, -256.9];
        InputQuantization::Float(Dtype::Bf16).quantize("", 3, &mut x).unwrap();
        assert_eq!(x, [1.0, 1.007_812_5, -256.0]);
        let mut y = [1.005];
        InputQuantization::Plain.round_output(&mut y);
        assert_eq!(y, [1.005]);
        InputQuantization::Float(Dtype::Bf16).round_output(&mut y);
        assert_eq!(y, [1.007_812_5]);
    }
}
