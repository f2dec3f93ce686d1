//! Decoding with AVX-512: codes of any width to values by looking up two bytes of each.
//!
//! ```text
//! vpmultishiftqb     any eight bits of a qword to each of its bytes: codes of any width to their own bytes
//! vpermb, vpermi2b   sixty-four bytes looked up in 64 or in 128
//! ```

use super::planes::Planes;
use crate::Element;
use crate::codecs::{Affine, Decoder};
use crate::codes::pad;
use crate::decode::{Chunks, Decode, Output, by_family};
use crate::lanes::{CHUNK, Lanes};
use crate::levels::simd::{Instructions, Simd};
use fearless_simd::prelude::*;
use fearless_simd::x86::Avx512;
use fearless_simd::{f32x16, u8x64, u16x32};

#[cfg(target_arch = "x86")]
use core::arch::x86::*;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::*;

impl Decode for Simd<Avx512> {
    #[inline(always)]
    fn decode<T, O: Output<Self, T>>(self, e: Element, chunks: Chunks<'_, T, O>) {
        let (bits, Some(planes)) = (e.bits(), Planes::of(e)) else { return by_family(self, e, chunks) };
        match bits {
            ..7 => chunks.decode(self, PlaneDecoder::<NARROW>::new(self.0, bits, planes)),
            _ if planes.fnuz => chunks.decode(self, PlaneDecoder::<FNUZ>::new(self.0, bits, planes)),
            _ => chunks.decode(self, PlaneDecoder::<SIGNED>::new(self.0, bits, planes)),
        }
    }
    #[inline(always)]
    fn decode_narrowed<O: Output<Self, u16>>(
        self,
        e: Element,
        chunks: Chunks<'_, u16, O>,
    ) -> Result<(), Chunks<'_, u16, O>> {
        self.decode(e, chunks);
        Ok(())
    }
    #[inline(always)]
    fn decode_e4m3(self, codes: &[u8; CHUNK]) -> [f32x16<Avx512>; 4] {
        let planes = const { Planes::of(Element::E4m3).unwrap() };
        PlaneDecoder::<SIGNED>::new(self.0, u8::BITS, planes).decode(self, codes)
    }
}

/// Codes of any width to values by [`Planes`]: the bytes of the values are looked up apart and zipped together.
///
/// Zipping works within 128 bits, so codes are first put where it leaves them in order. With `L` one of four lanes and `d` one
/// of its dwords, which hold the codes of four values of vector `d`:
///
/// ```text
/// lane L, dword d        codes 16 d + 4 L and the three after it; their bits begin with bit w (16 d + 4 L) of the stream
/// ```
#[derive(Clone, Copy)]
pub(crate) struct PlaneDecoder<const KIND: u8> {
    avx512: Avx512,
    bytes: usize,
    /// Which byte of the stream goes to each byte: four from where a dword's codes begin.
    spread: __m512i,
    /// Which eight bits of its qword go to each byte: those from where its code begins.
    picks: __m512i,
    high: [__m512i; 2],
    low: [__m512i; 2],
    sign: __m512i,
}

/// Codes of up to 6 bits: one register is a table.
pub(crate) const NARROW: u8 = 0;
/// 128 values; the sign bit, where there is one, is in its place.
pub(crate) const SIGNED: u8 = 1;
/// The same, but code 0x80 is NaN.
pub(crate) const FNUZ: u8 = 2;

impl<const KIND: u8> PlaneDecoder<KIND> {
    #[inline(always)]
    pub(crate) fn new(avx512: Avx512, bits: u32, planes: &Planes) -> Self {
        let (spread, picks) = &ORDERS[bits as usize - 1];
        let bytes = |bytes: &[u8; 64]| u8x64::load_array_ref(avx512, bytes).into();
        let table = |plane: &[u8; 128]| {
            [bytes(plane[..64].try_into().unwrap()), bytes(plane[64..].try_into().unwrap())]
        };
        Self {
            avx512,
            bytes: CHUNK / 8 * bits as usize,
            spread: bytes(spread),
            picks: bytes(picks),
            high: table(&planes.high),
            low: table(&planes.low),
            sign: u8x64::splat(avx512, planes.sign).into(),
        }
    }
}

