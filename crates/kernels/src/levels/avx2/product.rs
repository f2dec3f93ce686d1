//! Sums of products of AVX2: `pmaddubsw`, products of words, two registers for each vector.

use super::decode::HalfDecoder;
use super::lanes::join;
use crate::Element;
use crate::codecs::minifloat::Layout;
use crate::lanes::{CHUNK, LANES, apart};
use crate::levels::simd::{ByteDecoder, Simd, SumInstructions};
use crate::product::lanes::{SumLanes, WithDecoder};
use crate::product::tables::E4m3Tables;
use fearless_simd::prelude::*;
use fearless_simd::x86::Avx2;
use fearless_simd::{f32x8, f32x16, i8x64, i32x8, i32x16, kernel, u8x16, u8x64, u16x32, u32x16};

#[cfg(target_arch = "x86")]
use core::arch::x86::*;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::*;

impl SumInstructions for Avx2 {
    const UNROLLED: bool = true;
    const NATIVE: bool = true;

    #[inline(always)]
    fn dot(self, weights: u8x64<Self>, x: i8x64<Self>) -> i32x16<Self> {
        let ((a, b), (c, d)) = (weights.split(), x.split());
        join_sums(self, dot(self, a.into(), c.into()), dot(self, b.into(), d.into()))
    }
    #[inline(always)]
    fn dot_halves(self, [low, high]: [u8x64<Self>; 2], [x_low, x_high]: [i8x64<Self>; 2]) -> i32x16<Self> {
        let ((a, b), (c, d)) = (low.split(), high.split());
        let ((e, f), (g, h)) = (x_low.split(), x_high.split());
        join_sums(
            self,
            dot_halves(self, a.into(), c.into(), e.into(), g.into()),
            dot_halves(self, b.into(), d.into(), f.into(), h.into()),
        )
    }
    #[inline(always)]
    fn dot_digits(
        self,
        [a, b]: [u8x64<Self>; 2],
        [c, d]: [u8x64<Self>; 2],
        [x_low, x_high]: [i8x64<Self>; 2],
    ) -> i32x16<Self> {
        let ((a, e), (b, f)) = (a.split(), b.split());
        let ((c, g), (d, h)) = (c.split(), d.split());
        let ((x0, x2), (x1, x3)) = (x_low.split(), x_high.split());
        join_sums(
            self,
            dot_digits(self, [a.into(), b.into()], [c.into(), d.into()], [x0.into(), x1.into()]),
            dot_digits(self, [e.into(), f.into()], [g.into(), h.into()], [x2.into(), x3.into()]),
        )
    }
    #[inline(always)]
    fn pick(self, from: &[f32; LANES / 2], index: u32x16<Self>) -> f32x16<Self> {
        let (from, (low, high)) = (f32x8::load_array_ref(self, from), index.split());
        join(self, pick(self, from.into(), low.into()), pick(self, from.into(), high.into()))
    }

    /// Three tables: what is added to a mantissa, and the two bytes of a power.
    #[inline(always)]
    fn e4m3_tables(self, tables: &E4m3Tables) -> [u8x64<Self>; 6] {
        let (l, zero, [low, high]) = (Simd(self), u8x64::splat(self, 0), &tables.powers);
        [l.byte_table(&tables.lead), l.byte_table(low), l.byte_table(high), zero, zero, zero]
    }
    /// Mantissas and powers.
    #[inline(always)]
    fn e4m3_weights(self, tables: [u8x64<Self>; 6], codes: u8x64<Self>) -> [u8x64<Self>; 4] {
        let words: u16x32<Self> = codes.bitcast();
        let exponents: u8x64<Self> = (words >> 3).bitcast();
        let exponents = exponents & u8x64::splat(self, 15);
        let (lead, low, high) = (
            tables[0].swizzle_dyn_within_blocks(exponents),
            tables[1].swizzle_dyn_within_blocks(exponents),
            tables[2].swizzle_dyn_within_blocks(exponents),
        );
        [lead | (codes & u8x64::splat(self, 7)), low, high, codes]
    }
    #[inline(always)]
    fn e4m3_dot(self, [mantissas, low, high, codes]: [u8x64<Self>; 4], x: i8x64<Self>) -> i32x16<Self> {
        let ((a, d), (b, e), (c, f)) = (mantissas.split(), low.split(), high.split());
        let ((codes, rest), (x_low, x_high)) = (codes.split(), x.split());
        join_sums(
            self,
            e4m3_dot(self, a.into(), b.into(), c.into(), codes.into(), x_low.into()),
            e4m3_dot(self, d.into(), e.into(), f.into(), rest.into(), x_high.into()),
        )
    }

    #[inline(always)]
    fn scales_e4m3(self, codes: &[u8; LANES]) -> f32x16<Self> {
        let (low, high) = scales_e4m3(self, u8x16::load_array_ref(self, codes).into());
        join(self, low, high)
    }

