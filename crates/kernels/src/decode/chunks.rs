//! Chunks on their way to values: which scales and zero points belong to each.
//!
//! Blocks come in three shapes, and the first two have no code per value or vector that looks for its scale:
//!
//! ```text
//! one block, or blocks of whole chunks    one scale for a run of chunks; a table of values is scaled once per run
//! blocks of 16 or 32                      four or two scales for each chunk, read where they are
//! any other                               laid out tile by tile (scales.rs)
//! ```

use super::output::Output;
use crate::Blocks;
use crate::codecs::{Affine, Decoder};
use crate::lanes::{CHUNK, LANES, Lanes, apart};
use crate::scales::{Scales, TILE};

/// Chunks to decode, of which the first begins with value `at` of the blocks.
pub(crate) struct Chunks<'a, T, O> {
    /// `8 * e.bits()` bytes per chunk.
    pub(crate) codes: &'a [u8],
    pub(crate) blocks: Blocks<'a>,
    pub(crate) at: usize,
    pub(crate) out: &'a mut [[T; CHUNK]],
    /// How they are written.
    pub(crate) output: O,
}

/// How blocks meet chunks.
enum Shape {
    /// Blocks of that many chunks, or one block.
    Runs(usize),
    /// Four blocks in a chunk.
    Four,
    /// Two blocks in a chunk.
    Two,
    /// Any other, and every one where code is to be compact.
    Other,
}

impl<T, O> Chunks<'_, T, O> {
    #[inline(always)]
    pub(crate) fn decode<L: Lanes>(mut self, l: L, decoder: impl Decoder<L>)
    where
        O: Output<L, T>,
    {
        match self.shape::<L>() {
            Shape::Runs(run) => apart!(l, self.runs(l, decoder, run)),
            Shape::Four => apart!(l, self.few::<L, 4>(l, decoder)),
            Shape::Two => apart!(l, self.few::<L, 2>(l, decoder)),
            Shape::Other => apart!(l, self.tiles(l, decoder)),
        }
    }

    /// How the blocks meet the chunks; `at` becomes 0 where a block begins with the first chunk. One answer first and one match
    /// after it, so that each loop is compiled once.
    #[inline(always)]
    fn shape<L: Lanes>(&mut self) -> Shape {
        let Blocks { len, scales, zeros } = self.blocks;
        if L::COMPACT {
            return Shape::Other;
        }
        if scales.len() == 1 {
            return Shape::Runs(usize::MAX);
        }
        let first = self.at / len;
        if !self.at.is_multiple_of(len) || CHUNK * self.out.len() > len * (scales.len() - first) {
            return Shape::Other;
        }
        let (scales, zeros) = (&scales[first..], zeros.map(|zeros| &zeros[first..]));
        (self.at, self.blocks) = (0, Blocks { len, scales, zeros });
        match len {
            LANES => Shape::Four,
            32 => Shape::Two,
            _ if len.is_multiple_of(CHUNK) => Shape::Runs(len / CHUNK),
            _ => Shape::Other,
        }
    }

    /// Blocks of `run` chunks.
    #[inline(always)]
    fn runs<L: Lanes>(self, l: L, decoder: impl Decoder<L>, run: usize)
    where
        O: Output<L, T>,
    {
        let Blocks { scales, zeros, .. } = self.blocks;
        let run = run.min(self.out.len());
        for ((block, out), &scale) in self.out.chunks_mut(run).enumerate().zip(scales) {
            let zero = zeros.map(|zeros| l.splat(zeros[block]));
            let codes = &self.codes[block * run * decoder.bytes()..];
            self.output.block(l, decoder, Affine { zero, scale: l.splat(scale) }, codes, out);
        }
    }

    /// `N` blocks per chunk.
    #[inline(always)]
    fn few<L: Lanes, const N: usize>(self, l: L, decoder: impl Decoder<L>)
    where
        O: Output<L, T>,
    {
        let scales = self.blocks.scales.as_chunks::<N>().0;
        let zeros = self.blocks.zeros.map(|zeros| zeros.as_chunks::<N>().0);
        // The formats with powers of two for scales have blocks of 32.
        let short = zeros.is_none() && decoder.is_short();
        let done = self.output.blocks(l, decoder, scales, zeros, self.codes, self.out);
        let (codes, scales) = (&self.codes[done * decoder.bytes()..], &scales[done..]);
        let zeros = zeros.map(|zeros| &zeros[done..]);
        for (chunk, (out, scales)) in self.out[done..].iter_mut().zip(scales).enumerate() {
            let mut values = decoder.decode(l, &codes[chunk * decoder.bytes()..]);
            if let Some(zeros) = zeros {
                let zeros = &zeros[chunk];
                for (value, zero) in values.iter_mut().zip([0, 1, 2, 3].map(|vector| zeros[vector * N / 4])) {
                    *value = *value - l.splat(zero);
                }
            }
            for (value, scale) in values.iter_mut().zip([0, 1, 2, 3].map(|vector| scales[vector * N / 4])) {
                *value = *value * l.splat(scale);
            }
            if N == 2 && short && scales.iter().all(|&scale| is_power(scale)) {
                self.output.store_short(l, values, out);
            } else {
                self.output.store(l, values, out);
            }
        }
    }

    /// Blocks of any length.
    #[inline(always)]
    fn tiles<L: Lanes>(self, l: L, decoder: impl Decoder<L>)
    where
        O: Output<L, T>,
    {
        let mut scales = Scales::starting(self.blocks, self.at);
        let has_zeros = scales.has_zeros();
        for (tile, out) in self.out.chunks_mut(TILE).enumerate() {
            scales.next_tile(out.len());
            for (chunk, out) in out.iter_mut().enumerate() {
                let codes = &self.codes[(tile * TILE + chunk) * decoder.bytes()..];
                let mut values = decoder.decode(l, codes);
                for (i, value) in values.iter_mut().enumerate() {
                    let vector = 4 * chunk + i;
                    if has_zeros {
                        *value = *value - scales.zero(l, vector);
                    }
                    *value = *value * scales.scale(l, vector);
                }
                self.output.store(l, values, out);
            }
        }
    }
}

/// A power of two of which no code's value makes a number finer than bf16 has: not below 2^-133.
#[inline(always)]
fn is_power(scale: f32) -> bool {
    const LEAST: f32 = f32::from_bits(16 << (f32::MANTISSA_DIGITS - 1)); // 2^-111
    scale.to_bits() << (u32::BITS - f32::MANTISSA_DIGITS + 1) == 0 && scale.abs() >= LEAST
}
