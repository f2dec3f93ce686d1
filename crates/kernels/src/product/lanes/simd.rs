//! Sums by the lanes of a `fearless_simd` token; what AVX2 and AVX-512 do better is in [`x86`](super::x86).

#[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
use super::bytes::ByteDecoder;
#[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
use super::parts_to_f32;
#[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
use super::x86::{avx2, avx512};
use super::{SumLanes, WithDecoder, pairs, words};
use crate::Element;
#[cfg(not(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64"))))]
use crate::codecs::int::IntDecoder;
use crate::codecs::minifloat::{Layout, MinifloatDecoder};
use crate::codecs::table::NibbleDecoder;
use crate::lanes::{CHUNK, LANES, Lanes, apart};
use crate::levels::simd::{Instructions, Simd};
#[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
use crate::levels::{
    avx2::HalfDecoder,
    avx512::{FNUZ, PlaneDecoder, Planes, SIGNED},
};
use crate::product::digits::{DIGIT, DIGITS};
use crate::product::exact::one;
use crate::product::fine::{Tables, by_table};
use fearless_simd::prelude::*;
#[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
use fearless_simd::{f32x8, u8x32};
use fearless_simd::{f32x16, i8x64, i16x32, i32x16, u8x16, u8x64, u16x32};

impl<S: Instructions> SumLanes for Simd<S> {
    /// AVX2, AVX-512 and NEON. SSE4.2 is to be small.
    const UNROLLED: bool = size_of::<S::f32s>() > 16 || cfg!(target_arch = "aarch64");
    const WIDENS: bool = cfg!(any(target_arch = "x86", target_arch = "x86_64")) && Self::UNROLLED;
    const FINE: bool = Self::WIDENS;
    /// AVX-512: two halves of three planes. AVX2: what is added to a mantissa, two bytes of powers.
    type Fine = [u8x64<S>; 6];
    /// AVX-512: three planes, and the codes for their signs. AVX2: mantissas, two bytes of powers, and the codes.
    type FineWeights = [u8x64<S>; 4];
    type DigitWeights = [[u8x64<S>; 2]; DIGITS];
    type I = i32x16<S>;
    /// In every block of 128 bits.
    type Bytes = u8x64<S>;

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
        let codes = self.load_bytes(codes);
        let words: u16x32<S> = codes.bitcast();
        let high: u8x64<S> = (words >> 4).bitcast();
        #[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
        if let Some(token) = self.0.level().as_avx512() {
            // The index has 6 bits; the table is there four times, so that the upper two do not matter.
            let (low, high) = (
                avx512::lookup(token, table.into(), codes.into()),
                avx512::lookup(token, table.into(), high.into()),
            );
            return [low.simd_into(self.0), high.simd_into(self.0)];
        }
        let low_bits = u8x64::splat(self.0, 15);
        [table.swizzle_dyn_within_blocks(codes & low_bits), table.swizzle_dyn_within_blocks(high & low_bits)]
    }
    #[inline(always)]
    fn dot_halves(self, [low, high]: [Self::B; 2], x: &[i8; 2 * CHUNK]) -> Self::I {
        let [x_low, x_high] = x.as_chunks::<CHUNK>().0 else { unreachable!() };
        let (x_low, x_high) = (i8x64::load_array_ref(self.0, x_low), i8x64::load_array_ref(self.0, x_high));
        #[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
        {
            if let Some(token) = self.0.level().as_avx512() {
                return avx512::dot_halves(token, low.into(), high.into(), x_low.into(), x_high.into())
                    .simd_into(self.0);
            }
            if let Some(token) = self.0.level().as_avx2() {
                let ((a, b), (c, d)) = (self.0.split_u8x64(low), self.0.split_u8x64(high));
                let ((e, f), (g, h)) = (self.0.split_i8x64(x_low), self.0.split_i8x64(x_high));
                return self.0.combine_i32x8(
                    avx2::dot_halves(token, a.into(), c.into(), e.into(), g.into()).simd_into(self.0),
                    avx2::dot_halves(token, b.into(), d.into(), f.into(), h.into()).simd_into(self.0),
                );
            }
        }
        self.dot_loaded(low, x_low) + self.dot_loaded(high, x_high)
    }
    #[inline(always)]
    fn digits(self, tables: [Self::Bytes; DIGITS], codes: &[u8; CHUNK]) -> Self::DigitWeights {
        let [a, b, c, d] = tables;
        [self.halves(a, codes), self.halves(b, codes), self.halves(c, codes), self.halves(d, codes)]
    }
    #[inline(always)]
    fn dot_digits(self, [d0, d1, d2, d3]: Self::DigitWeights, x: &[i8; 2 * CHUNK]) -> [Self::I; 2] {
        [self.dot_pair(d3, d2, x), self.dot_pair(d1, d0, x)]
    }
    #[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
    #[inline(always)]
    fn parts_to_f32(self, high: Self::I, low: Self::I) -> Self::F {
        if let Some(token) = self.0.level().as_avx512() {
            return avx512::parts_to_f32(token, high.into(), low.into()).simd_into(self.0);
        }
        parts_to_f32(self, high, low)
    }
    #[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
    #[inline(always)]
    fn pick(self, from: &[f32; LANES / 2], index: Self::U) -> Self::F {
        let from = f32x8::load_array_ref(self.0, from);
        if let Some(token) = self.0.level().as_avx512() {
            return avx512::pick(token, from.into(), index.into()).simd_into(self.0);
        }
        if let Some(token) = self.0.level().as_avx2() {
            let (low, high) = self.0.split_u32x16(index);
            return self.0.combine_f32x8(
                avx2::pick(token, from.into(), low.into()).simd_into(self.0),
                avx2::pick(token, from.into(), high.into()).simd_into(self.0),
            );
        }
        let (from, index) = (<[f32; LANES / 2]>::from(from), <[u32; LANES]>::from(index));
        let mut picked = [0.0; LANES];
        for (picked, index) in picked.iter_mut().zip(index) {
            *picked = from[index as usize % from.len()];
        }
        self.load(&picked)
    }
    #[inline(always)]
    fn fine_tables(self, tables: &Tables) -> Self::Fine {
        let mut all = [u8x64::splat(self.0, 0); 6];
        #[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
        if self.0.level().as_avx512().is_some() {
            for (plane, halves) in tables.planes.iter().zip(all.as_chunks_mut().0) {
                let [low, high] = plane.as_chunks::<CHUNK>().0 else { unreachable!() };
                *halves = [self.load_bytes(low), self.load_bytes(high)];
            }
            return all;
        }
        for (table, out) in [&tables.lead, &tables.powers[0], &tables.powers[1]].into_iter().zip(&mut all) {
            *out = self.byte_table(table);
        }
        all
    }
    #[inline(always)]
    fn fine_weights(self, tables: Self::Fine, codes: &[u8; CHUNK]) -> Self::FineWeights {
        let codes = self.load_bytes(codes);
        #[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
        if let Some(token) = self.0.level().as_avx512() {
            let mut weights = [codes; 4];
            for i in 0..3 {
                let [low, high] = [tables[2 * i].into(), tables[2 * i + 1].into()];
                weights[i] = avx512::lookup_7(token, low, high, codes.into()).simd_into(self.0);
            }
            return weights;
        }
        let words: u16x32<S> = codes.bitcast();
        let exponents: u8x64<S> = (words >> 3).bitcast();
        let exponents = exponents & u8x64::splat(self.0, 15);
        let (lead, low, high) = (
            tables[0].swizzle_dyn_within_blocks(exponents),
            tables[1].swizzle_dyn_within_blocks(exponents),
            tables[2].swizzle_dyn_within_blocks(exponents),
        );
        [lead | (codes & u8x64::splat(self.0, 7)), low, high, codes]
    }
    #[inline(always)]
    fn fine_nan(self, [_, _, highest, codes]: Self::FineWeights) -> Self::B {
        #[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
        if self.0.level().as_avx512().is_some() {
            return highest;
        }
        let _ = highest;
        codes & u8x64::splat(self.0, 0x7f)
    }
    #[inline(always)]
    fn fine_dot(self, weights: Self::FineWeights, x: &[i8; CHUNK]) -> Self::I {
        #[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
        {
            let [a, b, c, codes] = weights;
            let x = i8x64::load_array_ref(self.0, x);
            if let Some(token) = self.0.level().as_avx512() {
                return avx512::fine_dot(token, a.into(), b.into(), c.into(), codes.into(), x.into())
                    .simd_into(self.0);
            }
            if let Some(token) = self.0.level().as_avx2() {
                let split = |x| self.0.split_u8x64(x);
                let ((a, d), (b, e), (c, f), (low, high)) = (split(a), split(b), split(c), split(codes));
                let (x_low, x_high) = self.0.split_i8x64(x);
                return self.0.combine_i32x8(
                    avx2::fine_dot(token, a.into(), b.into(), c.into(), low.into(), x_low.into())
                        .simd_into(self.0),
                    avx2::fine_dot(token, d.into(), e.into(), f.into(), high.into(), x_high.into())
                        .simd_into(self.0),
                );
            }
        }
        self.ints(&by_table(&<[u8; CHUNK]>::from(weights[3]), x))
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
    fn scales_e4m3(self, codes: &[u8; LANES]) -> Self::F {
        #[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
        {
            let codes = u8x16::load_array_ref(self.0, codes);
            if let Some(token) = self.0.level().as_avx512() {
                return avx512::scales_e4m3(token, codes.into()).simd_into(self.0);
            }
            if let Some(token) = self.0.level().as_avx2() {
                let (low, high) = avx2::scales_e4m3(token, codes.into());
                return self.0.combine_f32x8(low.simd_into(self.0), high.simd_into(self.0));
            }
        }
        self.widen_f16(words(self, codes) << 7)
    }
    #[inline(always)]
    fn scales_f16(self, bytes: &[u8; 2 * LANES]) -> Self::F {
        #[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
        if let Some(token) = self.0.level().as_avx512() {
            let bytes = u8x32::load_array_ref(self.0, bytes);
            return avx512::scales_f16(token, bytes.into()).simd_into(self.0);
        }
        self.widen_f16(words(self, &pairs(bytes)))
    }
    #[inline(always)]
    fn dot(self, weights: Self::B, x: &[i8; CHUNK]) -> Self::I {
        let x = i8x64::load_array_ref(self.0, x);
        #[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
        {
            if let Some(token) = self.0.level().as_avx512() {
                return avx512::dot(token, weights.into(), x.into()).simd_into(self.0);
            }
            if let Some(token) = self.0.level().as_avx2() {
                let ((a, b), (c, d)) = (self.0.split_u8x64(weights), self.0.split_i8x64(x));
                return self.0.combine_i32x8(
                    avx2::dot(token, a.into(), c.into()).simd_into(self.0),
                    avx2::dot(token, b.into(), d.into()).simd_into(self.0),
                );
            }
        }
        self.dot_loaded(weights, x)
    }

    #[inline(always)]
    fn sum_neighbours<const N: usize>(self, mut x: [Self::I; N]) -> Self::I {
        #[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
        if let Some(token) = self.0.level().as_avx512() {
            // Within 128 bits first, which takes no index; what is out of order after that is put right at the end.
            let mut left = N;
            while left > 1 {
                let within = left > N / 4;
                left /= 2;
                for i in 0..left {
                    let (a, b) = (x[2 * i].into(), x[2 * i + 1].into());
                    let sum =
                        if within { avx512::sum_pairs(token, a, b) } else { avx512::sum_blocks(token, a, b) };
                    x[i] = sum.simd_into(self.0);
                }
            }
            return avx512::in_order::<N>(token, x[0].into()).simd_into(self.0);
        }
        if !Self::UNROLLED {
            return self.sum_few(&x);
        }
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
    fn add_four(self, x: [Self::F; 4]) -> Self::F {
        self.add_rounds::<true>(x)
    }
    #[inline(always)]
    fn add_quarters(self, x: [Self::F; 4]) -> Self::F {
        self.add_rounds::<false>(x)
    }

    #[inline(always)]
    fn with_decoder<T: WithDecoder<Self>>(self, e: Element, then: T) {
        if e.bits() == 4 || !Self::UNROLLED {
            return apart!(self, then.with::<{ CHUNK / 2 }>(self, NibbleDecoder::new(self, e)));
        }
        let Some(format) = e.float_format() else {
            #[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
            return apart!(self, then.with::<CHUNK>(self, ByteDecoder::new(self, e)));
            #[cfg(not(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64"))))]
            return apart!(self, then.with::<CHUNK>(self, IntDecoder::new(self, e)));
        };
        let layout = Layout::of(format);
        #[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
        if let Some(token) = self.0.level().as_avx512() {
            let planes = Planes::of(e).unwrap();
            if T::FNUZ && planes.fnuz {
                return apart!(self, then.with::<CHUNK>(self, PlaneDecoder::<FNUZ>::new(token, 8, planes)));
            }
            return apart!(self, then.with::<CHUNK>(self, PlaneDecoder::<SIGNED>::new(token, 8, planes)));
        } else if let Some(token) = self.0.level().as_avx2() {
            return apart!(
                self,
                then.with::<CHUNK>(self, HalfDecoder::<S, 8>::new(self, token, format, layout))
            );
        }
        apart!(self, then.with::<CHUNK>(self, MinifloatDecoder::new(self, layout)));
    }
}

one!([<S: Instructions>] Simd<S>, i32x16<S>);

impl<S: Instructions> Simd<S> {
    /// Two rounds of sums of neighbours; AVX-512 has those within 128 bits first.
    #[inline(always)]
    fn add_rounds<const WITHIN: bool>(self, mut x: [f32x16<S>; 4]) -> f32x16<S> {
        for left in [2, 1] {
            for i in 0..left {
                #[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
                if let Some(token) = self.0.level().as_avx512() {
                    let (a, b) = (x[2 * i].into(), x[2 * i + 1].into());
                    let sum =
                        if WITHIN { avx512::add_pairs(token, a, b) } else { avx512::add_blocks(token, a, b) };
                    x[i] = sum.simd_into(self.0);
                    continue;
                }
                let (a, b) = (x[2 * i], x[2 * i + 1]);
                x[i] = a.unzip_low(b) + a.unzip_high(b);
            }
        }
        x[0]
    }

    /// Sums of 8 products of two digits, the first of which counts 2^7 times as much.
    #[inline(always)]
    fn dot_pair(self, above: [u8x64<S>; 2], below: [u8x64<S>; 2], x: &[i8; 2 * CHUNK]) -> i32x16<S> {
        #[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
        {
            let [x_low, x_high] = x.as_chunks::<CHUNK>().0 else { unreachable!() };
            let (x_low, x_high) =
                (i8x64::load_array_ref(self.0, x_low), i8x64::load_array_ref(self.0, x_high));
            if let Some(token) = self.0.level().as_avx512() {
                let ([a, b], [c, d]) = (above, below);
                return avx512::dot_pair(
                    token,
                    [a.into(), b.into()],
                    [c.into(), d.into()],
                    [x_low.into(), x_high.into()],
                )
                .simd_into(self.0);
            }
            if let Some(token) = self.0.level().as_avx2() {
                let split = |[low, high]: [u8x64<S>; 2]| {
                    let ((a, b), (c, d)) = (self.0.split_u8x64(low), self.0.split_u8x64(high));
                    ([a.into(), c.into()], [b.into(), d.into()])
                };
                let ((a, b), (c, d)) = (split(above), split(below));
                let ((e, f), (g, h)) = (self.0.split_i8x64(x_low), self.0.split_i8x64(x_high));
                return self.0.combine_i32x8(
                    avx2::dot_pair(token, a, c, [e.into(), g.into()]).simd_into(self.0),
                    avx2::dot_pair(token, b, d, [f.into(), h.into()]).simd_into(self.0),
                );
            }
        }
        (self.dot_halves(above, x) << DIGIT) + self.dot_halves(below, x)
    }

    /// Sixteen sums of 4 neighbouring products, in 16 bits and then 32.
    #[inline(always)]
    fn dot_loaded(self, weights: u8x64<S>, x: i8x64<S>) -> i32x16<S> {
        let ((a, b), (c, d)) = (weights.widen(), x.widen());
        let (a, b): (i16x32<S>, i16x32<S>) = (a.bitcast(), b.bitcast());
        let (low, high) = (a.pairwise_dot_product(c), b.pairwise_dot_product(d));
        low.unzip_low(high) + low.unzip_high(high)
    }
}
