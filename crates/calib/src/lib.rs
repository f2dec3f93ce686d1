#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod arithmetic;
mod band;
mod codes;
mod error;
mod gptq;
mod hessian;
mod histogram;
mod importance;
pub mod mixed;
mod parallel;
mod pass;
mod quantizer;
mod recipe;
pub mod recipes;
mod rules;
mod statistics;
mod stats;
mod tensor_scale;
mod tokens;
mod whole;
mod zero_block;

pub use arithmetic::{Arithmetic, Quotient, Ties, ZeroSign};
pub use error::Error;
pub use gptq::{Damping, Gptq, Groups, Loss, Order, Solved, Weighing};
pub use hessian::Hessian;
pub use importance::Importance;
pub use quantizer::{Out, Quantizer};
pub use recipe::{Activations, Recipe};
pub use rules::ScaleRule;
pub use statistics::{ChannelStats, Magnitudes, RangeRule};
pub use stats::TensorStats;
pub use tensor_scale::{FOUR_OVER_SIX_SCALE_MAX, TensorScaleRule};
pub use tokens::{TokenScale, quantize_tokens};
pub use zero_block::ZeroBlock;
