//! Sixteen vectors folded to one: in each of four rounds half of the lanes of two vectors meet the other half.
//!
//! What meets within 128 bits takes one instruction, and which lanes meet is of no concern as long as sixteen results end up in order:
//!
//! ```text
//! round    AVX-512                                       AVX2, two registers a vector
//! 0        a0 b0 a1 b1 | …      a2 b2 a3 b3 | …          the lower registers of both; the upper ones: no instruction
//! 1        neighbours of 64 bits                         a0 b0 a1 b1 | …
//! 2, 3     every other 128 bits of both                  neighbours of 64 bits; halves
//! ```

use super::Simd;
use fearless_simd::prelude::*;
use fearless_simd::x86::Avx2;
use fearless_simd::{Simd as Token, u32x8, u32x16};

#[cfg(target_arch = "x86")]
use core::arch::x86::*;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::*;

fearless_simd::kernel! {
    #[inline(always)]
    pub(super) fn part_512(avx512: Avx512, round: usize, a: __m512i, b: __m512i) -> (__m512i, __m512i) {
        match round {
            0 => (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b)),
            1 => (_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b)),
            _ => (
                _mm512_shuffle_i32x4::<0b10_00_10_00>(a, b),
                _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b),
            ),
        }
    }
}

/// Of two vectors of two registers each.
#[inline(always)]
pub(super) fn part_256<S: Token>(
    l: Simd<S>,
    avx2: Avx2,
    round: usize,
    a: u32x16<S>,
    b: u32x16<S>,
) -> (u32x16<S>, u32x16<S>) {
    let ((a_low, a_high), (b_low, b_high)) = (a.split(), b.split());
    if round == 0 {
        return (a_low.combine(b_low), a_high.combine(b_high));
    }
    let low = registers(avx2, round, a_low.into(), a_high.into());
    let high = registers(avx2, round, b_low.into(), b_high.into());
    let vector = |low: __m256i, high: __m256i| -> u32x16<S> {
        let (low, high): (u32x8<S>, u32x8<S>) = (low.simd_into(l.0), high.simd_into(l.0));
        low.combine(high)
    };
    (vector(low.0, high.0), vector(low.1, high.1))
}

fearless_simd::kernel! {
    #[inline(always)]
    fn registers(avx2: Avx2, round: usize, a: __m256i, b: __m256i) -> (__m256i, __m256i) {
        match round {
            1 => (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b)),
            2 => (_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b)),
            _ => (_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x31>(a, b)),
        }
    }
}
