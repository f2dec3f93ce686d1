//! Sums of products by the lanes of a token: portable operations, and [`SumInstructions`] for what an instruction set does in fewer.

use super::{Instructions, Simd};
use crate::Element;
use crate::codecs::Decoder;
use crate::codecs::int::IntDecoder;
use crate::codecs::minifloat::{Layout, MinifloatDecoder};
use crate::codecs::table::NibbleDecoder;
use crate::lanes::{CHUNK, LANES, Lanes, apart};
use crate::product::lanes::{self, SumLanes, WithDecoder};
use crate::product::tables::{DIGIT_BITS, E4m3Tables, dot_e4m3};
use fearless_simd::prelude::*;
use fearless_simd::{f32x16, i8x64, i16x32, i32x16, u8x16, u8x64, u16x32, u32x16};

/// The operations of [`SumLanes`] that instruction sets do differently. Each is described there.
pub(crate) trait SumInstructions: Instructions {
    /// See [`SumLanes::UNROLLED`].
    const UNROLLED: bool = false;
    /// See [`SumLanes::NATIVE`].
    const NATIVE: bool = false;

    #[inline(always)]
    fn halves(self, table: u8x64<Self>, codes: u8x64<Self>) -> [u8x64<Self>; 2] {
        let (words, low_bits): (u16x32<Self>, _) = (codes.bitcast(), u8x64::splat(self, 15));
        let high: u8x64<Self> = (words >> 4).bitcast();
        [table.swizzle_dyn_within_blocks(codes & low_bits), table.swizzle_dyn_within_blocks(high & low_bits)]
    }
    /// In 16 bits and then 32.
    #[inline(always)]
    fn dot(self, weights: u8x64<Self>, x: i8x64<Self>) -> i32x16<Self> {
        let ((a, b), (c, d)) = (weights.widen(), x.widen());
        let (a, b): (i16x32<Self>, i16x32<Self>) = (a.bitcast(), b.bitcast());
        let (low, high) = (a.pairwise_dot_product(c), b.pairwise_dot_product(d));
        low.unzip_low(high) + low.unzip_high(high)
    }
    #[inline(always)]
    fn dot_halves(self, [low, high]: [u8x64<Self>; 2], [x_low, x_high]: [i8x64<Self>; 2]) -> i32x16<Self> {
        self.dot(low, x_low) + self.dot(high, x_high)
    }
    #[inline(always)]
    fn dot_digits(
        self,
        above: [u8x64<Self>; 2],
        below: [u8x64<Self>; 2],
        x: [i8x64<Self>; 2],
    ) -> i32x16<Self> {
        (self.dot_halves(above, x) << DIGIT_BITS) + self.dot_halves(below, x)
    }
    #[inline(always)]
    fn parts_to_f32(self, high: i32x16<Self>, low: i32x16<Self>) -> f32x16<Self> {
        lanes::parts_to_f32(Simd(self), high, low)
    }
    #[inline(always)]
    fn pick(self, from: &[f32; LANES / 2], index: u32x16<Self>) -> f32x16<Self> {
        lanes::pick(Simd(self), from, index)
    }

    #[inline(always)]
    fn e4m3_tables(self, _: &E4m3Tables) -> [u8x64<Self>; 6] {
        [u8x64::splat(self, 0); 6]
    }
    /// The last of them are the codes.
    #[inline(always)]
    fn e4m3_weights(self, _: [u8x64<Self>; 6], codes: u8x64<Self>) -> [u8x64<Self>; 4] {
        [codes; 4]
    }
    #[inline(always)]
    fn e4m3_nan(self, [_, _, _, codes]: [u8x64<Self>; 4]) -> u8x64<Self> {
        codes & u8x64::splat(self, 0x7f)
    }
    #[inline(always)]
    fn e4m3_dot(self, [_, _, _, codes]: [u8x64<Self>; 4], x: i8x64<Self>) -> i32x16<Self> {
        i32x16::load_array(self, dot_e4m3(&<[u8; CHUNK]>::from(codes), &<[i8; CHUNK]>::from(x)))
    }

