//! `code = RNE(x / scale + zero)` over whole chunks: divide, hand the quotients to the element's encoder, pack.
//!
//! ```text
//! one block, or blocks of whole chunks    one scale for a run of chunks
//! blocks of 16 or 32                      four or two scales for each chunk, read where they are
//! any other                               laid out tile by tile (scales.rs)
//! ```
//!
//! Encoders may take a NaN for a number, whatever comes out: each chunk is asked once whether it holds one, and the few that do
//! get the codes of their NaNs put right.

use crate::codes::pack;
use crate::int::IntEncoder;
use crate::lanes::{CHUNK, LANES, LINE, Lanes};
use crate::minifloat::{Layout, MinifloatEncoder};
use crate::scales::{Scales, TILE};
use crate::table::TableEncoder;
use crate::{Blocks, Element};

/// What a family of elements adds: the quotients of a chunk to its codes, one a byte, in the level's own order of bytes.
pub(crate) trait Encoder<L: Lanes>: Copy {
    /// What becomes of a NaN does not matter.
    fn encode(self, l: L, x: [L::F; 4]) -> L::B;
}

/// Chunks to encode, of which the first begins with value `at` of the blocks; `codes` is `8 * e.bits()` bytes per chunk.
pub(crate) struct Chunks<'a> {
    pub(crate) x: &'a [[f32; CHUNK]],
    pub(crate) blocks: Blocks<'a>,
    pub(crate) at: usize,
    pub(crate) codes: &'a mut [u8],
    /// What to bring into the cache meanwhile.
    pub(crate) next: &'a [u8],
}

#[inline(always)]
pub(crate) fn encode<L: Lanes>(l: L, e: Element, chunks: Chunks<'_>) {
    let Some(chunks) = l.encode_natively(e, chunks) else { return };
    match e.float_format() {
        Some(format) => chunks.encode(l, e, MinifloatEncoder::new(l, Layout::of(format))),
        None if matches!(e, Element::Nf4 | Element::Fp4) => chunks.encode(l, e, TableEncoder::new(e)),
        None => chunks.encode(l, e, IntEncoder::new(l, e)),
    }
}

impl Chunks<'_> {
    #[inline(always)]
    pub(crate) fn encode<L: Lanes>(self, l: L, e: Element, encoder: impl Encoder<L>) {
        let Self { x, blocks, at, codes, next } = self;
        let Blocks { len, scales, zeros } = blocks;
        let one = One { encoder, bits: e.bits(), nan: nan_code(e) };
        let whole = at.is_multiple_of(len) && at + CHUNK * x.len() <= len.saturating_mul(scales.len());
        let (per_chunk, run) = match len {
            _ if scales.len() == 1 => (1, x.len()),
            LANES if whole => (4, 1),
            32 if whole => (2, 1),
            _ if whole && len.is_multiple_of(CHUNK) => (1, len / CHUNK),
            _ => return tiles(l, one, x, Scales::starting(blocks, at), codes),
        };
        let first = if scales.len() == 1 { 0 } else { at / len };
        let blocks = Blocks { len, scales: &scales[first..], zeros: zeros.map(|zeros| &zeros[first..]) };
        runs(l, one, x, blocks, (per_chunk, run), codes, next);
    }
}

/// Looked up: computing it takes as long as a chunk.
fn nan_code(e: Element) -> u8 {
    match e.float_format() {
        Some(format) => format.nan_code().unwrap_or(0),
        None => e.encode_one(f32::NAN),
    }
}

/// Blocks that leave each vector one scale: `per_chunk` of them for each run of chunks.
#[inline(always)]
fn runs<L: Lanes>(
    l: L,
    one: One<impl Encoder<L>>,
    x: &[[f32; CHUNK]],
    Blocks { scales, zeros, .. }: Blocks<'_>,
    (per_chunk, run): (usize, usize),
    codes: &mut [u8],
    next: &[u8],
) {
    let mut codes = codes;
    let mut ahead = next.as_chunks::<{ 4 * LINE }>().0.iter();
    let of_vectors = |values: &[f32], block: usize| {
        let values = &values[block * per_chunk..][..per_chunk];
        [0, 1, 2, 3].map(|vector| values[vector * per_chunk / 4])
    };
    for (block, x) in x.chunks(run).enumerate() {
        let scales = of_vectors(scales, block);
        let zeros = zeros.map(|zeros| of_vectors(zeros, block));
        for x in x {
            let mut quotients = [l.splat(0.0); 4];
            for (i, (x, quotient)) in x.as_chunks().0.iter().zip(&mut quotients).enumerate() {
                *quotient = l.load(x) / l.splat(scales[i]);
                if let Some(zeros) = zeros {
                    *quotient = *quotient + l.splat(zeros[i]);
                }
            }
            codes = one.encode(l, quotients, codes);
            if let Some(lines) = ahead.next() {
                lines.as_chunks::<LINE>().0.iter().for_each(
                    #[inline(always)]
                    |line| l.prefetch(&line[0]),
                );
            }
        }
    }
}

/// Blocks of any length.
#[inline(always)]
fn tiles<L: Lanes>(
    l: L,
    one: One<impl Encoder<L>>,
    x: &[[f32; CHUNK]],
    mut scales: Scales<'_>,
    codes: &mut [u8],
) {
    let mut codes = codes;
    let has_zeros = scales.has_zeros();
    for x in x.chunks(TILE) {
        scales.next_tile(x.len());
        for (chunk, x) in x.iter().enumerate() {
            let mut quotients = [l.splat(0.0); 4];
            for (i, (x, quotient)) in x.as_chunks().0.iter().zip(&mut quotients).enumerate() {
                let vector = 4 * chunk + i;
                *quotient = l.load(x) / scales.scale(l, vector);
                if has_zeros {
                    *quotient = *quotient + scales.zero(l, vector);
                }
            }
            codes = one.encode(l, quotients, codes);
        }
    }
}

/// One chunk at a time.
#[derive(Clone, Copy)]
struct One<E> {
    encoder: E,
    bits: u32,
    nan: u8,
}

impl<E> One<E> {
    /// Writes the codes of a chunk; returns what is left of `out`.
    #[inline(always)]
    fn encode<L: Lanes>(self, l: L, x: [L::F; 4], out: &mut [u8]) -> &mut [u8]
    where
        E: Encoder<L>,
    {
        let mut codes = self.encoder.encode(l, x);
        if l.any_nan(x) {
            codes = replace_nan(l, x, codes, self.nan);
        }
        pack(l, self.bits, l.in_order(codes), out);
        &mut out[CHUNK / 8 * self.bits as usize..]
    }
}

/// The code of NaN where `x` is one.
#[inline(always)]
fn replace_nan<L: Lanes>(l: L, x: [L::F; 4], codes: L::B, nan: u8) -> L::B {
    let (magnitude, infinity) = (l.splat_bits(u32::MAX >> 1), l.splat_bits(f32::INFINITY.to_bits()));
    let mut is_nan = [l.splat_bits(0); 4];
    for (is_nan, x) in is_nan.iter_mut().zip(x) {
        *is_nan = l.select(l.gt(l.bits(x) & magnitude, infinity), l.splat_bits(u32::MAX), *is_nan);
    }
    // codes ^ (codes ^ nan) is nan.
    let change = l.xor_bytes(codes, l.splat_byte(nan));
    l.xor_bytes(codes, l.and_bytes(change, l.bytes_at(is_nan, 0)))
}
