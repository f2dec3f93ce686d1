//! Operations of AVX-512 in one instruction where the portable ones take several.
//!
//! ```text
//! vpermi2b, vpermi2w   one byte of each lane of two vectors, in order; the upper halves of two vectors, in order
//! vcmpunordps          two vectors at once are asked for NaN
//! vpmultishiftqb       any eight bits of a qword to each of its bytes: codes of any width to their own bytes
//! vpermps, vpermw      sixteen f32 or thirty-two words by the low bits of each index: what lies above does not matter
//! vpunpck, vshufi32x4  half of the lanes of two vectors and the other half: four rounds of it fold sixteen vectors
//! ```
//!
//! The instructions that convert to bf16 flush subnormals, so rounding is integer arithmetic: bits + 0x7fff, and + 1 under the
//! mask of odd upper halves, three operations for 16 values.

use crate::codes::Closing;
use crate::lanes::{CHUNK, LANES};
use crate::levels::simd::{Instructions, Table};
use fearless_simd::prelude::*;
use fearless_simd::x86::Avx512;
use fearless_simd::{f32x4, f32x16, u8x32, u8x64, u16x32, u32x16};

#[cfg(target_arch = "x86")]
use core::arch::x86::*;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::*;

impl Instructions for Avx512 {
    const FOLDS: bool = true;

    #[inline(always)]
    fn any_nan(self, [a, b, c, d]: [f32x16<Self>; 4]) -> bool {
        any_nan(self, [a.into(), b.into(), c.into(), d.into()])
    }
    #[inline(always)]
    fn part(self, round: usize, a: u32x16<Self>, b: u32x16<Self>) -> (u32x16<Self>, u32x16<Self>) {
        let (a, b) = parts(self, round, a.into(), b.into());
        (a.simd_into(self), b.simd_into(self))
    }
    #[inline(always)]
    fn bytes_at(self, [a, b, c, d]: [u32x16<Self>; 4], bit: u32) -> u8x64<Self> {
        bytes_at(self, [a.into(), b.into(), c.into(), d.into()], bit).simd_into(self)
    }
    #[inline(always)]
    fn close_words(self, _: u32, words: u8x64<Self>, closing: &Closing, out: &mut [u8; CHUNK]) {
        words.swizzle_dyn(u8x64::load_array_ref(self, &closing.order)).store_array(out);
    }
    #[inline(always)]
    fn join_nibbles(self, x: u8x64<Self>) -> u8x32<Self> {
        join_nibbles(self, x.into()).simd_into(self)
    }
    #[inline(always)]
    fn widen_f16(self, x: u32x16<Self>) -> f32x16<Self> {
        widen_f16(self, x.into()).simd_into(self)
    }
    #[inline(always)]
    fn load_f16(self, x: &[u16; 2 * LANES]) -> [f32x16<Self>; 2] {
        let [a, b] = widen_f16_pair(self, u16x32::load_array_ref(self, x).into());
        [a.simd_into(self), b.simd_into(self)]
    }
    #[inline(always)]
    fn narrow_f16(self, x: f32x16<Self>) -> u32x16<Self> {
        narrow_f16(self, x.into()).simd_into(self)
    }
    #[inline(always)]
    fn round_upper(self, x: f32x16<Self>) -> f32x16<Self> {
        round_upper(self, x.into()).simd_into(self)
    }
    #[inline(always)]
    fn store_upper(self, [a, b, c, d]: [f32x16<Self>; 4], out: &mut [u16; CHUNK]) {
        let words = [upper_halves(self, a.into(), b.into()), upper_halves(self, c.into(), d.into())];
        store_words(self, words, out);
    }
    #[inline(always)]
    fn lookup_nibbles(self, table: Table<Self>, codes: &[u8; CHUNK / 2]) -> [f32x16<Self>; 4] {
        let [a, b, c, d] = lookup_nibbles(self, table.values.into(), codes);
        [a.simd_into(self), b.simd_into(self), c.simd_into(self), d.simd_into(self)]
    }
    #[inline(always)]
    fn pairs(self, x: &[f32; 4]) -> [f32x16<Self>; 2] {
        let [first, last] = pairs(self, f32x4::load_array_ref(self, x).into());
        [first.simd_into(self), last.simd_into(self)]
    }
    #[inline(always)]
    fn store_nibble_words(
        self,
        signed: bool,
        [low, high]: [f32x16<Self>; 2],
        codes: &[u8; CHUNK / 2],
        out: &mut [u16; CHUNK],
    ) -> bool {
        let table = upper_halves(self, low.into(), high.into());
        store_words(self, words(self, signed, table, u8x32::load_array_ref(self, codes).into()), out);
        true
    }
}

#[inline(always)]
pub(super) fn store_words(token: Avx512, words: [__m512i; 2], out: &mut [u16; CHUNK]) {
    for (words, out) in words.into_iter().zip(out.as_chunks_mut().0) {
        let words: u16x32<Avx512> = words.simd_into(token);
        words.store_array(out);
    }
}

