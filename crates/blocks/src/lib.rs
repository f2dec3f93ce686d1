#![doc = include_str!("../README.md")]
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

extern crate alloc;

mod bytes;
mod codebook;
mod effective;
mod error;
mod error_stats;
mod format;
pub mod grid;
mod levels;
mod linear;
mod obstacle;
mod parallel;
mod product;
mod scale;
mod shape;
pub mod swizzle;
mod tensor;
pub mod transcode;
mod values;

pub use bytes::{Bytes, SharedBuffer};
pub use codebook::Codebook;
pub use error::Error;
pub use error_stats::{ErrorReport, ErrorStats};
pub use format::*;
/// The crate of `f16` and `bf16`, re-exported so that users need not match its version.
pub use half;
pub use levels::{Outer, Scale};
pub use linear::QLinear;
pub use lowbit_kernels::{Element, Kernels};
pub use product::Activations;
pub use scale::{ScaleKind, TensorScale};
pub use shape::Shape;
pub use tensor::QTensor;
pub use values::{Dtype, Values};
