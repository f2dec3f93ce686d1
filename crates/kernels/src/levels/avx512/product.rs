//! Sums of products of AVX-512: `vpdpbusd`, lookups of bytes, sums within 128 bits before those of blocks of 128 bits.

use super::decode::{FNUZ, PlaneDecoder, SIGNED};
use super::planes::Planes;
use crate::Element;
use crate::lanes::{CHUNK, LANES, Lanes, apart};
use crate::levels::simd::{ByteDecoder, Simd, SumInstructions};
use crate::product::lanes::WithDecoder;
use crate::product::tables::E4m3Tables;
use fearless_simd::prelude::*;
use fearless_simd::x86::Avx512;
use fearless_simd::{f32x8, f32x16, i8x64, i32x16, kernel, u8x16, u8x32, u8x64, u16x32, u32x16};

#[cfg(target_arch = "x86")]
use core::arch::x86::*;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::*;

impl SumInstructions for Avx512 {
    const UNROLLED: bool = true;
    const NATIVE: bool = true;

    /// The index has 6 bits; the table is there four times, so that the upper two do not matter.
    #[inline(always)]
    fn halves(self, table: u8x64<Self>, codes: u8x64<Self>) -> [u8x64<Self>; 2] {
        let words: u16x32<Self> = codes.bitcast();
        let high: u8x64<Self> = (words >> 4).bitcast();
        [
            lookup(self, table.into(), codes.into()).simd_into(self),
            lookup(self, table.into(), high.into()).simd_into(self),
        ]
    }
    #[inline(always)]
    fn dot(self, weights: u8x64<Self>, x: i8x64<Self>) -> i32x16<Self> {
        dot(self, weights.into(), x.into()).simd_into(self)
    }
    #[inline(always)]
    fn dot_halves(self, [low, high]: [u8x64<Self>; 2], [x_low, x_high]: [i8x64<Self>; 2]) -> i32x16<Self> {
        dot_halves(self, low.into(), high.into(), x_low.into(), x_high.into()).simd_into(self)
    }
    #[inline(always)]
    fn dot_digits(
        self,
        [a, b]: [u8x64<Self>; 2],
        [c, d]: [u8x64<Self>; 2],
        [x_low, x_high]: [i8x64<Self>; 2],
    ) -> i32x16<Self> {
        let (above, below) = ([a.into(), b.into()], [c.into(), d.into()]);
        dot_digits(self, above, below, [x_low.into(), x_high.into()]).simd_into(self)
    }
    #[inline(always)]
    fn parts_to_f32(self, high: i32x16<Self>, low: i32x16<Self>) -> f32x16<Self> {
        parts_to_f32(self, high.into(), low.into()).simd_into(self)
    }
    #[inline(always)]
    fn pick(self, from: &[f32; LANES / 2], index: u32x16<Self>) -> f32x16<Self> {
        pick(self, f32x8::load_array_ref(self, from).into(), index.into()).simd_into(self)
    }

    /// Two halves of each plane.
    #[inline(always)]
    fn e4m3_tables(self, tables: &E4m3Tables) -> [u8x64<Self>; 6] {
        let mut all = [u8x64::splat(self, 0); 6];
        for (plane, halves) in tables.planes.iter().zip(all.as_chunks_mut().0) {
            let [low, high] = plane.as_chunks::<CHUNK>().0 else { unreachable!() };
            *halves = [Simd(self).load_bytes(low), Simd(self).load_bytes(high)];
        }
        all
    }
    /// Three bytes of each magnitude.
    #[inline(always)]
    fn e4m3_weights(self, tables: [u8x64<Self>; 6], codes: u8x64<Self>) -> [u8x64<Self>; 4] {
        let mut weights = [codes; 4];
        for i in 0..3 {
            let [low, high] = [tables[2 * i].into(), tables[2 * i + 1].into()];
            weights[i] = lookup_7(self, low, high, codes.into()).simd_into(self);
        }
        weights
    }
    #[inline(always)]
    fn e4m3_nan(self, [_, _, highest, _]: [u8x64<Self>; 4]) -> u8x64<Self> {
        highest
    }
    #[inline(always)]
    fn e4m3_dot(self, [low, middle, high, codes]: [u8x64<Self>; 4], x: i8x64<Self>) -> i32x16<Self> {
        e4m3_dot(self, low.into(), middle.into(), high.into(), codes.into(), x.into()).simd_into(self)
    }

    #[inline(always)]
    fn scales_e4m3(self, codes: &[u8; LANES]) -> f32x16<Self> {
        scales_e4m3(self, u8x16::load_array_ref(self, codes).into()).simd_into(self)
    }
    #[inline(always)]
    fn scales_f16(self, bytes: &[u8; 2 * LANES]) -> f32x16<Self> {
        scales_f16(self, u8x32::load_array_ref(self, bytes).into()).simd_into(self)
    }

