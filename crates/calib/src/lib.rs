#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod arithmetic;
pub mod awq;
mod bias;
mod chunk;
#[cfg(feature = "gptq")]
mod drift;
mod encoder;
mod error;
pub mod fold;
#[cfg(feature = "gptq")]
mod gptq;
mod hadamard;
mod hessian;
mod histogram;
mod importance;
mod in_memory;
pub mod mixed;
pub mod outliers;
mod output_error;
mod parallel;
#[cfg(feature = "gptq")]
mod products;
mod quantizer;
mod recipe;
pub mod recipes;
mod rows;
mod rules;
mod scale_rule;
pub mod smooth;
mod statistics;
mod stats;
mod tensor_scale;
mod tokens;
mod zero_block;

pub use arithmetic::{Arithmetic, Quotient, Ties, ZeroSign, round_slice};
pub use bias::bias_correction;
#[cfg(feature = "gptq")]
#[cfg_attr(docsrs, doc(cfg(feature = "gptq")))]
pub use drift::{Drift, Regression};
pub use error::Error;
#[cfg(feature = "gptq")]
#[cfg_attr(docsrs, doc(cfg(feature = "gptq")))]
pub use gptq::{Damping, Gptq, Groups, Loss, Order, Solved, Weighing};
pub use hadamard::{Rotation, absorb_norm};
pub use hessian::Hessian;
pub use importance::Importance;
pub use output_error::{Inputs, channel_error, output_error};
pub use quantizer::Quantizer;
pub use recipe::{Activations, Recipe};
pub use rows::Out;
pub use rules::ChooseScale;
pub use scale_rule::ScaleRule;
pub use statistics::{ChannelStats, Magnitudes, RangeRule};
pub use stats::TensorStats;
pub use tensor_scale::{FOUR_OVER_SIX_SCALE_MAX, TensorScaleRule};
pub use tokens::{TokenScale, quantize_tokens};
pub use zero_block::ZeroBlock;
