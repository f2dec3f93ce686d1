//! Decoding with AVX2 and F16C: a minifloat of up to five exponent bits is an f16 with another bias, and vcvtph2ps widens that.

use super::lanes::join;
use crate::Element;
use crate::codecs::minifloat::{Layout, MinifloatDecoder};
use crate::codecs::{Affine, Decoder};
use crate::codes::pad;
use crate::decode::{Chunks, Decode, Output, by_family};
use crate::lanes::{CHUNK, Lanes};
use crate::levels::simd::{Instructions, Simd};
use fearless_simd::prelude::*;
use fearless_simd::x86::Avx2;
use fearless_simd::{f32x16, u8x16, u8x32, u16x16, u32x4};
use lowbit_scalar::{FloatFormat, Specials};

#[cfg(target_arch = "x86")]
use core::arch::x86::*;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::*;

impl Decode for Simd<Avx2> {
    #[inline(always)]
    fn decode<T, O: Output<Self, T>>(self, e: Element, chunks: Chunks<'_, T, O>) {
        let Some(format) = e.float_format() else { return by_family(self, e, chunks) };
        match e.bits() {
            // Its largest numbers are beyond f16.
            _ if !format.signed => by_family(self, e, chunks),
            6 => chunks.decode(self, HalfDecoder::<_, 6>::new(self, self.0, format, Layout::of(format))),
            8 => chunks.decode(self, HalfDecoder::<_, 8>::new(self, self.0, format, Layout::of(format))),
            _ => by_family(self, e, chunks),
        }
    }
    #[inline(always)]
    fn decode_e4m3(self, codes: &[u8; CHUNK]) -> [f32x16<Avx2>; 4] {
        let format = const { Element::E4m3.float_format().unwrap() };
        HalfDecoder::<_, 8>::new(self, self.0, format, Layout::E4M3).decode(self, codes)
    }
}

/// Minifloats of 6 and 8 bits by way of f16.
///
/// ```text
/// E4M3        s eeee mmm                     at the top of 16 bits: s eeee mmm 0000 0000
/// as an f16   s 0 eeee mmm 0000000           one arithmetic shift, one mask; times 2^(15 - 7), exactly
/// ```
///
/// Subnormal numbers need no care. Codes of NaN and infinity do, and where a chunk has one, it is decoded in the portable way.
#[derive(Clone, Copy)]
pub(crate) struct HalfDecoder<S: Instructions, const BITS: usize> {
    avx2: Avx2,
    /// By how many bits the exponent of f16 is longer.
    shift: __m128i,
    mask: __m256i,
    rebias: f32x16<S>,
    /// The last magnitude that need not be decoded in the portable way, and a code that must be.
    last: __m256i,
    special: __m256i,
    portable: MinifloatDecoder<Simd<S>>,
}

impl<S: Instructions, const BITS: usize> HalfDecoder<S, BITS> {
    #[inline(always)]
    pub(crate) fn new(l: Simd<S>, avx2: Avx2, format: FloatFormat, layout: Layout) -> Self {
        let shift = 5 - format.exponent_bits;
        let magnitude = ((1 << (BITS - 1)) - 1) << (16 - BITS) >> shift;
        let fnuz = matches!(format.specials, Specials::NanNegativeZero);
        // An exponent field of 31 is infinity and NaN of f16, and E5M2's, but not E5M2FNUZ's.
        let last = match (format.exponent_bits, fnuz) {
            (5, true) => 0x7b,
            (5, false) => 0x7f,
            _ => layout.max_code as u8,
        };
        Self {
            avx2,
            shift: u32x4::from_slice(l.0, &[shift, 0, 0, 0]).into(),
            mask: u16x16::splat(l.0, 1 << 15 | magnitude as u16).into(),
            rebias: l.splat(f32::from_bits(
                ((f32::MAX_EXP - 1 + 15 - format.bias) as u32) << (f32::MANTISSA_DIGITS - 1),
            )),
            last: u8x32::splat(l.0, last).into(),
            special: u8x32::splat(l.0, if fnuz { 0x80 } else { 0xff }).into(),
            portable: MinifloatDecoder::new(l, layout),
        }
    }
}

impl<S: Instructions, const BITS: usize> HalfDecoder<S, BITS> {
    #[inline(always)]
    fn sixteen(self, l: Simd<S>, codes: &[u8], factor: f32x16<S>) -> f32x16<S> {
        let bytes = u8x16::load_array_ref(l.0, codes.first_chunk().unwrap()).into();
        let words = if BITS == 8 { top_bytes(self.avx2, bytes) } else { top_sixes(self.avx2, bytes) };
        let (low, high) = halves(self.avx2, words, self.shift, self.mask);
        join(l.0, low, high) * factor
    }