    /// Within 128 bits first, which takes no index; what is out of order after that is put right at the end.
    #[inline(always)]
    fn sum_neighbours<const N: usize>(self, mut x: [i32x16<Self>; N]) -> i32x16<Self> {
        let mut left = N;
        while left > 1 {
            let within = left > N / 4;
            left /= 2;
            for i in 0..left {
                let (a, b) = (x[2 * i].into(), x[2 * i + 1].into());
                let sum = if within { sum_pairs(self, a, b) } else { sum_blocks(self, a, b) };
                x[i] = sum.simd_into(self);
            }
        }
        in_order::<N>(self, x[0].into()).simd_into(self)
    }
    /// Within 128 bits.
    #[inline(always)]
    fn add_four(self, [a, b, c, d]: [f32x16<Self>; 4]) -> f32x16<Self> {
        let (a, b) = (add_pairs(self, a.into(), b.into()), add_pairs(self, c.into(), d.into()));
        add_pairs(self, a, b).simd_into(self)
    }
    #[inline(always)]
    fn add_quarters(self, [a, b, c, d]: [f32x16<Self>; 4]) -> f32x16<Self> {
        let (a, b) = (add_blocks(self, a.into(), b.into()), add_blocks(self, c.into(), d.into()));
        add_blocks(self, a, b).simd_into(self)
    }

    #[inline(always)]
    fn with_byte_decoder<T: WithDecoder<Simd<Self>>>(self, e: Element, work: T) {
        let l = Simd(self);
        if e.float_format().is_none() {
            return apart!(l, work.with::<CHUNK>(l, ByteDecoder::new(l, e)));
        }
        let planes = Planes::of(e).unwrap();
        if T::FNUZ && planes.fnuz {
            return apart!(l, work.with::<CHUNK>(l, PlaneDecoder::<FNUZ>::new(self, 8, planes)));
        }
        apart!(l, work.with::<CHUNK>(l, PlaneDecoder::<SIGNED>::new(self, 8, planes)));
    }
    #[inline(always)]
    fn extend(self, codes: &[u8; LANES]) -> i32x16<Self> {
        extend(self, u8x16::load_array_ref(self, codes).into()).simd_into(self)
    }
}

