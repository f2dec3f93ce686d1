//! Lanes of a `fearless_simd` token: the instruction set is found at run time, and the token proves that it is there.

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
use super::avx2::{self, HalfDecoder};
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
use super::avx2_encode::{self, FloatEncoder, SearchEncoder};
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
use super::avx512::{self, FNUZ, NARROW, PlaneDecoder, SIGNED};
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
use super::avx512_encode::{self, CellEncoder, E2m1Encoder};
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
use super::avx512_narrow;
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
use super::fold;
use super::{CHUNK, LANES, Lanes};
use crate::chunks::Chunks;
use crate::codes::CLOSING;
use crate::decode::Decoder;
use crate::minifloat::{Layout, MinifloatDecoder, MinifloatEncoder};
use crate::output::Output;
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
use crate::planes::Planes;
use crate::{Element, encode};
use fearless_simd::prelude::*;
use fearless_simd::{
    Bytes, Select, Simd as Token, f32x8, f32x16, i32x16, mask32x16, u8x16, u8x32, u8x64, u16x32, u32x16,
    u64x8,
};
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
use fearless_simd::{f32x4, u32x8};

/// The token of an instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Simd<S: Token>(pub(crate) S);

/// Where sixteen codes of each width from 1 to 7 are in their sixteen bytes, for [`Lanes::spread`]: lane by lane the two bytes
/// that contain a code, and the power of two that brings it to the top of these 16 bits.
static WINDOWS: [([u8; CHUNK], [u16; CHUNK / 2]); 7] = {
    let mut windows = [([0; CHUNK], [0; CHUNK / 2]); 7];
    let mut i = 0;
    while i < 7 * LANES {
        let (width, lane) = (i / LANES + 1, i % LANES);
        let bit = width * lane;
        let (bytes, powers) = &mut windows[width - 1];
        (bytes[4 * lane], bytes[4 * lane + 1]) = ((bit / 8) as u8, (bit / 8 + 1) as u8);
        powers[2 * lane] = 1 << (16 - width - bit % 8);
        i += 1;
    }
    windows
};

/// Sixteen values, in the form that the level looks up: bytes where it does not fold.
#[derive(Clone, Copy)]
pub(crate) struct Table<S: Token> {
    values: f32x16<S>,
    /// Byte `k` of the sixteen values, in every block of 128 bits.
    bytes: [u8x64<S>; 4],
}

impl<S: Token> Lanes for Simd<S> {
    type F = f32x16<S>;
    type U = u32x16<S>;
    type M = mask32x16<S>;
    type B = u8x64<S>;
    type Table = Table<S>;

    #[inline(always)]
    fn is_compact(self) -> bool {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        return matches!(self.0.level(), fearless_simd::Level::Sse4_2(_));
        #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
        false
    }

    #[inline(always)]
    fn vectorize<R>(self, work: impl FnOnce() -> R) -> R {
        self.0.vectorize(work)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn prefetch<T>(self, x: &T) {
        safe_arch::prefetch_t0(x);
    }

    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> Self::F {
        f32x16::load_array_ref(self.0, x)
    }
    #[inline(always)]
    fn store(self, x: Self::F, out: &mut [f32; LANES]) {
        x.store_array(out);
    }
    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        f32x16::splat(self.0, x)
    }
    #[inline(always)]
    fn splat_bits(self, x: u32) -> Self::U {
        u32x16::splat(self.0, x)
    }

    #[inline(always)]
    fn bits(self, x: Self::F) -> Self::U {
        x.bitcast()
    }
    #[inline(always)]
    fn float(self, x: Self::U) -> Self::F {
        x.bitcast()
    }

