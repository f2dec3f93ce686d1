//! safetensors: one file, read and written by byte ranges.
//!
//! ```text
//! 0        8               8+N
//! | N: u64 | JSON header   | tensor bytes, back to back, no holes |
//!            {"__metadata__": {..}, "name": {"dtype", "shape", "data_offsets": [begin, end)}, ..}, padded with spaces
//! ```
//!
//! The dtypes, and the rules that make a header valid, are those of the `safetensors` crate. It reads whole buffers, though, and its errors
//! leave out file, tensor and number; [`Header`] finds each fault first and says which, then asks the crate for the last word.

mod header;
mod read;
mod write;

pub use crate::{Dtype, Entry};
pub use header::{HEADER_LIMIT, Header};
pub use read::TensorFile;
pub use write::{Safetensors, header_bytes, order};
