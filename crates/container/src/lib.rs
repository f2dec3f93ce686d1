#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod checkpoint;
mod container;
pub mod disk;
mod dtype;
mod error;
pub mod index;
pub mod json;
mod metadata;
pub mod positioned;
pub mod safetensors;

pub use checkpoint::{CONFIG, Checkpoint, Flaw, SINGLE, TOKENIZER, Tell, Tensor, read_config, weight_files};
pub use container::{Container, Entry, HeaderWriter, NewTensor};
pub use dtype::{BlockType, Dtype};
pub use error::{Error, Result};
pub use metadata::{Metadata, MetadataValue};