    #[inline(always)]
    fn max(self, a: Self::U, b: Self::U) -> Self::U {
        let (a, b): (i32x16<S>, i32x16<S>) = (a.bitcast(), b.bitcast());
        a.max(b).bitcast()
    }
    #[inline(always)]
    fn min(self, a: Self::U, b: Self::U) -> Self::U {
        let (a, b): (i32x16<S>, i32x16<S>) = (a.bitcast(), b.bitcast());
        a.min(b).bitcast()
    }
    #[inline(always)]
    fn gt(self, a: Self::U, b: Self::U) -> Self::M {
        let (a, b): (i32x16<S>, i32x16<S>) = (a.bitcast(), b.bitcast());
        a.simd_gt(b)
    }
    #[inline(always)]
    fn gt_f32(self, a: Self::F, b: Self::F) -> Self::M {
        a.simd_gt(b)
    }
    #[inline(always)]
    fn select(self, mask: Self::M, if_true: Self::U, if_false: Self::U) -> Self::U {
        mask.select(if_true, if_false)
    }
    #[inline(always)]
    fn any(self, mask: Self::M) -> bool {
        mask.any_true()
    }
    #[inline(always)]
    fn any_nan(self, [a, b, c, d]: [Self::F; 4]) -> bool {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        if let Some(token) = self.0.level().as_avx512() {
            return avx512_encode::any_nan(token, [a.into(), b.into(), c.into(), d.into()]);
        } else if let Some(token) = self.0.level().as_avx2() {
            return avx2_encode::any_nan(token, [a, b, c, d]);
        }
        (a.simd_ne(a) | b.simd_ne(b) | c.simd_ne(c) | d.simd_ne(d)).any_true()
    }
    #[inline(always)]
    fn clamp(self, x: Self::F, min: Self::F, max: Self::F) -> Self::F {
        x.max(min).min(max)
    }
    #[inline(always)]
    fn max_unsigned(self, a: Self::U, b: Self::U) -> Self::U {
        a.max(b)
    }
    #[inline(always)]
    fn min_unsigned(self, a: Self::U, b: Self::U) -> Self::U {
        a.min(b)
    }
    #[inline(always)]
    fn part(self, round: usize, a: Self::U, b: Self::U) -> (Self::U, Self::U) {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        if let Some(token) = self.0.level().as_avx512() {
            let (a, b) = fold::part_512(token, round, a.into(), b.into());
            return (a.simd_into(self.0), b.simd_into(self.0));
        } else if let Some(token) = self.0.level().as_avx2() {
            return fold::part_256(self, token, round, a, b);
        }
        let _ = round;
        (a.unzip_low(b), a.unzip_high(b))
    }
    #[inline(always)]
    fn load_bytes(self, x: &[u8; CHUNK]) -> Self::B {
        u8x64::load_array_ref(self.0, x)
    }
    #[inline(always)]
    fn store_bytes(self, x: Self::B, out: &mut [u8; CHUNK]) {
        x.store_array(out);
    }
    #[inline(always)]
    fn splat_byte(self, x: u8) -> Self::B {
        u8x64::splat(self.0, x)
    }
    #[inline(always)]
    fn add_bytes(self, a: Self::B, b: Self::B) -> Self::B {
        a + b
    }
    #[inline(always)]
    fn and_bytes(self, a: Self::B, b: Self::B) -> Self::B {
        a & b
    }
    #[inline(always)]
    fn xor_bytes(self, a: Self::B, b: Self::B) -> Self::B {
        a ^ b
    }
    #[inline(always)]
    fn bytes_at(self, [a, b, c, d]: [Self::U; 4], bit: u32) -> Self::B {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        if let Some(token) = self.0.level().as_avx512() {
            return avx512_encode::bytes_at(token, [a.into(), b.into(), c.into(), d.into()], bit)
                .simd_into(self.0);
        }
        let byte = u32x16::splat(self.0, 0xff);
        let [a, b, c, d] = [(a >> bit) & byte, (b >> bit) & byte, (c >> bit) & byte, (d >> bit) & byte];
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        if let Some(token) = self.0.level().as_avx2() {
            return avx2_encode::bytes(self, token, [a, b, c, d]);
        }
        a.relaxed_narrow(b).relaxed_narrow(c.relaxed_narrow(d))
    }
    #[inline(always)]
    fn in_order(self, x: Self::B) -> Self::B {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        if self.0.level().as_avx512().is_none()
            && let Some(token) = self.0.level().as_avx2()
        {
            return avx2_encode::in_order(self, token, x);
        }
        x
    }
    #[inline(always)]
    fn widen(self, x: Self::B) -> [Self::U; 4] {
        let (low, high) = x.widen();
        let ((a, b), (c, d)) = (low.widen(), high.widen());
        [a, b, c, d]
    }
    #[inline(always)]
    fn close_gaps(self, bits: u32, x: Self::B, out: &mut [u8; CHUNK]) {
        let closing = &CLOSING[bits as usize - 1];
        let mut words: u64x8<S> = x.bitcast();
        for (low, merged) in closing.low.into_iter().zip([1, 2, 4]) {
            let low = words & u64x8::splat(self.0, low);
            words = low | (words ^ low) >> (merged * (u8::BITS - bits));
        }
        let words: u8x64<S> = words.bitcast();
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        if self.0.level().as_avx512().is_some() {
            let order = u8x64::load_array_ref(self.0, &closing.order);
            return words.swizzle_dyn(order).store_array(out);
        }
        let order = u8x64::block_splat(u8x16::load_array(self.0, *closing.order.first_chunk().unwrap()));
        let blocks: [u8; CHUNK] = words.swizzle_dyn_within_blocks(order).into();
        for (i, block) in blocks.as_chunks::<16>().0.iter().enumerate() {
            out[2 * bits as usize * i..][..16].copy_from_slice(block);
        }
    }
    #[inline(always)]
    fn join_nibbles(self, x: Self::B, out: &mut [u8; CHUNK / 2]) {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        if let Some(token) = self.0.level().as_avx512() {
            let joined: u8x32<S> = avx512_encode::join_nibbles(token, x.into()).simd_into(self.0);
            return joined.store_array(out);
        } else if let Some(token) = self.0.level().as_avx2() {
            return avx2_encode::join_nibbles(self, token, x).store_array(out);
        }
        let pairs: u16x32<S> = x.bitcast();
        let bytes = (pairs | pairs >> 4) & u16x32::splat(self.0, 0xff);
        let (low, _) = self.0.split_u8x64(bytes.relaxed_narrow(bytes));
        low.store_array(out);
    }
    #[inline(always)]
    fn split_nibbles(self, x: &[u8; CHUNK / 2]) -> Self::B {
        let (low, high) = self.0.widen_u8x32(u8x32::load_array_ref(self.0, x));
        let bytes = self.0.combine_u16x16(low, high);
        ((bytes | bytes << 4) & u16x32::splat(self.0, 0x0f0f)).bitcast()
    }

