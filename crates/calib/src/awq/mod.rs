//! Activation-aware weight quantization (AWQ): channels with large activations are rounded more
//! finely, because the weight is scaled up and the input scaled down.
//!
//! ```text
//! y = W x = (W diag(s)) (diag(1/s) x)            error of Q(W diag(s)) diag(1/s), searched over s and, after that, over clipped ranges
//! ```
//!
//! [`search`] chooses s for linears that share an input; [`clip`] chooses the ranges of groups. The
//! scales are folded into the module that produces the input: see [`fold`](crate::fold).
//!
//! Sources: Lin et al., AWQ (arXiv 2306.00978); AutoAWQ `quantize/quantizer.py`.

mod clip;
mod grid;
mod search;

pub use clip::{Clip, clip};
pub use grid::{candidate, weight_mean};
pub use search::{Awq, Scaled, search};

use lowbit_blocks::{Shape, Values};

use crate::error::Error;
use crate::in_memory;
use crate::recipe::Recipe;
use crate::stats::TensorStats;

/// Quantization and dequantization of weights, as the search needs them, for linears that are
/// stored together.
///
/// Weights are row-major with one column per channel. The restored weights have the same lengths.
pub trait RoundTrip {
    /// Quantizes and dequantizes the weights.
    ///
    /// # Errors
    /// Whatever keeps the weights from being quantized.
    fn round_trip(&self, weights: &[&[f32]], channels: usize) -> Result<Vec<Vec<f32>>, Error>;
}

/// Each linear is quantized on its own, except for a tensor scale, which all of them share.
impl RoundTrip for Recipe {
    fn round_trip(&self, weights: &[&[f32]], channels: usize) -> Result<Vec<Vec<f32>>, Error> {
        // A shared tensor scale depends on extremes only. One scale per matrix (FP8) is not shared.
        let mut shared = None::<TensorStats>;
        if self.tensor_scale.looks() {
            for weight in weights {
                let mut stats = TensorStats::new(false);
                stats.observe(Values::F32(weight))?;
                match &mut shared {
                    Some(shared) => shared.merge(&stats),
                    None => shared = Some(stats),
                }
            }
        }
        weights
            .iter()
            .map(|weight| {
                let shape = Shape::matrix(weight.len().checked_div(channels).unwrap_or(0), channels);
                let values = Values::F32(weight);
                let quantized = match &shared {
                    Some(stats) => {
                        let scale =
                            self.tensor_scale.choose(self.format.element, stats.amax(), values.dtype());
                        in_memory::quantize(self, shape, values, Some(&self.tensor_scale.tag(vec![scale])))?
                    }
                    None => self.quantize(shape, values)?,
                };
                Ok(quantized.to_f32_vec())
            })
            .collect()
    }
}

/// Any function of one weight.
impl<F: Fn(&[f32]) -> Vec<f32>> RoundTrip for F {
    fn round_trip(&self, weights: &[&[f32]], _: usize) -> Result<Vec<Vec<f32>>, Error> {
        Ok(weights.iter().map(|weight| self(weight)).collect())
    }
}
