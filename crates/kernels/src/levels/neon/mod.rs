//! NEON: everything in portable operations.

mod lanes;

use super::simd::{Simd, SumInstructions};
use crate::decode::Decode;
use crate::encode::Encode;
use fearless_simd::aarch64::Neon;

impl Encode for Simd<Neon> {}
impl Decode for Simd<Neon> {}
impl SumInstructions for Neon {
    const UNROLLED: bool = true;
}
