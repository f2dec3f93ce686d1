//! Operations of AVX2 with F16C in fewer instructions than the portable ones.
//!
//! ```text
//! vpackssdw, vpacksswb   four vectors of eight to thirty-two bytes; signs survive, whatever is below them
//! vpermps                eight f32 by the low three bits of each index; the fourth bit of a nibble chooses between two of them
//! vcvtph2ps              f16 to f32
//! vpunpck, vperm2i128    half of the lanes of two vectors and the other half, as two results: four rounds of it fold sixteen vectors
//! ```
//!
//! Packing works within 128 bits: the first half of 32 bytes holds the lower four lanes of each of four vectors, the second half the
//! upper ones. One vpermd at the end of all byte operations restores the order.

use crate::lanes::CHUNK;
use crate::levels::simd::{Instructions, Table, lowest_bytes};
use fearless_simd::prelude::*;
use fearless_simd::x86::Avx2;
use fearless_simd::{Simd as Token, f32x8, f32x16, u8x32, u8x64, u32x8, u32x16};

#[cfg(target_arch = "x86")]
use core::arch::x86::*;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::*;

impl Instructions for Avx2 {
    const FOLDS: bool = true;

    /// Asks two vectors at once.
    #[inline(always)]
    fn any_nan(self, [a, b, c, d]: [f32x16<Self>; 4]) -> bool {
        let ((a, b), (c, d)) = ((a.split(), b.split()), (c.split(), d.split()));
        let first = pairs_nan(self, [a.0.into(), a.1.into(), b.0.into(), b.1.into()]);
        any_set(self, first, pairs_nan(self, [c.0.into(), c.1.into(), d.0.into(), d.1.into()]))
    }
    /// Round 0 takes the lower registers of both and the upper ones, which is no instruction.
    #[inline(always)]
    fn part(self, round: usize, a: u32x16<Self>, b: u32x16<Self>) -> (u32x16<Self>, u32x16<Self>) {
        let ((a_low, a_high), (b_low, b_high)) = (a.split(), b.split());
        if round == 0 {
            return (a_low.combine(b_low), a_high.combine(b_high));
        }
        let low = parts(self, round, a_low.into(), a_high.into());
        let high = parts(self, round, b_low.into(), b_high.into());
        (join_words(self, low.0, high.0), join_words(self, low.1, high.1))
    }
    #[inline(always)]
    fn bytes_at(self, x: [u32x16<Self>; 4], bit: u32) -> u8x64<Self> {
        packed(self, lowest_bytes(self, x, bit))
    }
    /// From the order in which packing leaves bytes to that of the lanes.
    #[inline(always)]
    fn in_order(self, x: u8x64<Self>) -> u8x64<Self> {
        let (low, high) = x.split();
        join_bytes(self, unpacked_order(self, low.into()), unpacked_order(self, high.into()))
    }
    #[inline(always)]
    fn join_nibbles(self, x: u8x64<Self>) -> u8x32<Self> {
        let (low, high) = x.split();
        nibbles(self, low.into(), high.into()).simd_into(self)
    }
    #[inline(always)]
    fn widen_f16(self, x: u32x16<Self>) -> f32x16<Self> {
        let (low, high) = x.split();
        let (low, high) = widen_f16(self, low.into(), high.into());
        join(self, low, high)
    }
    #[inline(always)]
    fn narrow_f16(self, x: f32x16<Self>) -> u32x16<Self> {
        let (low, high) = x.split();
        let (low, high) = narrow_f16(self, low.into(), high.into());
        join_words(self, low, high)
    }
    #[inline(always)]
    fn lookup_nibbles(self, table: Table<Self>, codes: &[u8; CHUNK / 2]) -> [f32x16<Self>; 4] {
        let (low, high) = table.values.split();
        let (low, high) = (low.into(), high.into());
        let [a, b, c, d, e, f, g, h] = *codes.as_chunks().0 else { unreachable!() };
        [
            join(self, lookup_eight(self, low, high, a), lookup_eight(self, low, high, b)),
            join(self, lookup_eight(self, low, high, c), lookup_eight(self, low, high, d)),
            join(self, lookup_eight(self, low, high, e), lookup_eight(self, low, high, f)),
            join(self, lookup_eight(self, low, high, g), lookup_eight(self, low, high, h)),
        ]
    }
}

/// Sixteen f32 of two registers.
#[inline(always)]
pub(super) fn join<S: Token>(token: S, low: __m256, high: __m256) -> f32x16<S> {
    let (low, high): (f32x8<S>, f32x8<S>) = (low.simd_into(token), high.simd_into(token));
    low.combine(high)
}

