//! SSE4.2: everything in portable operations, and one loop for every shape of blocks.

use super::simd::{Instructions, Simd, SumInstructions};
use crate::decode::Decode;
use crate::encode::Encode;
use fearless_simd::x86::Sse4_2;

impl Instructions for Sse4_2 {
    const COMPACT: bool = true;
}
impl Encode for Simd<Sse4_2> {}
impl Decode for Simd<Sse4_2> {}
impl SumInstructions for Sse4_2 {}
