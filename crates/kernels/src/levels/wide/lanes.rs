//! Lanes of the `wide` crate: the instructions that the target is known to have when this is compiled.
//!
//! It needs no detection and no `std`. Byte operations are plain loops, which the compiler vectorises for the target.

use crate::codecs::minifloat::{Layout, MinifloatDecoder, MinifloatEncoder};
use crate::codes::low_bits;
use crate::lanes::{CHUNK, LANES, Lanes};
use bytemuck::cast;
use core::array::from_fn;
use wide::{f32x16, i32x16, u32x16};

/// The compile-time level.
#[derive(Clone, Copy)]
pub(crate) struct Wide;

impl Lanes for Wide {
    type F = f32x16;
    type U = u32x16;
    /// All bits of a true lane are set.
    type M = u32x16;
    type B = [u8; CHUNK];
    type Table = [f32; 16];

    const COMPACT: bool = true;
    const FOLDS: bool = true;

    /// Every CPU has the instructions; the function keeps the room that it needs out of what every level calls.
    #[inline(never)]
    fn vectorize<R>(self, work: impl FnOnce() -> R) -> R {
        work()
    }

    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> Self::F {
        f32x16::new(*x)
    }
    #[inline(always)]
    fn store(self, x: Self::F, out: &mut [f32; LANES]) {
        *out = x.to_array();
    }
    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        f32x16::splat(x)
    }
    #[inline(always)]
    fn splat_bits(self, x: u32) -> Self::U {
        u32x16::splat(x)
    }

    #[inline(always)]
    fn bits(self, x: Self::F) -> Self::U {
        cast(x)
    }
    #[inline(always)]
    fn float(self, x: Self::U) -> Self::F {
        cast(x)
    }

    #[inline(always)]
    fn max(self, a: Self::U, b: Self::U) -> Self::U {
        cast(cast::<_, i32x16>(a).max(cast(b)))
    }
    #[inline(always)]
    fn min(self, a: Self::U, b: Self::U) -> Self::U {
        cast(cast::<_, i32x16>(a).min(cast(b)))
    }
    #[inline(always)]
    fn gt(self, a: Self::U, b: Self::U) -> Self::M {
        cast(cast::<_, i32x16>(a).simd_gt(cast::<_, i32x16>(b)))
    }
    #[inline(always)]
    fn gt_f32(self, a: Self::F, b: Self::F) -> Self::M {
        cast(a.simd_gt(b))
    }
    #[inline(always)]
    fn select(self, mask: Self::M, if_true: Self::U, if_false: Self::U) -> Self::U {
        mask.select(if_true, if_false)
    }
    #[inline(always)]
    fn any(self, mask: Self::M) -> bool {
        mask.any()
    }
    #[inline(always)]
    fn any_nan(self, [a, b, c, d]: [Self::F; 4]) -> bool {
        (a.is_nan() | b.is_nan() | c.is_nan() | d.is_nan()).any()
    }
    #[inline(always)]
    fn clamp(self, x: Self::F, min: Self::F, max: Self::F) -> Self::F {
        x.fast_max(min).fast_min(max)
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
    fn part(self, _: usize, a: Self::U, b: Self::U) -> (Self::U, Self::U) {
        let both: [u32; 2 * LANES] = cast([a, b]);
        (cast(from_fn::<u32, LANES, _>(|i| both[2 * i])), cast(from_fn::<u32, LANES, _>(|i| both[2 * i + 1])))
    }
    #[inline(always)]
    fn load_bytes(self, x: &[u8; CHUNK]) -> Self::B {
        *x
    }
    #[inline(always)]
    fn store_bytes(self, x: Self::B, out: &mut [u8; CHUNK]) {
        *out = x;
    }
    #[inline(always)]
    fn splat_byte(self, x: u8) -> Self::B {
        [x; CHUNK]
    }
    #[inline(always)]
    fn add_bytes(self, a: Self::B, b: Self::B) -> Self::B {
        from_fn(|i| a[i].wrapping_add(b[i]))
    }
    #[inline(always)]
    fn and_bytes(self, a: Self::B, b: Self::B) -> Self::B {
        from_fn(|i| a[i] & b[i])
    }
    #[inline(always)]
    fn xor_bytes(self, a: Self::B, b: Self::B) -> Self::B {
        from_fn(|i| a[i] ^ b[i])
    }
    #[inline(always)]
    fn bytes_at(self, x: [Self::U; 4], bit: u32) -> Self::B {
        cast::<_, [u32; CHUNK]>(x).map(|x| (x >> bit) as u8)
    }
    #[inline(always)]
    fn in_order(self, x: Self::B) -> Self::B {
        x
    }
    #[inline(always)]
    fn widen(self, x: Self::B) -> [Self::U; 4] {
        cast(x.map(u32::from))
    }
    #[inline(always)]
    fn close_gaps(self, bits: u32, x: Self::B, out: &mut [u8; CHUNK]) {
        close_gaps(bits, &x, &mut out[..CHUNK / 8 * bits as usize]);
    }
    #[inline(always)]
    fn join_nibbles(self, x: Self::B, out: &mut [u8; CHUNK / 2]) {
        for (byte, [low, high]) in out.iter_mut().zip(x.as_chunks().0) {
            *byte = low | high << 4;
        }
    }
    #[inline(always)]
    fn split_nibbles(self, x: &[u8; CHUNK / 2]) -> Self::B {
        let mut codes = [0; CHUNK];
        for (pair, byte) in codes.as_chunks_mut().0.iter_mut().zip(x) {
            *pair = [byte & 0xf, byte >> 4];
        }
        codes
    }

    #[inline(always)]
    fn spread(self, bits: u32, bytes: &[u8; LANES]) -> Self::U {
        // Eight codes fill whole bytes, and fewer than eight of them.
        let [low, high] =
            [0, bits as usize].map(|at| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()));
        let mask = (1 << bits) - 1;
        cast(from_fn::<u32, LANES, _>(|lane| {
            let eight = if lane < 8 { low } else { high };
            (eight >> (bits * (lane as u32 % 8))) as u32 & mask
        }))
    }

    #[inline(always)]
    fn load_u16(self, x: &[u16; 2 * LANES]) -> [Self::U; 2] {
        cast(x.map(u32::from))
    }
    #[inline(always)]
    fn store_u16(self, x: [Self::U; 2], out: &mut [u16; 2 * LANES]) {
        *out = cast::<_, [u32; 2 * LANES]>(x).map(|x| x as u16);
    }

    #[inline(always)]
    fn widen_f16(self, x: Self::U) -> Self::F {
        MinifloatDecoder::new(self, Layout::F16).vector(self, x)
    }
    #[inline(always)]
    fn narrow_f16(self, x: Self::F) -> Self::U {
        MinifloatEncoder::new(self, Layout::F16).f16(self, x)
    }

    #[inline(always)]
    fn table(self, values: &[f32; 16]) -> Self::Table {
        *values
    }
    #[inline(always)]
    fn fold(self, table: Self::Table, map: impl Fn(Self::F) -> Self::F) -> Self::Table {
        map(f32x16::new(table)).to_array()
    }
    #[inline(always)]
    fn lookup(self, table: Self::Table, codes: Self::B) -> [Self::F; 4] {
        let mut values = [0.0; CHUNK];
        for (value, code) in values.iter_mut().zip(codes) {
            *value = table[usize::from(code % 16)];
        }
        cast(values)
    }
}

// Scalar code on u64, compiled once and not once per level; the width is known in the loops, so copies are not calls.

#[inline(never)]
fn close_gaps(bits: u32, codes: &[u8; CHUNK], out: &mut [u8]) {
    match bits {
        1 => close::<1>(codes, out),
        2 => close::<2>(codes, out),
        3 => close::<3>(codes, out),
        5 => close::<5>(codes, out),
        6 => close::<6>(codes, out),
        _ => close::<7>(codes, out),
    }
}

#[inline(always)]
fn close<const BITS: usize>(codes: &[u8; CHUNK], out: &mut [u8]) {
    for (codes, out) in codes.as_chunks::<8>().0.iter().zip(out.as_chunks_mut::<BITS>().0) {
        let mut word = u64::from_le_bytes(*codes);
        for merged in [1, 2, 4] {
            let low = word & low_bits(merged * BITS as u32, 2 * merged * 8);
            word = low | (word ^ low) >> (merged * (8 - BITS as u32));
        }
        out.copy_from_slice(&word.to_le_bytes()[..BITS]);
    }
}