    #[inline(always)]
    fn spread(self, bits: u32, bytes: &[u8; LANES]) -> Self::U {
        let (window, powers) = &WINDOWS[bits as usize - 1];
        let bytes = u8x64::block_splat(u8x16::load_array_ref(self.0, bytes));
        let window = u8x64::load_array_ref(self.0, window);
        let words: u16x32<S> = bytes.swizzle_dyn_within_blocks(window).bitcast();
        ((words * u16x32::load_array_ref(self.0, powers)) >> (u16::BITS - bits)).bitcast()
    }

    #[inline(always)]
    fn load_u16(self, x: &[u16; 2 * LANES]) -> [Self::U; 2] {
        let (a, b) = u16x32::load_array_ref(self.0, x).widen();
        [a, b]
    }
    #[inline(always)]
    fn store_u16(self, [a, b]: [Self::U; 2], out: &mut [u16; 2 * LANES]) {
        a.relaxed_narrow(b).store_array(out);
    }

    #[inline(always)]
    fn widen_f16(self, x: Self::U) -> Self::F {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        if let Some(token) = self.0.level().as_avx512() {
            return avx512::widen_f16(token, x.into()).simd_into(self.0);
        } else if let Some(token) = self.0.level().as_avx2() {
            let (low, high) = x.split();
            let (low, high) = avx2::widen_f16(token, low.into(), high.into());
            let (low, high): (f32x8<S>, f32x8<S>) = (low.simd_into(self.0), high.simd_into(self.0));
            return low.combine(high);
        }
        MinifloatDecoder::new(self, Layout::F16).vector(self, x)
    }
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    #[inline(always)]
    fn load_f16(self, x: &[u16; 2 * LANES]) -> [Self::F; 2] {
        if let Some(token) = self.0.level().as_avx512() {
            let [a, b] = avx512::widen_f16_pair(token, u16x32::load_array_ref(self.0, x).into());
            return [a.simd_into(self.0), b.simd_into(self.0)];
        }
        let [a, b] = self.load_u16(x);
        [self.widen_f16(a), self.widen_f16(b)]
    }
    #[inline(always)]
    fn load_bf16(self, x: &[u16; 2 * LANES]) -> [Self::F; 2] {
        let (zero, x) = (u16x32::splat(self.0, 0), u16x32::load_array_ref(self.0, x));
        [zero.zip_low(x).bitcast(), zero.zip_high(x).bitcast()]
    }
    #[inline(always)]
    fn narrow_f16(self, x: Self::F) -> Self::U {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        if let Some(token) = self.0.level().as_avx512() {
            return avx512::narrow_f16(token, x.into()).simd_into(self.0);
        } else if let Some(token) = self.0.level().as_avx2() {
            let (low, high) = x.split();
            let (low, high) = avx2::narrow_f16(token, low.into(), high.into());
            let (low, high): (u32x8<S>, u32x8<S>) = (low.simd_into(self.0), high.simd_into(self.0));
            return low.combine(high);
        }
        MinifloatEncoder::new(self, Layout::F16).f16(self, x)
    }

    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    #[inline(always)]
    fn round_upper(self, x: Self::F) -> Self::F {
        if let Some(token) = self.0.level().as_avx512() {
            return avx512_narrow::round_upper(token, x.into()).simd_into(self.0);
        }
        super::round_upper(self, x)
    }
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    #[inline(always)]
    fn store_upper(self, x: [Self::F; 4], out: &mut [u16; CHUNK]) {
        if let Some(token) = self.0.level().as_avx512() {
            let ([a, b, c, d], [low, high]) = (x, out.as_chunks_mut().0) else { unreachable!() };
            let first: u16x32<S> = avx512_narrow::upper_halves(token, a.into(), b.into()).simd_into(self.0);
            let last: u16x32<S> = avx512_narrow::upper_halves(token, c.into(), d.into()).simd_into(self.0);
            first.store_array(low);
            return last.store_array(high);
        }
        super::store_upper(self, x, out);
    }

