//! What decoded values are written as: f32, f16 or bf16, the last two rounded to nearest even.

use super::stream::Stream;
use crate::codecs::{Affine, Decoder};
use crate::lanes::{CHUNK, LANES, Lanes};

/// Writes values as `T`.
pub(crate) trait Output<L: Lanes, T>: Copy {
    /// A chunk.
    fn store(self, l: L, values: [L::F; 4], out: &mut [T; CHUNK]);
    /// A chunk of values of a few significant bits times powers of two.
    #[inline(always)]
    fn store_short(self, l: L, values: [L::F; 4], out: &mut [T; CHUNK]) {
        self.store(l, values, out);
    }
    /// Decodes the first chunks of blocks of which each has two or four, where there is a faster way; how many.
    #[inline(always)]
    fn blocks<const N: usize>(
        self,
        _: L,
        _: impl Decoder<L>,
        _scales: &[[f32; N]],
        _zeros: Option<&[[f32; N]]>,
        _codes: &[u8],
        _out: &mut [[T; CHUNK]],
    ) -> usize {
        0
    }
    /// Decodes a block of many chunks.
    #[inline(always)]
    fn block(self, l: L, decoder: impl Decoder<L>, block: Affine<L>, codes: &[u8], out: &mut [[T; CHUNK]]) {
        each(self, l, decoder, block, codes, out);
    }
}

/// Decodes a block chunk by chunk.
#[inline(always)]
fn each<L: Lanes, T>(
    output: impl Output<L, T>,
    l: L,
    decoder: impl Decoder<L>,
    block: Affine<L>,
    codes: &[u8],
    out: &mut [[T; CHUNK]],
) {
    let decode = decoder.in_block(l, block);
    for (chunk, out) in out.iter_mut().enumerate() {
        output.store(l, decode(&codes[chunk * decoder.bytes()..]), out);
    }
}

/// As they are.
#[derive(Clone, Copy)]
pub(crate) struct AsF32;

/// As they are, past the caches.
#[derive(Clone, Copy)]
pub(crate) struct Streamed(pub(crate) Stream);

/// Rounded; what is too large becomes infinity.
#[derive(Clone, Copy)]
pub(crate) struct AsF16;

/// Rounded; what is too large becomes infinity.
#[derive(Clone, Copy)]
pub(crate) struct AsBf16;

// Loops, and explicit lists elsewhere: a closure given to `map` is compiled for the level's instructions only where the
// compiler happens to inline `map`.

impl<L: Lanes> Output<L, f32> for AsF32 {
    #[inline(always)]
    fn store(self, l: L, values: [L::F; 4], out: &mut [f32; CHUNK]) {
        for (value, out) in values.into_iter().zip(out.as_chunks_mut().0) {
            l.store(value, out);
        }
    }
}

impl<L: Lanes> Output<L, f32> for Streamed {
    #[inline(always)]
    fn store(self, l: L, values: [L::F; 4], out: &mut [f32; CHUNK]) {
        for (value, out) in values.into_iter().zip(out.as_chunks_mut().0) {
            let mut values = [0.0; LANES];
            l.store(value, &mut values);
            self.0.store(values, out);
        }
    }
}

impl<L: Lanes> Output<L, u16> for AsF16 {
    #[inline(always)]
    fn store(self, l: L, [a, b, c, d]: [L::F; 4], out: &mut [u16; CHUNK]) {
        store_pairs(l, [l.narrow_f16(a), l.narrow_f16(b), l.narrow_f16(c), l.narrow_f16(d)], out);
    }
    #[inline(always)]
    fn block(self, l: L, decoder: impl Decoder<L>, block: Affine<L>, codes: &[u8], out: &mut [[u16; CHUNK]]) {
        if !decoder.block_by_halves(l, block, |x| l.float(l.narrow_f16(x) << u16::BITS), codes, out) {
            each(self, l, decoder, block, codes, out);
        }
    }
}

impl<L: Lanes> Output<L, u16> for AsBf16 {
    #[inline(always)]
    fn store(self, l: L, values: [L::F; 4], out: &mut [u16; CHUNK]) {
        l.store_bf16(values, out);
    }
    /// Up to eight bits are a bf16 already.
    #[inline(always)]
    fn store_short(self, l: L, values: [L::F; 4], out: &mut [u16; CHUNK]) {
        l.store_upper(values, out);
    }
    #[inline(always)]
    fn blocks<const N: usize>(
        self,
        l: L,
        decoder: impl Decoder<L>,
        scales: &[[f32; N]],
        zeros: Option<&[[f32; N]]>,
        codes: &[u8],
        out: &mut [[u16; CHUNK]],
    ) -> usize {
        decoder.blocks_by_halves(l, scales, zeros, |x| l.round_upper(x), codes, out)
    }
    #[inline(always)]
    fn block(self, l: L, decoder: impl Decoder<L>, block: Affine<L>, codes: &[u8], out: &mut [[u16; CHUNK]]) {
        if !decoder.block_by_halves(l, block, |x| l.round_upper(x), codes, out) {
            each(self, l, decoder, block, codes, out);
        }
    }
}

#[inline(always)]
fn store_pairs<L: Lanes>(l: L, [a, b, c, d]: [L::U; 4], out: &mut [u16; CHUNK]) {
    let [low, high] = out.as_chunks_mut::<{ 2 * LANES }>().0 else { unreachable!() };
    l.store_u16([a, b], low);
    l.store_u16([c, d], high);
}
