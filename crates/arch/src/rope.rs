//! Rotary positions: by which angle each pair of a head's features rotates per token.
//!
//! ```text
//! f_i = theta^(-2 i / d)                     i < d / 2; the features of pair i rotate by position * f_i
//! linear    f_i / factor
//! llama3    f_i / factor for long waves (2 pi / f_i > L / low), f_i for short ones (< L / high), between them a straight line
//! yarn      f_i / factor for few turns in L tokens, f_i for many, between them a ramp over i; cos and sin times 0.1 ln(factor) + 1
//! longrope  f_i / short_i, or f_i / long_i in sequences of more than L tokens; cos and sin times sqrt(1 + ln(s) / ln(L)), s = longest / L
//! ```
//!
//! Su et al.: RoFormer, 2021. Peng et al.: YaRN, 2023. Ding et al.: LongRoPE, 2024. Settings have transformers' names, in `rope_parameters` or in the older `rope_scaling`.

use crate::Result;
use crate::decoder::{Decoder, RopePairs};
use crate::reader::{Reader, unsupported, wrong};
use std::f64::consts::TAU;
use std::ops::Range;

/// Rotary positions of a model.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Rope {
    /// The base.
    pub theta: f64,
    /// How positions beyond those of the training are reached.
    pub scaling: RopeScaling,
    /// The features that are a pair.
    pub pairs: RopePairs,
    /// Features of a head that rotate: the first, or the last of latent attention.
    pub dims: usize,
    /// Angle per token of each pair of features.
    pub frequencies: Vec<f32>,
    /// Angle per token of each pair in sequences longer than the original length; empty where that makes no difference.
    pub long_frequencies: Vec<f32>,
    /// What cosines and sines are multiplied with.
    pub amplitude: f32,
}

/// How positions beyond those of the training are reached.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// All frequencies are divided.
    Linear,
    /// Low frequencies are divided, by their wave length.
    Llama3,
    /// Low frequencies are divided, by their index.
    Yarn,
    /// Each frequency is divided by its own number, of which there are two lists: for short and for long sequences.
    LongRope,
}

impl Rope {
    /// Reads `rope_parameters`, or `rope_theta` and `rope_scaling`; `head` features that may rotate.
    pub(crate) fn read(s: &Reader<'_>, row: &Decoder, pairs: RopePairs, head: usize) -> Result<Self> {
        let inner = s.inside("rope_parameters").or(s.inside("rope_scaling"));
        let r = inner.unwrap_or(*s);
        let theta = match r.number("rope_theta")? {
            Some(theta) => theta,
            None => s.number("rope_theta")?.unwrap_or(row.rope_theta),
        };
        let part = match r.number("partial_rotary_factor")? {
            Some(part) => Some(part),
            None => s.number("partial_rotary_factor")?,
        };
        let dims = match (part, row.rotary_part) {
            (None | Some(1.0), None) => head,
            (Some(part), None) => {
                return Err(unsupported(format!("partial_rotary_factor {part}"), "1 is"));
            }
            (part, Some(default)) => (head as f64 * part.unwrap_or(default)) as usize,
        };
        if dims == 0 || !dims.is_multiple_of(2) || dims > head {
            return Err(wrong("partial_rotary_factor", format!("rotates {dims} of {head} features")));
        }
        let plain: Vec<f64> = (0..dims / 2).map(|i| theta.powf(-2.0 * i as f64 / dims as f64)).collect();
        let kind = match inner {
            Some(r) => r.text("rope_type")?.or(r.text("type")?).unwrap_or("default"),
            None => "default",
        };
        let needed = |key: &str| {
            r.number(key)?.ok_or_else(|| wrong(key, format!("is not there, but rope_type is {kind}")))
        };
        let mut long_frequencies = Vec::new();
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
            "longrope" | "su" if row.long_rope => {
                let short = divided(&r, "short_factor", &plain)?;
                long_frequencies =
                    divided(&r, "long_factor", &plain)?.into_iter().map(|f| f as f32).collect();
                (RopeScaling::LongRope, short, long_amplitude(s, &r)?)
            }
            other => {
                let can = if row.long_rope {
                    "default, linear, llama3, yarn and longrope are"
                } else {
                    "default, linear, llama3 and yarn are"
                };
                return Err(unsupported(format!("rope_type {other}"), can));
            }
        };
        let frequencies = frequencies.into_iter().map(|f| f as f32).collect();
        Ok(Self { theta, scaling, pairs, dims, frequencies, long_frequencies, amplitude: amplitude as f32 })
    }

    /// Cosines and sines of some positions: a row of `head_dim / 2` for each.
    /// `cos` and `sin` of 0 radians are 1 and 0:
    ///
    /// ```
    /// use lowbit_arch::{Description, Family};
    /// let config = serde_json::json!({"model_type": "llama", "hidden_size": 4, "intermediate_size": 8, "num_hidden_layers": 1,
    ///     "num_attention_heads": 1, "vocab_size": 3});
    /// let llama = Description::read(config.as_object().unwrap())?;
    /// let (cos, sin) = llama.rope.unwrap().table(0..1);
    /// assert_eq!((cos, sin), (vec![1.0; 2], vec![0.0; 2]));
    /// # Ok::<(), lowbit_arch::Error>(())
    /// ```
    pub fn table(&self, positions: Range<usize>) -> (Vec<f32>, Vec<f32>) {
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
fn yarn(s: &Reader<'_>, r: &Reader<'_>, theta: f64, plain: Vec<f64>) -> Result<(Vec<f64>, f64)> {
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

/// Frequencies divided by a list of numbers.
fn divided(r: &Reader<'_>, key: &str, plain: &[f64]) -> Result<Vec<f64>> {
    let factors = r.numbers(key)?;
    if factors.len() != plain.len() {
        return Err(wrong(key, format!("has {} numbers for {} pairs", factors.len(), plain.len())));
    }
    Ok(plain.iter().zip(factors).map(|(f, factor)| f / factor).collect())
}

/// The amplitude of longrope.
fn long_amplitude(s: &Reader<'_>, r: &Reader<'_>) -> Result<f64> {
    if let Some(factor) = r.number("attention_factor")? {
        return Ok(factor);
    }
    let longest = s.size("max_position_embeddings")? as f64;
    let original = match r.number("original_max_position_embeddings")? {
        Some(original) => original,
        None => s.number("original_max_position_embeddings")?.unwrap_or(longest),
    };
    let factor = r.number("factor")?.unwrap_or(longest / original);
    Ok(if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / original.ln()).sqrt() })
}