/// `spread` and `picks` for widths of 1 to 8.
static ORDERS: [([u8; 64], [u8; 64]); 8] = {
    let mut orders = [([0; 64], [0; 64]); 8];
    let mut i = 0;
    while i < 8 * 64 {
        let (width, at) = (i / 64 + 1, i % 64);
        let (lane, dword, byte) = (at / 16, at / 4 % 4, at % 4);
        let bit = width * (16 * dword + 4 * lane);
        let (spread, picks) = &mut orders[width - 1];
        spread[at] = (bit / 8 + byte) as u8;
        picks[at] = (dword % 2 * 32 + bit % 8 + width * byte) as u8;
        i += 1;
    }
    orders
};

impl<S: Instructions, const KIND: u8> Decoder<Simd<S>> for PlaneDecoder<KIND> {
    #[inline(always)]
    fn bytes(self) -> usize {
        self.bytes
    }
    #[inline(always)]
    fn decode(self, l: Simd<S>, codes: &[u8]) -> [f32x16<S>; 4] {
        let stream = match codes.first_chunk() {
            Some(codes) => l.load_bytes(codes),
            None => l.load_bytes(&pad(codes)),
        };
        let codes = spread(self.avx512, stream.into(), self.spread, self.picks);
        let (high, low) = match KIND {
            NARROW => {
                (lookup_byte(self.avx512, self.high[0], codes), lookup_byte(self.avx512, self.low[0], codes))
            }
            _ => (lookup_byte_7(self.avx512, self.high, codes), lookup_byte_7(self.avx512, self.low, codes)),
        };
        let (high, low) = match KIND {
            NARROW => (high, low),
            SIGNED => (merge(self.avx512, high, codes, self.sign), low),
            _ => sign_or_nan(self.avx512, high, low, codes, self.sign),
        };
        let [a, b, c, d] = zip(self.avx512, high, low);
        [a.simd_into(l.0), b.simd_into(l.0), c.simd_into(l.0), d.simd_into(l.0)]
    }
    /// The values of all codes are scaled and narrowed.
    #[inline(always)]
    fn block_by_halves(
        self,
        l: Simd<S>,
        block: Affine<Simd<S>>,
        narrow: impl Fn(f32x16<S>) -> f32x16<S>,
        codes: &[u8],
        out: &mut [[u16; CHUNK]],
    ) -> bool {
        let folds = KIND != NARROW && self.bytes == CHUNK && out.len() >= FOLDED && block.zero.is_none();
        if !folds || block.has_nan(l) {
            return false;
        }
        let (mut high, mut low) = (self.high, self.low);
        for (high, low) in high.iter_mut().zip(&mut low) {
            let mut values = zip(self.avx512, *high, *low);
            for value in &mut values {
                *value = narrow(block.apply((*value).simd_into(l.0))).into();
            }
            (*high, *low) = unzip(self.avx512, values);
        }
        for (codes, out) in codes.as_chunks().0.iter().zip(out) {
            let codes = in_words(self.avx512, l.load_bytes(codes).into());
            let (high, low) =
                (lookup_byte_7(self.avx512, high, codes), lookup_byte_7(self.avx512, low, codes));
            let (high, low) = match KIND {
                SIGNED => (merge(self.avx512, high, codes, self.sign), low),
                _ => sign_or_nan(self.avx512, high, low, codes, self.sign),
            };
            let words = zip_words(self.avx512, high, low);
            for (words, out) in words.into_iter().zip(out.as_chunks_mut().0) {
                let words: u16x32<S> = words.simd_into(l.0);
                words.store_array(out);
            }
        }
        true
    }
}

/// Chunks of a block from which on it takes less to scale and to round a table of all codes than what is looked up in it.
const FOLDED: usize = 8;

fearless_simd::kernel! {
    #[inline(always)]
    fn spread(avx512: Avx512, stream: __m512i, spread: __m512i, picks: __m512i) -> __m512i {
        _mm512_multishift_epi64_epi8(picks, _mm512_permutexvar_epi8(spread, stream))
    }
}