kernel!(
    /// The table's byte for the low 6 bits of each code.
    #[inline(always)]
    fn lookup(avx512: Avx512, table: __m512i, codes: __m512i) -> __m512i {
        _mm512_permutexvar_epi8(codes, table)
    }
);
kernel!(
    #[inline(always)]
    fn dot(avx512: Avx512, weights: __m512i, x: __m512i) -> __m512i {
        _mm512_dpbusd_epi32(_mm512_setzero_si512(), weights, x)
    }
);
kernel!(
    #[inline(always)]
    fn dot_halves(avx512: Avx512, low: __m512i, high: __m512i, x_low: __m512i, x_high: __m512i) -> __m512i {
        let sums = _mm512_dpbusd_epi32(_mm512_setzero_si512(), low, x_low);
        _mm512_dpbusd_epi32(sums, high, x_high)
    }
);
kernel!(
    /// The byte of two tables for the low 7 bits of each code.
    #[inline(always)]
    fn lookup_7(avx512: Avx512, low: __m512i, high: __m512i, codes: __m512i) -> __m512i {
        _mm512_permutex2var_epi8(low, codes, high)
    }
);
kernel!(
    /// Magnitudes in three bytes, times activations that change their sign where the code has one.
    #[inline(always)]
    fn e4m3_dot(
        avx512: Avx512,
        low: __m512i,
        middle: __m512i,
        high: __m512i,
        codes: __m512i,
        x: __m512i,
    ) -> __m512i {
        let zero = _mm512_setzero_si512();
        let x = _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(codes), zero, x);
        let sums = _mm512_slli_epi32::<8>(_mm512_dpbusd_epi32(zero, high, x));
        let sums = _mm512_slli_epi32::<8>(_mm512_dpbusd_epi32(sums, middle, x));
        _mm512_dpbusd_epi32(sums, low, x)
    }
);
kernel!(
    /// Digits times activations, of low and of high nibbles; the first digits count 2^7 times as much.
    #[inline(always)]
    fn dot_digits(avx512: Avx512, above: [__m512i; 2], below: [__m512i; 2], x: [__m512i; 2]) -> __m512i {
        let sums = _mm512_dpbusd_epi32(_mm512_setzero_si512(), above[0], x[0]);
        let sums = _mm512_slli_epi32::<7>(_mm512_dpbusd_epi32(sums, above[1], x[1]));
        _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(sums, below[0], x[0]), below[1], x[1])
    }
);
kernel!(
    /// `high * 2^14 + low`, which f64 hold exactly.
    #[inline(always)]
    fn parts_to_f32(avx512: Avx512, high: __m512i, low: __m512i) -> __m512 {
        let factor = _mm512_set1_pd(16384.0);
        let (high_0, low_0) = (_mm512_castsi512_si256(high), _mm512_castsi512_si256(low));
        let (high_1, low_1) = (_mm512_extracti64x4_epi64::<1>(high), _mm512_extracti64x4_epi64::<1>(low));
        let sums_0 = _mm512_fmadd_pd(_mm512_cvtepi32_pd(high_0), factor, _mm512_cvtepi32_pd(low_0));
        let sums_1 = _mm512_fmadd_pd(_mm512_cvtepi32_pd(high_1), factor, _mm512_cvtepi32_pd(low_1));
        let (sums_0, sums_1) = (_mm512_cvtpd_ps(sums_0), _mm512_cvtpd_ps(sums_1));
        _mm512_insertf32x8::<1>(_mm512_castps256_ps512(sums_0), sums_1)
    }
);
kernel!(
    #[inline(always)]
    fn pick(avx512: Avx512, from: __m256, index: __m512i) -> __m512 {
        _mm512_permutexvar_ps(index, _mm512_castps256_ps512(from))
    }
);
kernel!(
    /// E4M3 codes below 0x7f as f16, which makes 2^-8 of their value.
    #[inline(always)]
    fn scales_e4m3(avx512: Avx512, codes: __m128i) -> __m512 {
        _mm512_cvtph_ps(_mm256_slli_epi16::<7>(_mm256_cvtepu8_epi16(codes)))
    }
);
kernel!(
    #[inline(always)]
    fn scales_f16(avx512: Avx512, bytes: __m256i) -> __m512 {
        _mm512_cvtph_ps(bytes)
    }
);
kernel!(
    /// Per 128 bits: `a0 + a1, a2 + a3, b0 + b1, b2 + b3`.
    #[inline(always)]
    fn sum_pairs(avx512: Avx512, a: __m512i, b: __m512i) -> __m512i {
        let (a, b) = (_mm512_castsi512_ps(a), _mm512_castsi512_ps(b));
        let (even, odd) =
            (_mm512_shuffle_ps::<0b10_00_10_00>(a, b), _mm512_shuffle_ps::<0b11_01_11_01>(a, b));
        _mm512_add_epi32(_mm512_castps_si512(even), _mm512_castps_si512(odd))
    }
);
kernel!(
    /// The same of f32.
    #[inline(always)]
    fn add_pairs(avx512: Avx512, a: __m512, b: __m512) -> __m512 {
        let (even, odd) =
            (_mm512_shuffle_ps::<0b10_00_10_00>(a, b), _mm512_shuffle_ps::<0b11_01_11_01>(a, b));
        _mm512_add_ps(even, odd)
    }
);
kernel!(
    /// Blocks of 128 bits: `a0 + a1, a2 + a3, b0 + b1, b2 + b3`.
    #[inline(always)]
    fn sum_blocks(avx512: Avx512, a: __m512i, b: __m512i) -> __m512i {
        let even = _mm512_shuffle_i32x4::<0b10_00_10_00>(a, b);
        let odd = _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b);
        _mm512_add_epi32(even, odd)
    }
);
kernel!(
    /// The same of f32.
    #[inline(always)]
    fn add_blocks(avx512: Avx512, a: __m512, b: __m512) -> __m512 {
        let even = _mm512_shuffle_f32x4::<0b10_00_10_00>(a, b);
        let odd = _mm512_shuffle_f32x4::<0b11_01_11_01>(a, b);
        _mm512_add_ps(even, odd)
    }
);
kernel!(
    /// What sums of two vectors need to be in order.
    #[inline(always)]
    fn in_order_2(avx512: Avx512, x: __m512i) -> __m512i {
        _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), x)
    }
);
kernel!(
    /// What sums of four vectors need to be in order.
    #[inline(always)]
    fn in_order_4(avx512: Avx512, x: __m512i) -> __m512i {
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        _mm512_permutexvar_epi32(order, x)
    }
);
kernel!(
    /// What sums of eight vectors need to be in order.
    #[inline(always)]
    fn in_order_8(avx512: Avx512, x: __m512i) -> __m512i {
        let order = _mm512_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);
        _mm512_permutexvar_epi32(order, x)
    }
);

#[inline(always)]
fn in_order<const N: usize>(avx512: Avx512, x: __m512i) -> __m512i {
    match N {
        2 => in_order_2(avx512, x),
        4 => in_order_4(avx512, x),
        8 => in_order_8(avx512, x),
        _ => x,
    }
}

kernel!(
    #[inline(always)]
    fn extend(avx512: Avx512, codes: __m128i) -> __m512i {
        _mm512_cvtepi8_epi32(codes)
    }
);
