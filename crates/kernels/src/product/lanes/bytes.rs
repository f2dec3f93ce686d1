//! Integers of 8 bits as f32 by the conversions of x86: two operations for a vector, one of which loads.

use crate::Element;
use crate::codecs::Decoder;
use crate::lanes::{CHUNK, LANES};
use crate::levels::simd::{Instructions, Simd};
use fearless_simd::kernel;
use fearless_simd::prelude::*;
use fearless_simd::{f32x16, i32x8, i32x16, u8x16};

#[cfg(target_arch = "x86")]
use core::arch::x86::*;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::*;

/// Two's complement, or no sign: codes to their values.
#[derive(Clone, Copy)]
pub(super) struct ByteDecoder<S: Instructions> {
    /// The bits that are left of a code whose sign was extended.
    mask: i32x16<S>,
}

impl<S: Instructions> ByteDecoder<S> {
    #[inline(always)]
    pub(super) fn new(l: Simd<S>, e: Element) -> Self {
        let unsigned = matches!(e, Element::Uint { .. });
        Self { mask: i32x16::splat(l.0, if unsigned { 0xff } else { -1 }) }
    }

    #[inline(always)]
    fn sixteen(self, l: Simd<S>, codes: &[u8; LANES]) -> f32x16<S> {
        let codes = if let Some(token) = l.0.level().as_avx512() {
            extend(token, u8x16::load_array_ref(l.0, codes).into()).simd_into(l.0)
        } else if let Some(token) = l.0.level().as_avx2() {
            let (low, high) = extend_halves(token, u8x16::load_array_ref(l.0, codes).into());
            let (low, high): (i32x8<S>, i32x8<S>) = (low.simd_into(l.0), high.simd_into(l.0));
            low.combine(high)
        } else {
            i32x16::from_fn(l.0, |lane| i32::from(codes[lane] as i8))
        };
        f32x16::float_from(codes & self.mask)
    }
}

impl<S: Instructions> Decoder<Simd<S>> for ByteDecoder<S> {
    #[inline(always)]
    fn bytes(self) -> usize {
        CHUNK
    }
    #[inline(always)]
    fn decode(self, l: Simd<S>, codes: &[u8]) -> [f32x16<S>; 4] {
        let [a, b, c, d] = codes.first_chunk::<CHUNK>().unwrap().as_chunks().0 else { unreachable!() };
        [self.sixteen(l, a), self.sixteen(l, b), self.sixteen(l, c), self.sixteen(l, d)]
    }
}

kernel!(
    #[inline(always)]
    fn extend(avx512: Avx512, codes: __m128i) -> __m512i {
        _mm512_cvtepi8_epi32(codes)
    }
);

kernel!(
    #[inline(always)]
    fn extend_halves(avx2: Avx2, codes: __m128i) -> (__m256i, __m256i) {
        (_mm256_cvtepi8_epi32(codes), _mm256_cvtepi8_epi32(_mm_srli_si128::<8>(codes)))
    }
);