    #[inline(always)]
    fn scales_e4m3(self, codes: &[u8; LANES]) -> f32x16<Self> {
        self.widen_f16(lanes::words(Simd(self), codes) << 7)
    }
    #[inline(always)]
    fn scales_f16(self, bytes: &[u8; 2 * LANES]) -> f32x16<Self> {
        self.widen_f16(lanes::words(Simd(self), &lanes::pairs(bytes)))
    }

    #[inline(always)]
    fn sum_neighbours<const N: usize>(self, mut x: [i32x16<Self>; N]) -> i32x16<Self> {
        let mut left = N;
        while left > 1 {
            left /= 2;
            for i in 0..left {
                let (a, b) = (x[2 * i], x[2 * i + 1]);
                x[i] = a.unzip_low(b) + a.unzip_high(b);
            }
        }
        x[0]
    }
    #[inline(always)]
    fn add_four(self, [a, b, c, d]: [f32x16<Self>; 4]) -> f32x16<Self> {
        let (a, b) = (a.unzip_low(b) + a.unzip_high(b), c.unzip_low(d) + c.unzip_high(d));
        a.unzip_low(b) + a.unzip_high(b)
    }
    #[inline(always)]
    fn add_quarters(self, x: [f32x16<Self>; 4]) -> f32x16<Self> {
        self.add_four(x)
    }

    /// [`SumLanes::with_decoder`] for elements of 8 bits.
    #[inline(always)]
    fn with_byte_decoder<T: WithDecoder<Simd<Self>>>(self, e: Element, work: T) {
        let l = Simd(self);
        match e.float_format() {
            None => apart!(l, work.with::<CHUNK>(l, IntDecoder::new(l, e))),
            Some(format) => {
                apart!(l, work.with::<CHUNK>(l, MinifloatDecoder::new(l, Layout::of(format))))
            }
        }
    }
    /// The values of sixteen signed bytes.
    #[inline(always)]
    fn extend(self, codes: &[u8; LANES]) -> i32x16<Self> {
        i32x16::from_fn(self, |lane| i32::from(codes[lane] as i8))
    }
}

impl<S: SumInstructions> SumLanes for Simd<S> {
    const UNROLLED: bool = S::UNROLLED;
    const NATIVE: bool = S::NATIVE;
    type I = i32x16<S>;
    /// In every block of 128 bits.
    type Bytes = u8x64<S>;
    /// AVX-512: two halves of three planes. AVX2: what is added to a mantissa, two bytes of powers.
    type E4m3Tables = [u8x64<S>; 6];
    /// AVX-512: three planes, and the codes for their signs. AVX2: mantissas, two bytes of powers, and the codes.
    type E4m3Weights = [u8x64<S>; 4];

    #[inline(always)]
    fn ints(self, x: &[i32; LANES]) -> Self::I {
        i32x16::load_array_ref(self.0, x)
    }
    #[inline(always)]
    fn store_ints(self, x: Self::I, out: &mut [i32; LANES]) {
        x.store_array(out);
    }
    #[inline(always)]
    fn to_f32(self, x: Self::I) -> Self::F {
        f32x16::float_from(x)
    }

