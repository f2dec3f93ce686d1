//! Lanes of a `fearless_simd` token: the instruction set is found at run time, and the token proves that it is there.
//!
//! What all instruction sets do alike is here, in portable vector operations. What one does in fewer instructions is its
//! implementation of [`Instructions`], in its folder.

mod product;

pub(crate) use product::{ByteDecoder, SumInstructions};

use crate::codecs::minifloat::{Layout, MinifloatDecoder, MinifloatEncoder};
use crate::codes::{CLOSING, Closing};
use crate::lanes::{self, CHUNK, LANES, Lanes};
use fearless_simd::prelude::*;
use fearless_simd::{
    Bytes, Select, Simd as Token, f32x8, f32x16, i32x16, mask32x16, u8x16, u8x32, u8x64, u16x32, u32x16,
    u64x8,
};

/// The token of an instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Simd<S: Token>(pub(crate) S);

/// The operations of [`Lanes`] that instruction sets do differently. Each is described there.
pub(crate) trait Instructions: Token {
    /// See [`Lanes::COMPACT`].
    const COMPACT: bool = false;
    /// See [`Lanes::FOLDS`].
    const FOLDS: bool = false;

    #[inline(always)]
    fn any_nan(self, [a, b, c, d]: [f32x16<Self>; 4]) -> bool {
        (a.simd_ne(a) | b.simd_ne(b) | c.simd_ne(c) | d.simd_ne(d)).any_true()
    }
    #[inline(always)]
    fn part(self, _round: usize, a: u32x16<Self>, b: u32x16<Self>) -> (u32x16<Self>, u32x16<Self>) {
        (a.unzip_low(b), a.unzip_high(b))
    }
    #[inline(always)]
    fn bytes_at(self, x: [u32x16<Self>; 4], bit: u32) -> u8x64<Self> {
        let [a, b, c, d] = lowest_bytes(self, x, bit);
        a.relaxed_narrow(b).relaxed_narrow(c.relaxed_narrow(d))
    }
    #[inline(always)]
    fn in_order(self, x: u8x64<Self>) -> u8x64<Self> {
        x
    }
    /// The last step of [`Lanes::close_gaps`]: eight codes lie in the first bytes of each 64 bits.
    #[inline(always)]
    fn close_words(self, bits: u32, words: u8x64<Self>, closing: &Closing, out: &mut [u8; CHUNK]) {
        let order = u8x64::block_splat(u8x16::load_array(self, *closing.order.first_chunk().unwrap()));
        let blocks: [u8; CHUNK] = words.swizzle_dyn_within_blocks(order).into();
        for (i, block) in blocks.as_chunks::<16>().0.iter().enumerate() {
            out[2 * bits as usize * i..][..16].copy_from_slice(block);
        }
    }
    #[inline(always)]
    fn join_nibbles(self, x: u8x64<Self>) -> u8x32<Self> {
        let pairs: u16x32<Self> = x.bitcast();
        let bytes = (pairs | pairs >> 4) & u16x32::splat(self, 0xff);
        self.split_u8x64(bytes.relaxed_narrow(bytes)).0
    }
    #[inline(always)]
    fn widen_f16(self, x: u32x16<Self>) -> f32x16<Self> {
        let l = Simd(self);
        MinifloatDecoder::new(l, Layout::F16).vector(l, x)
    }
    #[inline(always)]
    fn load_f16(self, x: &[u16; 2 * LANES]) -> [f32x16<Self>; 2] {
        let (a, b) = u16x32::load_array_ref(self, x).widen();
        [self.widen_f16(a), self.widen_f16(b)]
    }
    #[inline(always)]
    fn narrow_f16(self, x: f32x16<Self>) -> u32x16<Self> {
        let l = Simd(self);
        MinifloatEncoder::new(l, Layout::F16).f16(l, x)
    }
    #[inline(always)]
    fn round_upper(self, x: f32x16<Self>) -> f32x16<Self> {
        lanes::round_upper(Simd(self), x)
    }
    #[inline(always)]
    fn store_upper(self, x: [f32x16<Self>; 4], out: &mut [u16; CHUNK]) {
        lanes::store_upper(Simd(self), x, out);
    }
    #[inline(always)]
    fn lookup_nibbles(self, table: Table<Self>, codes: &[u8; CHUNK / 2]) -> [f32x16<Self>; 4] {
        let l = Simd(self);
        l.lookup(table, l.split_nibbles(codes))
    }
    #[inline(always)]
    fn pairs(self, x: &[f32; 4]) -> [f32x16<Self>; 2] {
        let eight = |i: usize| f32x8::splat(self, x[i]);
        [eight(0).combine(eight(1)), eight(2).combine(eight(3))]
    }
    #[inline(always)]
    fn store_nibble_words(
        self,
        _signed: bool,
        _tables: [f32x16<Self>; 2],
        _codes: &[u8; CHUNK / 2],
        _out: &mut [u16; CHUNK],
    ) -> bool {
        false
    }
}

