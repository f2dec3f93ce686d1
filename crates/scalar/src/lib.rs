#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod decimal;
mod e2m1;
mod e2m3;
mod e3m0;
mod e3m2;
mod e3m4;
mod e4m3;
mod e4m3_fnuz;
mod e4m3_ieee;
mod e4m3b11_fnuz;
mod e5m2;
mod e5m2_fnuz;
mod e8m0;
mod float_format;
mod fp4;
mod int;
#[macro_use]
mod interop;
mod low_bit;
mod minifloat;
mod mx_int8;
mod nf4;
mod number;
pub mod pack;
mod rounding;
mod ue5m3;
mod uint;
mod unpacked;

pub use e2m1::E2M1;
pub use e2m3::E2M3;
pub use e3m0::E3M0;
pub use e3m2::E3M2;
pub use e3m4::E3M4;
pub use e4m3::E4M3;
pub use e4m3_fnuz::E4M3FNUZ;
pub use e4m3_ieee::E4M3Ieee;
pub use e4m3b11_fnuz::E4M3B11FNUZ;
pub use e5m2::E5M2;
pub use e5m2_fnuz::E5M2FNUZ;
pub use e8m0::E8M0;
pub use float_format::{FloatFormat, Specials};
pub use fp4::Fp4;
pub use int::{Int, Int1, Int2, Int3, Int4, Int5, Int6, Int7, Int8};
pub use low_bit::{LowBit, LowBitSliceExt};
pub use mx_int8::MxInt8;
pub use nf4::Nf4;
pub use rounding::{Overflow, Rounding};
pub use ue5m3::UE5M3;
pub use uint::{Uint, Uint1, Uint2, Uint3, Uint4, Uint5, Uint6, Uint7, Uint8};
