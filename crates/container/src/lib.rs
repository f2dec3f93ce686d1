#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod checkpoint;
pub mod disk;
mod error;
pub mod index;
pub mod json;
pub mod positioned;
pub mod safetensors;

pub use checkpoint::{CONFIG, Checkpoint, Flaw, SINGLE, Tell, Tensor, read_config, weight_files};
pub use error::{Error, Result};
