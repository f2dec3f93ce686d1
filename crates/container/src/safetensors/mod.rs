//! safetensors: one file, read and written by byte ranges.
//!
//! ```text
//! 0        8               8+N
//! | N: u64 | JSON header   | tensor bytes, back to back, no holes |
//!            {"__metadata__": {..}, "name": {"dtype", "shape", "data_offsets": [begin, end)}, ..}, padded with spaces
//! ```
//!
//! The dtypes and the validity rules of headers are those of the `safetensors` crate. That crate
//! reads whole buffers, and its errors leave out file, tensor and numbers. [`Header`] therefore
//! finds each fault first, names it, and lets the crate validate last.

mod header;
mod read;
mod write;

pub use crate::{Dtype, Entry};
pub use header::{HEADER_LIMIT, Header};
pub use read::TensorFile;
pub use write::{Safetensors, header_bytes, order};
