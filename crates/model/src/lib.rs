#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod activations;
mod attention;
mod config;
mod error;
mod evaluate;
mod exp;
mod generate;
mod head;
mod hidden;
mod layer;
mod model;
mod norm;
mod parallel;
mod product;
mod projections;
mod text;

pub use activations::{ActivationQuantization, InputQuantization};
pub use error::{Error, Result};
pub use evaluate::{Evaluation, windows};
pub use head::{Divergence, Head, Loss};
pub use hidden::Hidden;
pub use layer::Layer;
pub use lowbit_arch::{self as arch, Description};
pub use model::Model;
pub use projections::{F32Linear, Hook, ProjectionKind, Projections};
pub use text::Tokenizer;
