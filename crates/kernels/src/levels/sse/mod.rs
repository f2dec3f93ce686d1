//! SSE4.2: everything in portable operations, and one loop for every shape of blocks.

mod lanes;

use super::simd::{Simd, SumInstructions};
use crate::decode::Decode;
use crate::encode::Encode;
use fearless_simd::x86::Sse4_2;

impl Encode for Simd<Sse4_2> {}
impl Decode for Simd<Sse4_2> {}
impl SumInstructions for Sse4_2 {}
