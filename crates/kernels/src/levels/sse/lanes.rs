//! Operations of SSE: the portable ones.

use crate::levels::simd::Instructions;
use fearless_simd::x86::Sse4_2;

impl Instructions for Sse4_2 {
    const COMPACT: bool = true;
}