    #[inline(always)]
    fn with_byte_decoder<T: WithDecoder<Simd<Self>>>(self, e: Element, work: T) {
        let l = Simd(self);
        let Some(format) = e.float_format() else {
            return apart!(l, work.with::<CHUNK>(l, ByteDecoder::new(l, e)));
        };
        let decoder = HalfDecoder::<Self, 8>::new(l, self, format, Layout::of(format));
        apart!(l, work.with::<CHUNK>(l, decoder));
    }
    #[inline(always)]
    fn extend(self, codes: &[u8; LANES]) -> i32x16<Self> {
        let (low, high) = extend(self, u8x16::load_array_ref(self, codes).into());
        join_sums(self, low, high)
    }
}

/// Sixteen sums of two registers.
#[inline(always)]
fn join_sums(token: Avx2, low: __m256i, high: __m256i) -> i32x16<Avx2> {
    let (low, high): (i32x8<Avx2>, i32x8<Avx2>) = (low.simd_into(token), high.simd_into(token));
    low.combine(high)
}

kernel!(
    /// `mantissa * x * 2^s`. The sign instruction makes an activation 0 where the code is 0, whose weight is 0, too.
    #[inline(always)]
    fn e4m3_dot(
        avx2: Avx2,
        mantissas: __m256i,
        low: __m256i,
        high: __m256i,
        codes: __m256i,
        x: __m256i,
    ) -> __m256i {
        let zero = _mm256_setzero_si256();
        let x = _mm256_sign_epi8(x, codes);
        let a = _mm256_mullo_epi16(
            _mm256_unpacklo_epi8(mantissas, zero),
            _mm256_srai_epi16::<8>(_mm256_unpacklo_epi8(zero, x)),
        );
        let b = _mm256_mullo_epi16(
            _mm256_unpackhi_epi8(mantissas, zero),
            _mm256_srai_epi16::<8>(_mm256_unpackhi_epi8(zero, x)),
        );
        _mm256_hadd_epi32(
            _mm256_madd_epi16(a, _mm256_unpacklo_epi8(low, high)),
            _mm256_madd_epi16(b, _mm256_unpackhi_epi8(low, high)),
        )
    }
);
kernel!(
    /// Digits times activations, of low and of high nibbles; the first digits count 2^7 times as much. Two products leave room in 16 bits, four do not.
    #[inline(always)]
    fn dot_digits(avx2: Avx2, above: [__m256i; 2], below: [__m256i; 2], x: [__m256i; 2]) -> __m256i {
        let (one, digit) = (_mm256_set1_epi16(1), _mm256_set1_epi16(1 << 7));
        let above_0 = _mm256_madd_epi16(_mm256_maddubs_epi16(above[0], x[0]), digit);
        let above_1 = _mm256_madd_epi16(_mm256_maddubs_epi16(above[1], x[1]), digit);
        let below_0 = _mm256_madd_epi16(_mm256_maddubs_epi16(below[0], x[0]), one);
        let below_1 = _mm256_madd_epi16(_mm256_maddubs_epi16(below[1], x[1]), one);
        _mm256_add_epi32(_mm256_add_epi32(above_0, above_1), _mm256_add_epi32(below_0, below_1))
    }
);
kernel!(
    #[inline(always)]
    fn pick(avx2: Avx2, from: __m256, index: __m256i) -> __m256 {
        _mm256_permutevar8x32_ps(from, index)
    }
);
kernel!(
    #[inline(always)]
    fn scales_e4m3(avx2: Avx2, codes: __m128i) -> (__m256, __m256) {
        let halves = _mm256_slli_epi16::<7>(_mm256_cvtepu8_epi16(codes));
        let (low, high) = (_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves));
        (_mm256_cvtph_ps(low), _mm256_cvtph_ps(high))
    }
);
kernel!(
    /// No product of weights up to 24 leaves 16 bits, nor does a sum of four.
    #[inline(always)]
    fn dot_halves(avx2: Avx2, low: __m256i, high: __m256i, x_low: __m256i, x_high: __m256i) -> __m256i {
        let pairs = _mm256_add_epi16(_mm256_maddubs_epi16(low, x_low), _mm256_maddubs_epi16(high, x_high));
        _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))
    }
);
kernel!(
    /// Two products of 8 bits each leave 16 bits, so the nibbles of weights are multiplied apart.
    #[inline(always)]
    fn dot(avx2: Avx2, weights: __m256i, x: __m256i) -> __m256i {
        let low_bits = _mm256_set1_epi8(15);
        let low = _mm256_maddubs_epi16(_mm256_and_si256(weights, low_bits), x);
        let high = _mm256_and_si256(_mm256_srli_epi16::<4>(weights), low_bits);
        let high = _mm256_maddubs_epi16(high, x);
        _mm256_add_epi32(
            _mm256_madd_epi16(low, _mm256_set1_epi16(1)),
            _mm256_madd_epi16(high, _mm256_set1_epi16(16)),
        )
    }
);

kernel!(
    #[inline(always)]
    fn extend(avx2: Avx2, codes: __m128i) -> (__m256i, __m256i) {
        (_mm256_cvtepi8_epi32(codes), _mm256_cvtepi8_epi32(_mm_srli_si128::<8>(codes)))
    }
);
