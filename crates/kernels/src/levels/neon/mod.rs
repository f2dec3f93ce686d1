//! NEON: everything in portable operations.

mod lanes;

use super::simd::Simd;
use crate::decode::Decode;
use crate::encode::Encode;
use fearless_simd::aarch64::Neon;

impl Encode for Simd<Neon> {}
impl Decode for Simd<Neon> {}
