#![doc = include_str!("../README.md")]
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

extern crate alloc;

mod error;
mod error_stats;
mod format;
mod geometry;
mod linear;
mod parallel;
mod scale;
mod shape;
pub mod swizzle;
mod tensor;
mod values;

pub use error::Error;
pub use error_stats::{ErrorReport, ErrorStats};
pub use format::*;
pub use linear::QLinear;
pub use lowbit_kernels::Element;
pub use scale::{ScaleKind, TensorScale};
pub use shape::Shape;
pub use tensor::QTensor;
pub use values::{Dtype, Values};