    /// The values of a chunk as f16, widened, times a factor; none if one of them is not a number.
    #[inline(always)]
    fn times(self, l: Simd<S>, codes: &[u8], factor: f32x16<S>) -> Option<[f32x16<S>; 4]> {
        // Sixteen bytes are read for the last sixteen codes, however short.
        let padded;
        let codes = match codes.first_chunk::<CHUNK>() {
            Some(codes) => codes,
            None => {
                padded = pad(codes);
                &padded
            }
        };
        if BITS == 8 {
            let [low, high] = codes.as_chunks::<32>().0 else { unreachable!() };
            let bytes = |bytes| u8x32::load_array_ref(l.0, bytes).into();
            if is_special(self.avx2, bytes(low), bytes(high), self.last, self.special) {
                return None;
            }
        }
        Some([
            self.sixteen(l, &codes[0..], factor),
            self.sixteen(l, &codes[2 * BITS..], factor),
            self.sixteen(l, &codes[4 * BITS..], factor),
            self.sixteen(l, &codes[6 * BITS..], factor),
        ])
    }
}

impl<S: Instructions, const BITS: usize> Decoder<Simd<S>> for HalfDecoder<S, BITS> {
    #[inline(always)]
    fn bytes(self) -> usize {
        CHUNK / 8 * BITS
    }
    #[inline(always)]
    fn decode(self, l: Simd<S>, codes: &[u8]) -> [f32x16<S>; 4] {
        match self.times(l, codes, self.rebias) {
            Some(values) => values,
            None => self.portable.decode(l, codes),
        }
    }
    /// The scale and the power of two are one factor where their product is exact.
    #[inline(always)]
    fn in_block(self, l: Simd<S>, block: Affine<Simd<S>>) -> impl Fn(&[u8]) -> [f32x16<S>; 4] {
        let magnitude = l.bits(block.scale) & l.splat_bits(u32::MAX >> 1);
        let is_large = l.any(l.gt(magnitude, l.splat_bits(ORDINARY.recip().to_bits())));
        let is_small = l.any(l.gt(l.splat_bits(ORDINARY.to_bits()), magnitude));
        let joins = block.zero.is_none() && !is_large && !is_small;
        let factor = if joins { self.rebias * block.scale } else { self.rebias };
        #[inline(always)]
        move |codes| {
            let values = match self.times(l, codes, factor) {
                Some(values) if joins => return values,
                Some(values) => values,
                None => self.portable.decode(l, codes),
            };
            let [a, b, c, d] = values;
            [block.apply(a), block.apply(b), block.apply(c), block.apply(d)]
        }
    }
}

/// The smallest scale that is joined with `rebias`, of which the exponent is small; the reciprocal is the largest.
const ORDINARY: f32 = 1.0 / (1u128 << 100) as f32;

fearless_simd::kernel! {
    #[inline(always)]
    fn is_special(avx2: Avx2, low: __m256i, high: __m256i, last: __m256i, special: __m256i) -> bool {
        let magnitude = _mm256_set1_epi8(0x7f);
        let beyond_low = _mm256_cmpgt_epi8(_mm256_and_si256(low, magnitude), last);
        let beyond_high = _mm256_cmpgt_epi8(_mm256_and_si256(high, magnitude), last);
        let found_low = _mm256_or_si256(beyond_low, _mm256_cmpeq_epi8(low, special));
        let found_high = _mm256_or_si256(beyond_high, _mm256_cmpeq_epi8(high, special));
        let found = _mm256_or_si256(found_low, found_high);
        _mm256_testz_si256(found, found) == 0
    }
}

fearless_simd::kernel! {
    /// Sixteen codes of 8 bits at the top of 16 bits.
    #[inline(always)]
    fn top_bytes(avx2: Avx2, codes: __m128i) -> __m256i {
        _mm256_slli_epi16::<8>(_mm256_cvtepu8_epi16(codes))
    }
}

fearless_simd::kernel! {
    /// Sixteen codes of 6 bits, of twelve bytes, at the top of 16 bits; below them is something else.
    #[inline(always)]
    fn top_sixes(avx2: Avx2, codes: __m128i) -> __m256i {
        // The two bytes where each code is, and how far it must go up: 10 - 6 i mod 8.
        let bytes = _mm256_setr_epi8(
            0, 1, 0, 1, 1, 2, 2, 3, 3, 4, 3, 4, 4, 5, 5, 6,
            6, 7, 6, 7, 7, 8, 8, 9, 9, 10, 9, 10, 10, 11, 11, 12,
        );
        let up = _mm256_set1_epi64x(1 << 10 | 1 << (16 + 4) | 1 << (32 + 6) | 1 << (48 + 8));
        _mm256_mullo_epi16(_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(codes), bytes), up)
    }
}

fearless_simd::kernel! {
    #[inline(always)]
    fn halves(avx2: Avx2, words: __m256i, shift: __m128i, mask: __m256i) -> (__m256, __m256) {
        let halves = _mm256_and_si256(_mm256_sra_epi16(words, shift), mask);
        (_mm256_cvtph_ps(_mm256_castsi256_si128(halves)), _mm256_cvtph_ps(_mm256_extracti128_si256::<1>(halves)))
    }
}