fearless_simd::kernel! {
    #[inline(always)]
    fn lookup_byte(avx512: Avx512, table: __m512i, codes: __m512i) -> __m512i {
        _mm512_permutexvar_epi8(codes, table)
    }
}

fearless_simd::kernel! {
    #[inline(always)]
    fn lookup_byte_7(avx512: Avx512, table: [__m512i; 2], codes: __m512i) -> __m512i {
        _mm512_permutex2var_epi8(table[0], codes, table[1])
    }
}

fearless_simd::kernel! {
    /// `high ^ codes & sign`.
    #[inline(always)]
    fn merge(avx512: Avx512, high: __m512i, codes: __m512i, sign: __m512i) -> __m512i {
        _mm512_ternarylogic_epi32::<0x78>(high, codes, sign)
    }
}

fearless_simd::kernel! {
    /// The bytes of NaN where the code is the sign alone.
    #[inline(always)]
    fn sign_or_nan(avx512: Avx512, high: __m512i, low: __m512i, codes: __m512i, sign: __m512i) -> (__m512i, __m512i) {
        let high = merge(avx512, high, codes, sign);
        let is_nan = _mm512_cmpeq_epi8_mask(codes, sign);
        let nan = _mm512_set1_epi8(-1);
        (_mm512_mask_mov_epi8(high, is_nan, nan), _mm512_mask_mov_epi8(low, is_nan, nan))
    }
}

fearless_simd::kernel! {
    /// Upper halves of f32 from their bytes.
    #[inline(always)]
    fn zip(avx512: Avx512, high: __m512i, low: __m512i) -> [__m512; 4] {
        let zero = _mm512_setzero_si512();
        let (first, last) = (_mm512_unpacklo_epi8(low, high), _mm512_unpackhi_epi8(low, high));
        [
            _mm512_castsi512_ps(_mm512_unpacklo_epi16(zero, first)),
            _mm512_castsi512_ps(_mm512_unpackhi_epi16(zero, first)),
            _mm512_castsi512_ps(_mm512_unpacklo_epi16(zero, last)),
            _mm512_castsi512_ps(_mm512_unpackhi_epi16(zero, last)),
        ]
    }
}

fearless_simd::kernel! {
    /// Bytes of upper halves from what [`zip`] made.
    #[inline(always)]
    fn unzip(avx512: Avx512, x: [__m512; 4]) -> (__m512i, __m512i) {
        let upper = [
            _mm512_srli_epi32::<16>(_mm512_castps_si512(x[0])),
            _mm512_srli_epi32::<16>(_mm512_castps_si512(x[1])),
            _mm512_srli_epi32::<16>(_mm512_castps_si512(x[2])),
            _mm512_srli_epi32::<16>(_mm512_castps_si512(x[3])),
        ];
        let (first, last) = (_mm512_packus_epi32(upper[0], upper[1]), _mm512_packus_epi32(upper[2], upper[3]));
        let byte = _mm512_set1_epi16(0xff);
        (
            _mm512_packus_epi16(_mm512_srli_epi16::<8>(first), _mm512_srli_epi16::<8>(last)),
            _mm512_packus_epi16(_mm512_and_si512(first, byte), _mm512_and_si512(last, byte)),
        )
    }
}

fearless_simd::kernel! {
    /// Codes of 8 bits to where [`zip_words`] leaves them in order: 128 bits hold codes 8 L to 8 L + 7 and 32 + 8 L to 39 + 8 L.
    #[inline(always)]
    fn in_words(avx512: Avx512, codes: __m512i) -> __m512i {
        _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7), codes)
    }
}

fearless_simd::kernel! {
    /// 16 bits from their bytes.
    #[inline(always)]
    fn zip_words(avx512: Avx512, high: __m512i, low: __m512i) -> [__m512i; 2] {
        [_mm512_unpacklo_epi8(low, high), _mm512_unpackhi_epi8(low, high)]
    }
}
