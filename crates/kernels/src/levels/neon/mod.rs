//! NEON: everything in portable operations.

use super::simd::{Instructions, Simd, SumInstructions};
use crate::decode::Decode;
use crate::encode::Encode;
use fearless_simd::aarch64::Neon;

impl Instructions for Neon {}
impl Encode for Simd<Neon> {}
impl Decode for Simd<Neon> {}
impl SumInstructions for Neon {
    const UNROLLED: bool = true;
}