    #[inline(always)]
    fn table(self, values: &[f32; 16]) -> Self::Table {
        let mut bytes = [u8x64::splat(self.0, 0); 4];
        if !self.folds() {
            for (byte, bytes) in bytes.iter_mut().enumerate() {
                let plane = values.map(|x| x.to_le_bytes()[byte]);
                *bytes = u8x64::block_splat(u8x16::load_array(self.0, plane));
            }
        }
        Table { values: self.load(values), bytes }
    }
    #[inline(always)]
    fn folds(self) -> bool {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        if self.0.level().as_avx2().is_some() {
            return true;
        }
        false
    }
    #[inline(always)]
    fn fold(self, table: Self::Table, map: impl Fn(Self::F) -> Self::F) -> Self::Table {
        let values = map(table.values);
        if self.folds() { Table { values, ..table } } else { self.table(&values.into()) }
    }
    /// The four bytes of each value are looked up apart and zipped together.
    #[inline(always)]
    fn lookup(self, table: Self::Table, codes: Self::B) -> [Self::F; 4] {
        let [b0, b1, b2, b3] = table.bytes;
        let (b0, b1) = (b0.swizzle_dyn_within_blocks(codes), b1.swizzle_dyn_within_blocks(codes));
        let (b2, b3) = (b2.swizzle_dyn_within_blocks(codes), b3.swizzle_dyn_within_blocks(codes));
        let (low, low_end): (u16x32<S>, u16x32<S>) = (b0.zip_low(b1).bitcast(), b0.zip_high(b1).bitcast());
        let (high, high_end): (u16x32<S>, u16x32<S>) = (b2.zip_low(b3).bitcast(), b2.zip_high(b3).bitcast());
        [
            low.zip_low(high).bitcast(),
            low.zip_high(high).bitcast(),
            low_end.zip_low(high_end).bitcast(),
            low_end.zip_high(high_end).bitcast(),
        ]
    }
    #[inline(always)]
    fn lookup_nibbles(self, table: Self::Table, codes: &[u8; CHUNK / 2]) -> [Self::F; 4] {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        if let Some(token) = self.0.level().as_avx512() {
            let [a, b, c, d] = avx512::lookup_nibbles(token, table.values.into(), codes);
            return [a.simd_into(self.0), b.simd_into(self.0), c.simd_into(self.0), d.simd_into(self.0)];
        }
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        if let Some(token) = self.0.level().as_avx2() {
            return avx2::lookup_nibbles(self, token, table.values, codes);
        }
        self.lookup(table, self.split_nibbles(codes))
    }
    #[inline(always)]
    fn pairs(self, x: &[f32; 4]) -> [Self::F; 2] {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        if let Some(token) = self.0.level().as_avx512() {
            let [first, last] = avx512_narrow::pairs(token, f32x4::load_array_ref(self.0, x).into());
            return [first.simd_into(self.0), last.simd_into(self.0)];
        }
        let eight = |i: usize| f32x8::splat(self.0, x[i]);
        [eight(0).combine(eight(1)), eight(2).combine(eight(3))]
    }
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    #[inline(always)]
    fn store_nibble_words(
        self,
        signed: bool,
        [low, high]: [Self::F; 2],
        codes: &[u8; CHUNK / 2],
        out: &mut [u16; CHUNK],
    ) -> bool {
        if let Some(token) = self.0.level().as_avx512() {
            let table = avx512_narrow::upper_halves(token, low.into(), high.into());
            let words =
                avx512_narrow::words(token, signed, table, u8x32::load_array_ref(self.0, codes).into());
            for (words, out) in words.into_iter().zip(out.as_chunks_mut().0) {
                let words: u16x32<S> = words.simd_into(self.0);
                words.store_array(out);
            }
            return true;
        }
        false
    }
    #[inline(always)]
    fn decode_e4m3(self, codes: &[u8; CHUNK]) -> [Self::F; 4] {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        {
            if let Some(token) = self.0.level().as_avx512() {
                let planes = const { Planes::of(Element::E4m3).unwrap() };
                return PlaneDecoder::<SIGNED>::new(token, u8::BITS, planes).decode(self, codes);
            }
            if let Some(token) = self.0.level().as_avx2() {
                let format = const { Element::E4m3.float_format().unwrap() };
                return HalfDecoder::<S, 8>::new(self, token, format, Layout::E4M3).decode(self, codes);
            }
        }
        MinifloatDecoder::new(self, Layout::E4M3).decode(self, codes)
    }
    #[inline(always)]
    fn decode_natively<'a, T, O: Output<Self, T>>(
        self,
        e: Element,
        chunks: Chunks<'a, T, O>,
    ) -> Option<Chunks<'a, T, O>> {
        #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
        let _ = e;
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        if let Some(token) = self.0.level().as_avx512() {
            let (bits, planes) = (e.bits(), Planes::of(e).unwrap());
            match bits {
                ..7 => chunks.decode(self, PlaneDecoder::<NARROW>::new(token, bits, planes)),
                _ if planes.fnuz => chunks.decode(self, PlaneDecoder::<FNUZ>::new(token, bits, planes)),
                _ => chunks.decode(self, PlaneDecoder::<SIGNED>::new(token, bits, planes)),
            }
            return None;
        }
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        if let (Some(token), Some(format)) = (self.0.level().as_avx2(), e.float_format()) {
            let layout = Layout::of(format);
            match e.bits() {
                6 => chunks.decode(self, HalfDecoder::<S, 6>::new(self, token, format, layout)),
                _ => chunks.decode(self, HalfDecoder::<S, 8>::new(self, token, format, layout)),
            }
            return None;
        }
        Some(chunks)
    }
    #[inline(always)]
    fn encode_natively<'a>(self, e: Element, chunks: encode::Chunks<'a>) -> Option<encode::Chunks<'a>> {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        if let Some(token) = self.0.level().as_avx512() {
            match e {
                Element::E2m1 => chunks.encode(self, e, E2m1Encoder(token)),
                Element::Nf4 | Element::Fp4 => chunks.encode(self, e, CellEncoder::new(token, e)),
                _ => return Some(chunks),
            }
            return None;
        } else if let Some(token) = self.0.level().as_avx2() {
            match e {
                Element::E2m1 => chunks.encode(self, e, avx2_encode::E2m1Encoder(token)),
                Element::Nf4 | Element::Fp4 => chunks.encode(self, e, SearchEncoder::new(token, e)),
                _ => match e.float_format() {
                    Some(format) => {
                        chunks.encode(self, e, FloatEncoder::new(token, Layout::of(format)));
                    }
                    None => return Some(chunks),
                },
            }
            return None;
        }
        let _ = e;
        Some(chunks)
    }
}
