//! The search over every exponent of a grid, and the identity.
//!
//! ```text
//! a = 0, 1/20 … 19/20        error(a) = sum over linears of |(W - Q(W diag s) diag(1/s)) x|^2, mean over tokens
//! kept: the identity, unless an exponent has strictly less error; of equals the first
//! ```

use super::RoundTrip;
use super::grid::{candidate, weight_mean};
use crate::error::Error;
use crate::output_error::Inputs;
use crate::smooth;

/// The scales that the search tries.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Awq {
    /// The number of exponents: 0, 1/grid … (grid - 1)/grid.
    pub grid: usize,
    /// Whether scales are divided by the weight's mean (duo scaling).
    pub duo: bool,
    /// Columns per group, for the weight's mean.
    pub group: usize,
    /// Whether the identity is a candidate, which then wins ties. AutoAWQ does not try it, and can
    /// end up worse than no scaling.
    pub identity: bool,
}

impl Default for Awq {
    /// The defaults of AutoAWQ (20 exponents, duo scaling, groups of 128), and the identity.
    fn default() -> Self {
        Self { grid: 20, duo: true, group: 128, identity: true }
    }
}

/// The result of a search.
#[derive(Clone, PartialEq, Debug)]
pub struct Scaled {
    /// The scales: columns of the weights are multiplied by them, input channels divided.
    pub scales: Vec<f32>,
    /// The exponent; `None` for the identity.
    pub exponent: Option<f64>,
    /// The error of the outputs under these scales.
    pub error: f64,
    /// The error of the outputs without scales.
    pub unscaled: f64,
}

/// The scales of least output error for linears that read the same input. Weights are row-major,
/// with one column per channel.
///
/// ```
/// use lowbit_blocks::{Block, Format};
/// use lowbit_calib::awq::{Awq, search};
/// use lowbit_calib::{Inputs, Recipe, ScaleRule};
///
/// // The second channel is a hundred times as large. In one group with 7, its weight of 0.45
/// // rounds to 0.
/// let format = Format::named("int4-g128").expect("a preset").with_block(Block::Group(4));
/// let recipe = Recipe::new(format)?.with_scale_rule(ScaleRule::Narrow)?;
/// let (weight, loud) = ([7.0, 0.45, 1.0, 2.0], [1.0, 100.0, 1.0, 1.0]);
/// let found = search(&Awq::default(), &recipe, &[&weight], &loud, Inputs::MeanSquare(&loud.map(|x| x * x)))?;
/// assert!(found.error < 0.1 * found.unscaled);
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
///
/// # Errors
/// [`Error::Channels`] if weights, activations and inputs disagree; [`Error::Option`] for an empty
/// grid without the identity; errors of the quantizer.
pub fn search(
    awq: &Awq,
    format: &impl RoundTrip,
    weights: &[&[f32]],
    mean_abs: &[f32],
    inputs: Inputs<'_>,
) -> Result<Scaled, Error> {
    let channels = mean_abs.len();
    if inputs.channels() != channels {
        return Err(Error::Channels { got: inputs.channels(), want: channels });
    }
    if awq.grid == 0 && !awq.identity {
        return Err(Error::Option { option: "grid", value: 0.0, want: "at least 1 without the identity" });
    }
    smooth::check(mean_abs)?;
    let mean = weight_mean(weights, channels, awq.group)?;
    let identity = vec![1.0; channels];
    let unscaled = error(format, weights, &identity, inputs)?;
    let mut best =
        awq.identity.then_some(Scaled { scales: identity, exponent: None, error: unscaled, unscaled });
    for step in 0..awq.grid {
        let exponent = step as f64 / awq.grid as f64;
        let scales = candidate(mean_abs, awq.duo.then_some(&mean), exponent);
        let error = error(format, weights, &scales, inputs)?;
        if best.as_ref().is_none_or(|best| error < best.error) {
            best = Some(Scaled { scales, exponent: Some(exponent), error, unscaled });
        }
    }
    best.ok_or(Error::Option { option: "grid", value: 0.0, want: "at least 1 without the identity" })
}

/// The output error of all linears under these scales.
fn error(
    format: &impl RoundTrip,
    weights: &[&[f32]],
    scales: &[f32],
    inputs: Inputs<'_>,
) -> Result<f64, Error> {
    let channels = scales.len();
    let scaled: Vec<Vec<f32>> = weights.iter().map(|weight| smooth::scaled(weight, scales)).collect();
    let views: Vec<&[f32]> = scaled.iter().map(|weight| &weight[..]).collect();
    let restored = format.round_trip(&views, channels)?;
    let mut sum = 0.0;
    for (weight, mut delta) in weights.iter().zip(restored) {
        if delta.len() != weight.len() {
            return Err(Error::Tokens { values: delta.len(), features: channels });
        }
        for (delta, weight) in delta.chunks_mut(channels).zip(weight.chunks(channels)) {
            let columns = delta.iter_mut().zip(weight).zip(scales);
            columns.for_each(|((delta, w), s)| *delta = w - *delta / s);
        }
        sum += inputs.error(&delta)?;
    }
    Ok(sum)
}