/// Sixteen u32 of two registers.
#[inline(always)]
pub(super) fn join_words(token: Avx2, low: __m256i, high: __m256i) -> u32x16<Avx2> {
    let (low, high): (u32x8<Avx2>, u32x8<Avx2>) = (low.simd_into(token), high.simd_into(token));
    low.combine(high)
}

/// Sixty-four bytes of two registers.
#[inline(always)]
pub(super) fn join_bytes(token: Avx2, low: __m256i, high: __m256i) -> u8x64<Avx2> {
    let (low, high): (u8x32<Avx2>, u8x32<Avx2>) = (low.simd_into(token), high.simd_into(token));
    low.combine(high)
}

/// Lanes below 256 to bytes, in the order in which packing leaves them.
#[inline(always)]
pub(super) fn packed(token: Avx2, [a, b, c, d]: [u32x16<Avx2>; 4]) -> u8x64<Avx2> {
    let ((a, b), (c, d)) = ((a.split(), b.split()), (c.split(), d.split()));
    join_bytes(
        token,
        pack(token, [a.0.into(), a.1.into(), b.0.into(), b.1.into()]),
        pack(token, [c.0.into(), c.1.into(), d.0.into(), d.1.into()]),
    )
}

fearless_simd::kernel! {
    #[inline(always)]
    fn pairs_nan(avx2: Avx2, x: [__m256; 4]) -> __m256 {
        _mm256_or_ps(_mm256_cmp_ps::<_CMP_UNORD_Q>(x[0], x[1]), _mm256_cmp_ps::<_CMP_UNORD_Q>(x[2], x[3]))
    }
}

fearless_simd::kernel! {
    #[inline(always)]
    fn any_set(avx2: Avx2, a: __m256, b: __m256) -> bool {
        _mm256_movemask_ps(_mm256_or_ps(a, b)) != 0
    }
}

fearless_simd::kernel! {
    #[inline(always)]
    fn parts(avx2: Avx2, round: usize, a: __m256i, b: __m256i) -> (__m256i, __m256i) {
        match round {
            1 => (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b)),
            2 => (_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b)),
            _ => (_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x31>(a, b)),
        }
    }
}

fearless_simd::kernel! {
    /// Each lane is below 256.
    #[inline(always)]
    pub(super) fn pack(avx2: Avx2, x: [__m256i; 4]) -> __m256i {
        _mm256_packus_epi16(_mm256_packus_epi32(x[0], x[1]), _mm256_packus_epi32(x[2], x[3]))
    }
}

fearless_simd::kernel! {
    #[inline(always)]
    fn unpacked_order(avx2: Avx2, x: __m256i) -> __m256i {
        _mm256_permutevar8x32_epi32(x, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))
    }
}

fearless_simd::kernel! {
    #[inline(always)]
    fn nibbles(avx2: Avx2, low: __m256i, high: __m256i) -> __m256i {
        let sixteen = _mm256_set1_epi16(0x1001);
        let (low, high) = (_mm256_maddubs_epi16(low, sixteen), _mm256_maddubs_epi16(high, sixteen));
        _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi16(low, high))
    }
}

fearless_simd::kernel! {
    /// The value of each of eight nibbles, the low one of a byte first.
    #[inline(always)]
    fn lookup_eight(avx2: Avx2, low: __m256, high: __m256, bytes: [u8; 4]) -> __m256 {
        let codes = _mm256_set1_epi32(i32::from_le_bytes(bytes));
        let index = _mm256_srlv_epi32(codes, _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28));
        let choice = _mm256_sllv_epi32(codes, _mm256_setr_epi32(28, 24, 20, 16, 12, 8, 4, 0));
        let (low, high) = (_mm256_permutevar8x32_ps(low, index), _mm256_permutevar8x32_ps(high, index));
        _mm256_blendv_ps(low, high, _mm256_castsi256_ps(choice))
    }
}

fearless_simd::kernel! {
    /// f16 in the low half of each lane.
    #[inline(always)]
    fn widen_f16(avx2: Avx2, low: __m256i, high: __m256i) -> (__m256, __m256) {
        let halves = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi32(low, high));
        (_mm256_cvtph_ps(_mm256_castsi256_si128(halves)), _mm256_cvtph_ps(_mm256_extracti128_si256::<1>(halves)))
    }
}

fearless_simd::kernel! {
    #[inline(always)]
    fn narrow_f16(avx2: Avx2, low: __m256, high: __m256) -> (__m256i, __m256i) {
        (
            _mm256_cvtepu16_epi32(_mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(low)),
            _mm256_cvtepu16_epi32(_mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(high)),
        )
    }
}
