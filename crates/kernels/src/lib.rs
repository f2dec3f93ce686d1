#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "std")]
extern crate std;

mod absmax;
mod blocks;
mod chunks;
mod codes;
mod decode;
mod distances;
mod element;
mod encode;
mod int;
mod kernels;
mod lanes;
mod level;
mod minifloat;
mod output;
#[cfg(all(feature = "std", any(target_arch = "x86", target_arch = "x86_64")))]
mod planes;
mod product;
mod reference;
mod scales;
mod slices;
#[cfg(all(feature = "streaming", target_arch = "x86_64"))]
mod stream;
mod table;
mod widen;

pub use blocks::Blocks;
pub use element::Element;
pub use kernels::Kernels;
pub use product::{Factor, Prepared, Rows, ScaleType, StoredScales, Values};
