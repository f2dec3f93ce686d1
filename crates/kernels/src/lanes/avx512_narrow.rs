//! bf16 with AVX-512: what takes one instruction here and several elsewhere.
//!
//! The instructions that convert to bf16 flush subnormals, so rounding is integer arithmetic.
//!
//! ```text
//! bits + 0x7fff, and + 1 under the mask of odd upper halves      vptestmd, vpaddd, vpsubd: three operations for 16 values
//! vpermi2w                                                       the upper halves of two vectors, in order
//! ```

#[cfg(target_arch = "x86")]
use core::arch::x86::*;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::*;

fearless_simd::kernel! {
    #[inline(always)]
    pub(super) fn round_upper(avx512: Avx512, x: __m512) -> __m512 {
        let bits = _mm512_castps_si512(x);
        let odd = _mm512_test_epi32_mask(bits, _mm512_set1_epi32(1 << 16));
        let below_half = _mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff));
        _mm512_castsi512_ps(_mm512_mask_sub_epi32(below_half, odd, below_half, _mm512_set1_epi32(-1)))
    }
}

fearless_simd::kernel! {
    /// The odd words of both.
    #[inline(always)]
    pub(super) fn upper_halves(avx512: Avx512, a: __m512, b: __m512) -> __m512i {
        let odd = _mm512_setr_epi32(
            0x0003_0001, 0x0007_0005, 0x000b_0009, 0x000f_000d, 0x0013_0011, 0x0017_0015, 0x001b_0019, 0x001f_001d,
            0x0023_0021, 0x0027_0025, 0x002b_0029, 0x002f_002d, 0x0033_0031, 0x0037_0035, 0x003b_0039, 0x003f_003d,
        );
        _mm512_permutex2var_epi16(_mm512_castps_si512(a), odd, _mm512_castps_si512(b))
    }
}