/// Which bytes of two vectors make 32: the lowest of each lane.
static LOWEST: [u8; 64] = {
    let mut bytes = [0; 64];
    let mut i = 0;
    while i < 64 {
        bytes[i] = 4 * (i as u8 % 32);
        i += 1;
    }
    bytes
};

/// Eight bits of each lane from bit 0, or from one of bits 24 to 31 on.
#[inline(always)]
pub(super) fn bytes_at(avx512: Avx512, x: [__m512i; 4], bit: u32) -> __m512i {
    let bytes = u8x64::load_array_ref(avx512, &LOWEST) + u8x64::splat(avx512, bit as u8 / 8);
    shifted(avx512, joined(avx512, x, bytes.into()), bit % 8)
}

fearless_simd::kernel! {
    #[inline(always)]
    fn joined(avx512: Avx512, x: [__m512i; 4], bytes: __m512i) -> __m512i {
        let low = _mm512_permutex2var_epi8(x[0], bytes, x[1]);
        let high = _mm512_permutex2var_epi8(x[2], bytes, x[3]);
        _mm512_inserti64x4::<1>(low, _mm512_castsi512_si256(high))
    }
}

fearless_simd::kernel! {
    /// Words: what comes from the byte above is beyond the highest bit.
    #[inline(always)]
    fn shifted(avx512: Avx512, x: __m512i, bits: u32) -> __m512i {
        _mm512_srl_epi16(x, _mm_cvtsi32_si128(bits as i32))
    }
}

fearless_simd::kernel! {
    #[inline(always)]
    fn any_nan(avx512: Avx512, x: [__m512; 4]) -> bool {
        let first = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(x[0], x[1]);
        let last = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(x[2], x[3]);
        first | last != 0
    }
}

fearless_simd::kernel! {
    #[inline(always)]
    fn parts(avx512: Avx512, round: usize, a: __m512i, b: __m512i) -> (__m512i, __m512i) {
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

fearless_simd::kernel! {
    #[inline(always)]
    fn join_nibbles(avx512: Avx512, x: __m512i) -> __m256i {
        _mm512_cvtepi16_epi8(_mm512_maddubs_epi16(x, _mm512_set1_epi16(0x1001)))
    }
}

fearless_simd::kernel! {
    /// f16 in the low half of each lane.
    #[inline(always)]
    fn widen_f16(avx512: Avx512, x: __m512i) -> __m512 {
        _mm512_cvtph_ps(_mm512_cvtepi32_epi16(x))
    }
}

fearless_simd::kernel! {
    /// Thirty-two f16.
    #[inline(always)]
    fn widen_f16_pair(avx512: Avx512, x: __m512i) -> [__m512; 2] {
        [_mm512_cvtph_ps(_mm512_castsi512_si256(x)), _mm512_cvtph_ps(_mm512_extracti64x4_epi64::<1>(x))]
    }
}

fearless_simd::kernel! {
    #[inline(always)]
    fn narrow_f16(avx512: Avx512, x: __m512) -> __m512i {
        _mm512_cvtepu16_epi32(_mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x))
    }
}

fearless_simd::kernel! {
    #[inline(always)]
    fn round_upper(avx512: Avx512, x: __m512) -> __m512 {
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
    /// The value of each of 64 nibbles, the low one of a byte first.
    ///
    /// Every qword of a vector gets the same eight bytes, sixteen nibbles, and picks its own two: the low nibble of byte `k` for
    /// its lower half, the high one for its upper half.
    #[inline(always)]
    fn lookup_nibbles(avx512: Avx512, table: __m512, bytes: &[u8; 32]) -> [__m512; 4] {
        let picks = _mm512_setr_epi64(
            0x04 << 32,
            8 | 0x0c << 32,
            16 | 0x14 << 32,
            24 | 0x1c << 32,
            32 | 0x24 << 32,
            40 | 0x2c << 32,
            48 | 0x34 << 32,
            56 | 0x3c << 32,
        );
        let [a, b, c, d] = [0, 8, 16, 24].map(|at| i64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()));
        let indices = |codes| _mm512_multishift_epi64_epi8(picks, _mm512_set1_epi64(codes));
        [
            _mm512_permutexvar_ps(indices(a), table),
            _mm512_permutexvar_ps(indices(b), table),
            _mm512_permutexvar_ps(indices(c), table),
            _mm512_permutexvar_ps(indices(d), table),
        ]
    }
}

fearless_simd::kernel! {
    /// Eight lanes each: of the first two, and of the last two.
    #[inline(always)]
    fn pairs(avx512: Avx512, x: __m128) -> [__m512; 2] {
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
    fn words(avx512: Avx512, signed: bool, table: __m512i, bytes: __m256i) -> [__m512i; 2] {
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
