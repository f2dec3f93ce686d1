//! Slices of numbers to slices of low-bit codes and back, bit-exact on every SIMD level.
//!
//! ```text
//! encode   code  = RNE(x / scale)            or RNE(x / scale + zero), saturating       f32 operations, each rounded
//! decode   value = value(code) * scale       or (value(code) - zero) * scale
//! codes    one dense stream over the slice, least significant bit first (4 bits: low nibble first)
//! ```
//!
//! A kernel knows an [`Element`] (what a code stands for) and [`Blocks`] (how many values share a scale); shapes, formats
//! and the choice of scales live in the crates above. [`Kernels`] is one SIMD level of the machine; the level called
//! `reference` is scalar and naive, and it is the definition: every other level equals it bit for bit.
//!
//! ```
//! use lowbit_kernels::{Blocks, Element, Kernels};
//!
//! let kernels = Kernels::best();
//! let x = [0.1, -0.2, 0.3, 3.0, -8.0, 6.0, 100.0, 0.0];
//! let blocks = Blocks { len: 4, scales: &[0.5, 2.0], zeros: None };
//!
//! let mut codes = [0; 4];
//! kernels.encode(Element::E2m1, &x, blocks, &mut codes); // E2M1: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and a sign
//! assert_eq!(codes, [0x90, 0x71, 0x5e, 0x07]); // 0.2 is 0 and -0.4 is -0.5; 0.6 is 0.5 and 6 is 6; ...
//!
//! let mut y = [0.0; 8];
//! kernels.decode(Element::E2m1, &codes, blocks, &mut y);
//! assert_eq!(y, [0.0, -0.25, 0.25, 3.0, -8.0, 6.0, 12.0, 0.0]); // 100 / 2 saturated at 6
//! ```
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "std")]
extern crate std;

mod absmax;
mod blocks;
mod codes;
mod decode;
mod element;
mod encode;
mod int;
mod kernels;
mod lanes;
mod level;
mod minifloat;
mod reference;
mod scales;
mod slices;
mod table;
mod widen;

pub use blocks::Blocks;
pub use element::Element;
pub use kernels::Kernels;
