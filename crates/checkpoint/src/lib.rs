//! Quantized checkpoints on disk: safetensors read and written by tiles, layouts of the ecosystem, plan, resume.

pub mod arch;
mod checkpoint;
mod error;
pub mod index;
mod pattern;
mod positioned;
pub mod safetensors;

pub use checkpoint::{CONFIG, Checkpoint, SINGLE, Tensor};
pub use error::{Error, Result};
pub use pattern::Pattern;
