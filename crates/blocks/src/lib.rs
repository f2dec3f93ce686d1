#![doc = include_str!("../README.md")]
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

extern crate alloc;

mod error;
mod format;
mod geometry;
mod scale;
mod shape;
mod values;

pub use error::Error;
pub use format::*;
pub use lowbit_kernels::Element;
pub use scale::{ScaleKind, TensorScale};
pub use shape::Shape;
pub use values::{Dtype, Values};
