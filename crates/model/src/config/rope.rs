//! Rotary positions: how far each pair of a head's features turns per token.
//!
//! ```text
//! f_i = theta^(-2 i / d)                     i < d / 2; feature i and feature i + d / 2 turn by position * f_i
//! linear    f_i / factor
//! llama3    f_i / factor for long waves (2 pi / f_i > L / low), f_i for short ones (< L / high), between them a straight line
//! yarn      f_i / factor for few turns in L tokens, f_i for many, between them a ramp over i; cos and sin times 0.1 ln(factor) + 1
//! ```
//!
//! Su et al.: RoFormer, 2021. Peng et al.: YaRN, 2023. Settings have transformers' names, in `rope_parameters` or in the older `rope_scaling`.

use super::settings::Settings;
use crate::Result;
use std::f64::consts::TAU;
use std::ops::Range;

/// How heads are turned by their position.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Rope {
    /// The base.
    pub theta: f64,
    /// What is done to reach further.
    pub scaling: RopeScaling,
    /// Angle per token of each pair of features.
    pub frequencies: Vec<f32>,
    /// What cosines and sines are multiplied with.
    pub amplitude: f32,
}

/// What is done to reach further than the model was trained for.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub enum RopeScaling {
    /// Nothing.
    None,
    /// All frequencies are divided.
    Linear,
    /// Low frequencies are divided, by their wave length.
    Llama3,
    /// Low frequencies are divided, by their index.
    Yarn,
}

impl Rope {
    /// Reads `rope_parameters`, or `rope_theta` and `rope_scaling`.
    pub(super) fn of(s: &Settings<'_>, head_dim: usize, default_theta: f64) -> Result<Self> {
        let inner = s.inside("rope_parameters").or(s.inside("rope_scaling"));
        let r = inner.unwrap_or(*s);
        let theta = match r.number("rope_theta")? {
            Some(theta) => theta,
            None => s.number("rope_theta")?.unwrap_or(default_theta),
        };
        let one = r.number("partial_rotary_factor")?.unwrap_or(1.0);
        if one != 1.0 {
            return Err(s.unsupported(format!("partial_rotary_factor {one}"), "1 is"));
        }
        let plain: Vec<f64> =
            (0..head_dim / 2).map(|i| theta.powf(-2.0 * i as f64 / head_dim as f64)).collect();
        let kind = match inner {
            Some(r) => r.text("rope_type")?.or(r.text("type")?).unwrap_or("default"),
            None => "default",
        };
        let needed = |key: &str| {
            r.number(key)?.ok_or_else(|| s.wrong(key, format!("is not there, but rope_type is {kind}")))
        };
        let (scaling, frequencies, amplitude) = match kind {
            "default" => (RopeScaling::None, plain, 1.0),
            "linear" => {
                let factor = needed("factor")?;
                (RopeScaling::Linear, plain.iter().map(|f| f / factor).collect(), 1.0)
            }
            "llama3" => {
                let [factor, low, high, length] =
                    ["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"]
                        .map(needed);
                let turn = llama3(factor?, low?, high?, length?);
                (RopeScaling::Llama3, plain.into_iter().map(turn).collect(), 1.0)
            }
            "yarn" => {
                let (frequencies, amplitude) = yarn(s, &r, theta, plain)?;
                (RopeScaling::Yarn, frequencies, amplitude)
            }
            other => {
                return Err(
                    s.unsupported(format!("rope_type {other}"), "default, linear, llama3 and yarn are")
                );
            }
        };
        let frequencies = frequencies.into_iter().map(|f| f as f32).collect();
        Ok(Self { theta, scaling, frequencies, amplitude: amplitude as f32 })
    }

    /// Cosines and sines of some positions: a row of `head_dim / 2` for each.
    pub(crate) fn table(&self, positions: Range<usize>) -> (Vec<f32>, Vec<f32>) {
        let angles =
            || positions.clone().flat_map(|p| self.frequencies.iter().map(move |f| f64::from(p as f32 * f)));
        let times = |x: f64| x as f32 * self.amplitude;
        (angles().map(|a| times(a.cos())).collect(), angles().map(|a| times(a.sin())).collect())
    }
}

/// Llama 3's rule for one frequency.
fn llama3(factor: f64, low: f64, high: f64, length: f64) -> impl Fn(f64) -> f64 {
    move |f| {
        let wave = TAU / f;
        if wave < length / high {
            f
        } else if wave > length / low {
            f / factor
        } else {
            let smooth = (length / wave - low) / (high - low);
            (1.0 - smooth) * f / factor + smooth * f
        }
    }
}

/// YaRN's frequencies and amplitude.
fn yarn(s: &Settings<'_>, r: &Settings<'_>, theta: f64, plain: Vec<f64>) -> Result<(Vec<f64>, f64)> {
    let longest = s.size("max_position_embeddings")? as f64;
    let length = r.number("original_max_position_embeddings")?.unwrap_or(longest);
    let factor = r.number("factor")?.unwrap_or(longest / length);
    let grown = |mscale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * mscale * factor.ln() + 1.0 };
    let amplitude = match (r.number("attention_factor")?, r.number("mscale")?, r.number("mscale_all_dim")?) {
        (Some(factor), ..) => factor,
        (None, Some(one), Some(all)) => grown(one) / grown(all),
        _ => grown(1.0),
    };
    let (fast, slow) = (r.number("beta_fast")?.unwrap_or(32.0), r.number("beta_slow")?.unwrap_or(1.0));
    let dim = 2.0 * plain.len() as f64;
    // The index whose feature turns so many times in the original length.
    let index = |turns: f64| dim * (length / (turns * TAU)).ln() / (2.0 * theta.ln());
    let (mut first, mut last) = (index(fast), index(slow));
    if r.flag("truncate", true)? {
        (first, last) = (first.floor(), last.ceil());
    }
    (first, last) = (first.max(0.0), last.min(dim - 1.0));
    if first == last {
        last += 0.001;
    }
    let blend = |(i, f): (usize, f64)| {
        let ramp = ((i as f64 - first) / (last - first)).clamp(0.0, 1.0);
        f / factor * ramp + f * (1.0 - ramp)
    };
    Ok((plain.into_iter().enumerate().map(blend).collect(), amplitude))
}
