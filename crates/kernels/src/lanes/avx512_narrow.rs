//! bf16 with AVX-512: what takes one instruction here and several elsewhere.
//!
//! The instructions that convert to bf16 flush subnormals, so rounding is integer arithmetic.
//!
//! ```text
//! bits + 0x7fff, and + 1 under the mask of odd upper halves      vptestmd, vpaddd, vpsubd: three operations for 16 values
//! vpermi2w                                                       the upper halves of two vectors, in order
//! vpermw                                                         thirty-two words looked up in thirty-two
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

fearless_simd::kernel! {
    /// Eight lanes each: of the first two, and of the last two.
    #[inline(always)]
    pub(super) fn pairs(avx512: Avx512, x: __m128) -> [__m512; 2] {
        let (x, first) = (_mm512_castps128_ps512(x), _mm512_setr_epi64(0, 0, 0, 0, 0x1_0000_0001, 0x1_0000_0001, 0x1_0000_0001, 0x1_0000_0001));
        [_mm512_permutexvar_ps(first, x), _mm512_permutexvar_ps(_mm512_or_si512(first, _mm512_set1_epi32(2)), x)]
    }
}

fearless_simd::kernel! {
    /// The words of 64 nibbles, by the value of a nibble in a table of two times sixteen words, of which the second is for the last 32 nibbles; or,
    /// `signed`, by the three low bits in one of four times eight words, of which each is for sixteen nibbles, with the fourth bit for a sign.
    ///
    /// Half a vector gets the same eight bytes, sixteen nibbles; a qword picks its four: eight bits from each nibble on for the lower byte of a word,
    /// and those that end with it for the upper byte.
    #[inline(always)]
    pub(super) fn words(avx512: Avx512, signed: bool, table: __m512i, bytes: __m256i) -> [__m512i; 2] {
        let picks = _mm512_broadcast_i64x4(_mm256_setr_epi64x(
            0x080c_0408_0004_3c00,
            0x181c_1418_1014_0c10,
            0x282c_2428_2024_1c20,
            0x383c_3438_3034_2c30,
        ));
        let (bytes, first) = (_mm512_castsi256_si512(bytes), _mm512_setr_epi64(0, 0, 0, 0, 1, 1, 1, 1));
        let low = _mm512_multishift_epi64_epi8(picks, _mm512_permutexvar_epi64(first, bytes));
        let last = _mm512_setr_epi64(2, 2, 2, 2, 3, 3, 3, 3);
        let high = _mm512_multishift_epi64_epi8(picks, _mm512_permutexvar_epi64(last, bytes));
        let value = _mm512_set1_epi16(if signed { 7 } else { 15 });
        let first = _mm512_inserti64x4::<1>(_mm512_setzero_si512(), _mm256_set1_epi16(if signed { 8 } else { 0 }));
        let last = _mm512_or_si512(first, _mm512_set1_epi16(16));
        let words = [
            _mm512_permutexvar_epi16(_mm512_ternarylogic_epi32::<0xea>(low, value, first), table),
            _mm512_permutexvar_epi16(_mm512_ternarylogic_epi32::<0xea>(high, value, last), table),
        ];
        if !signed {
            return words;
        }
        let sign = _mm512_set1_epi16(i16::MIN);
        [
            _mm512_ternarylogic_epi32::<0x78>(words[0], low, sign),
            _mm512_ternarylogic_epi32::<0x78>(words[1], high, sign),
        ]
    }
}
