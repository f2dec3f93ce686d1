//! Files of statistics: the moments and Hessians of linears' inputs that a calibration run has
//! collected.
//!
//! ```text
//! StatisticsFile, StatisticsWriter     our own safetensors: moments and Hessians, read and written one linear at a time
//! Imatrix                              llama.cpp's importance matrix, in its GGUF form and the older binary one: sums of squares
//! ```

mod cursor;
mod file;
mod gguf;
mod imatrix;
mod imatrix_files;
mod legacy;
mod triangle;
mod write;

pub use file::StatisticsFile;
pub use imatrix::{Imatrix, ImatrixEntry};
pub use lowbit_arch::{GgufName, gguf_name, module_name};
pub use write::{Planned, Precision, StatisticsWriter};

/// The value of `format` in the metadata of lowbit's own files.
const FORMAT: &str = "lowbit-statistics";
/// The version of that format.
const VERSION: &str = "1";
/// Suffixes of the tensor names of a linear.
const ABSMAX: &str = "absmax";
const SUM: &str = "sum";
const SUM_ABS: &str = "sum_abs";
const SUM_SQUARE: &str = "sum_square";
const TOKENS: &str = "tokens";
const HESSIAN: &str = "hessian";
