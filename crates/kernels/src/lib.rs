#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "std")]
extern crate std;

mod absmax;
mod blocks;
mod codecs;
mod codes;
mod decode;
mod dispatch;
mod distances;
mod element;
mod encode;
mod kernels;
mod lanes;
mod level;
mod levels;
mod product;
mod reference;
mod scales;
mod slices;
mod widen;

pub use blocks::Blocks;
pub use element::Element;
pub use kernels::Kernels;
pub use product::{Factor, Prepared, Rows, ScaleType, StoredScales, Values};
