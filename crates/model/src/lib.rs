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
mod stage;
mod text;

pub use activations::{Activations, Input};
pub use error::{Error, Result};
pub use evaluate::{Evaluation, windows};
pub use head::{Divergence, Head, Loss};
pub use hidden::Hidden;
pub use layer::Layer;
pub use lowbit_arch::{self as arch, Description};
pub use model::Model;
pub use stage::{Hook, Linear, Stage, StageKind};
pub use text::Tokenizer;
