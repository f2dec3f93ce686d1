//! Activation-aware scales: channels that carry large activations are rounded more finely, by scaling the weight up before and the input down.
//!
//! ```text
//! y = W x = (W diag(s)) (diag(1/s) x)            error of Q(W diag(s)) diag(1/s), searched over s and, after that, over clipped ranges
//! ```
//!
//! [`search`] finds s for linears that share an input, [`clip`] the ranges of groups. The scales go into what produces the input: see [`fold`](crate::fold).
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

/// What a search needs of a format: the weights that come back from it, of linears that are stored together.
///
/// Weights are row-major, of as many columns as there are channels; what comes back has the same lengths.
pub trait RoundTrip {
    /// Quantizes and restores.
    ///
    /// # Errors
    /// Whatever keeps the weights from being quantized.
    fn round_trip(&self, weights: &[&[f32]], channels: usize) -> Result<Vec<Vec<f32>>, Error>;
}

/// Each linear on its own, but for a tensor scale, which all of them share.
impl RoundTrip for Recipe {
    fn round_trip(&self, weights: &[&[f32]], channels: usize) -> Result<Vec<Vec<f32>>, Error> {
        // A format's shared scale depends on nothing but extremes, and one scale per matrix (fp8) is not shared.
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