/// Eight bits of each lane from bit `bit` on, in its lowest byte.
#[inline(always)]
pub(super) fn lowest_bytes<S: Token>(token: S, [a, b, c, d]: [u32x16<S>; 4], bit: u32) -> [u32x16<S>; 4] {
    let byte = u32x16::splat(token, 0xff);
    [(a >> bit) & byte, (b >> bit) & byte, (c >> bit) & byte, (d >> bit) & byte]
}

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
    pub(super) values: f32x16<S>,
    /// Byte `k` of the sixteen values, in every block of 128 bits.
    bytes: [u8x64<S>; 4],
}

impl<S: Instructions> Lanes for Simd<S> {
    type F = f32x16<S>;
    type U = u32x16<S>;
    type M = mask32x16<S>;
    type B = u8x64<S>;
    type Table = Table<S>;

    const COMPACT: bool = S::COMPACT;
    const FOLDS: bool = S::FOLDS;

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
    fn any_nan(self, x: [Self::F; 4]) -> bool {
        self.0.any_nan(x)
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
        self.0.part(round, a, b)
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
    fn bytes_at(self, x: [Self::U; 4], bit: u32) -> Self::B {
        self.0.bytes_at(x, bit)
    }
    #[inline(always)]
    fn in_order(self, x: Self::B) -> Self::B {
        self.0.in_order(x)
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
        self.0.close_words(bits, words.bitcast(), closing, out);
    }
    #[inline(always)]
    fn join_nibbles(self, x: Self::B, out: &mut [u8; CHUNK / 2]) {
        self.0.join_nibbles(x).store_array(out);
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
        self.0.widen_f16(x)
    }
    #[inline(always)]
    fn load_f16(self, x: &[u16; 2 * LANES]) -> [Self::F; 2] {
        self.0.load_f16(x)
    }
    #[inline(always)]
    fn load_bf16(self, x: &[u16; 2 * LANES]) -> [Self::F; 2] {
        let (zero, x) = (u16x32::splat(self.0, 0), u16x32::load_array_ref(self.0, x));
        [zero.zip_low(x).bitcast(), zero.zip_high(x).bitcast()]
    }
    #[inline(always)]
    fn narrow_f16(self, x: Self::F) -> Self::U {
        self.0.narrow_f16(x)
    }
    #[inline(always)]
    fn round_upper(self, x: Self::F) -> Self::F {
        self.0.round_upper(x)
    }
    #[inline(always)]
    fn store_upper(self, x: [Self::F; 4], out: &mut [u16; CHUNK]) {
        self.0.store_upper(x, out);
    }

    #[inline(always)]
    fn table(self, values: &[f32; 16]) -> Self::Table {
        let mut bytes = [u8x64::splat(self.0, 0); 4];
        if !S::FOLDS {
            for (byte, bytes) in bytes.iter_mut().enumerate() {
                let plane = values.map(|x| x.to_le_bytes()[byte]);
                *bytes = u8x64::block_splat(u8x16::load_array(self.0, plane));
            }
        }
        Table { values: self.load(values), bytes }
    }
    #[inline(always)]
    fn fold(self, table: Self::Table, map: impl Fn(Self::F) -> Self::F) -> Self::Table {
        let values = map(table.values);
        if S::FOLDS { Table { values, ..table } } else { self.table(&values.into()) }
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
        self.0.lookup_nibbles(table, codes)
    }
    #[inline(always)]
    fn pairs(self, x: &[f32; 4]) -> [Self::F; 2] {
        self.0.pairs(x)
    }
    #[inline(always)]
    fn store_nibble_words(
        self,
        signed: bool,
        tables: [Self::F; 2],
        codes: &[u8; CHUNK / 2],
        out: &mut [u16; CHUNK],
    ) -> bool {
        self.0.store_nibble_words(signed, tables, codes, out)
    }
}