    #[inline(always)]
    fn byte_table(self, values: &[u8; 16]) -> Self::Bytes {
        u8x64::block_splat(u8x16::load_array(self.0, *values))
    }
    #[inline(always)]
    fn halves(self, table: Self::Bytes, codes: &[u8; CHUNK]) -> [Self::B; 2] {
        self.0.halves(table, self.load_bytes(codes))
    }
    #[inline(always)]
    fn dot(self, weights: Self::B, x: &[i8; CHUNK]) -> Self::I {
        self.0.dot(weights, i8x64::load_array_ref(self.0, x))
    }
    #[inline(always)]
    fn dot_halves(self, weights: [Self::B; 2], x: &[i8; 2 * CHUNK]) -> Self::I {
        self.0.dot_halves(weights, self.load_halves(x))
    }
    #[inline(always)]
    fn dot_digits(self, above: [Self::B; 2], below: [Self::B; 2], x: &[i8; 2 * CHUNK]) -> Self::I {
        self.0.dot_digits(above, below, self.load_halves(x))
    }
    #[inline(always)]
    fn parts_to_f32(self, high: Self::I, low: Self::I) -> Self::F {
        self.0.parts_to_f32(high, low)
    }
    #[inline(always)]
    fn pick(self, from: &[f32; LANES / 2], index: Self::U) -> Self::F {
        self.0.pick(from, index)
    }
    #[inline(always)]
    fn e4m3_tables(self, tables: &E4m3Tables) -> Self::E4m3Tables {
        self.0.e4m3_tables(tables)
    }
    #[inline(always)]
    fn e4m3_weights(self, tables: Self::E4m3Tables, codes: &[u8; CHUNK]) -> Self::E4m3Weights {
        self.0.e4m3_weights(tables, self.load_bytes(codes))
    }
    #[inline(always)]
    fn e4m3_nan(self, weights: Self::E4m3Weights) -> Self::B {
        self.0.e4m3_nan(weights)
    }
    #[inline(always)]
    fn e4m3_dot(self, weights: Self::E4m3Weights, x: &[i8; CHUNK]) -> Self::I {
        self.0.e4m3_dot(weights, i8x64::load_array_ref(self.0, x))
    }
    #[inline(always)]
    fn max_bytes(self, a: Self::B, b: Self::B) -> Self::B {
        a.max(b)
    }
    #[inline(always)]
    fn any_byte_above(self, x: Self::B, limit: u8) -> bool {
        x.simd_gt(limit).any_true()
    }
    #[inline(always)]
    fn sum_neighbours<const N: usize>(self, x: [Self::I; N]) -> Self::I {
        if S::UNROLLED { self.0.sum_neighbours(x) } else { self.sum_few(&x) }
    }
    #[inline(always)]
    fn scales_e4m3(self, codes: &[u8; LANES]) -> Self::F {
        self.0.scales_e4m3(codes)
    }
    #[inline(always)]
    fn scales_f16(self, bytes: &[u8; 2 * LANES]) -> Self::F {
        self.0.scales_f16(bytes)
    }
    #[inline(always)]
    fn add_four(self, x: [Self::F; 4]) -> Self::F {
        self.0.add_four(x)
    }
    #[inline(always)]
    fn add_quarters(self, x: [Self::F; 4]) -> Self::F {
        self.0.add_quarters(x)
    }
    #[inline(always)]
    fn with_decoder<T: WithDecoder<Self>>(self, e: Element, work: T) {
        if e.bits() == 4 || !S::UNROLLED {
            return apart!(self, work.with::<{ CHUNK / 2 }>(self, NibbleDecoder::new(self, e)));
        }
        self.0.with_byte_decoder(e, work);
    }
}

impl<S: SumInstructions> Simd<S> {
    /// Activations for the low nibbles of 64 bytes, and for the high ones.
    #[inline(always)]
    fn load_halves(self, x: &[i8; 2 * CHUNK]) -> [i8x64<S>; 2] {
        let [low, high] = x.as_chunks::<CHUNK>().0 else { unreachable!() };
        [i8x64::load_array_ref(self.0, low), i8x64::load_array_ref(self.0, high)]
    }
}

/// Integers of 8 bits to f32: an instruction that extends sixteen signed bytes, and one that converts them.
#[derive(Clone, Copy)]
pub(crate) struct ByteDecoder<S: SumInstructions> {
    /// The bits that are left of a code whose sign was extended.
    mask: i32x16<S>,
}

impl<S: SumInstructions> ByteDecoder<S> {
    #[inline(always)]
    pub(crate) fn new(l: Simd<S>, e: Element) -> Self {
        let unsigned = matches!(e, Element::Uint { .. });
        Self { mask: i32x16::splat(l.0, if unsigned { 0xff } else { -1 }) }
    }

    #[inline(always)]
    fn sixteen(self, l: Simd<S>, codes: &[u8; LANES]) -> f32x16<S> {
        f32x16::float_from(l.0.extend(codes) & self.mask)
    }
}

impl<S: SumInstructions> Decoder<Simd<S>> for ByteDecoder<S> {
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
