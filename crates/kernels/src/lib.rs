#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
// What only some levels ask for has no use in a build without them; in one without any level, nothing but the reference has.
#![cfg_attr(
    not(all(feature = "avx", feature = "wide", any(target_arch = "x86", target_arch = "x86_64"))),
    allow(dead_code, unused_imports)
)]
#![cfg_attr(
    not(any(feature = "std", feature = "wide")),
    allow(unreachable_code, unused_macros, unused_mut, unused_variables, clippy::never_loop)
)]

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
