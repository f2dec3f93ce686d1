//! `value = (value(code) - zero) * scale` over whole chunks.
//!
//! Blocks come in three shapes, and the first two have no code per value or vector that looks for its scale:
//!
//! ```text
//! one block, or blocks of whole chunks    one scale for a run of chunks; a table of values is scaled once per run
//! blocks of 16 or 32                      four or two scales for each chunk, read where they are
//! any other                               laid out tile by tile (scales.rs)
//! ```

use crate::int::IntDecoder;
use crate::lanes::{CHUNK, LANES, Lanes};
use crate::minifloat::{Layout, MinifloatDecoder};
use crate::scales::{Scales, TILE};
use crate::table::{NibbleDecoder, TableDecoder};
use crate::{Blocks, Element};

/// What a family of elements adds: the packed codes of a chunk to four vectors of values.
pub(crate) trait Decoder<L: Lanes>: Copy {
    /// Bytes that a chunk's codes take.
    fn bytes(self) -> usize;
    /// The values of a chunk, whose codes `codes` begins with; what follows may be read, too.
    fn decode(self, l: L, codes: &[u8]) -> [L::F; 4];
    /// The values of a chunk in a block of many chunks.
    #[inline(always)]
    fn in_block(self, l: L, block: Affine<L>) -> impl Fn(&[u8]) -> [L::F; 4] {
        #[inline(always)]
        move |codes| {
            let [a, b, c, d] = self.decode(l, codes);
            [block.apply(a), block.apply(b), block.apply(c), block.apply(d)]
        }
    }
}

/// What becomes of a code's value.
#[derive(Clone, Copy)]
pub(crate) struct Affine<L: Lanes> {
    zero: Option<L::F>,
    scale: L::F,
}

impl<L: Lanes> Affine<L> {
    #[inline(always)]
    pub(crate) fn apply(self, value: L::F) -> L::F {
        let value = match self.zero {
            Some(zero) => value - zero,
            None => value,
        };
        value * self.scale
    }
}

/// Chunks to decode, of which the first begins with value `at` of the blocks.
pub(crate) struct Chunks<'a> {
    /// `8 * e.bits()` bytes per chunk.
    pub(crate) codes: &'a [u8],
    pub(crate) blocks: Blocks<'a>,
    pub(crate) at: usize,
    pub(crate) out: &'a mut [[f32; CHUNK]],
}

/// Decodes chunks by the family of the element.
#[inline(always)]
pub(crate) fn decode<L: Lanes>(l: L, e: Element, chunks: Chunks<'_>) {
    let (bits, format) = (e.bits(), e.float_format());
    if bits == 4 {
        return chunks.decode(l, NibbleDecoder::new(l, e));
    }
    let is_byte = bits == 8 && format.is_none();
    let chunks = if is_byte { Some(chunks) } else { l.decode_natively(e, chunks) };
    let Some(chunks) = chunks else { return };
    match format {
        _ if is_byte => chunks.decode(l, IntDecoder::new(l, e)),
        _ if bits < 4 => chunks.decode(l, TableDecoder::new(l, e)),
        Some(format) => chunks.decode(l, MinifloatDecoder::new(l, Layout::of(format))),
        None => chunks.decode(l, IntDecoder::new(l, e)),
    }
}

impl Chunks<'_> {
    #[inline(always)]
    pub(crate) fn decode<L: Lanes>(self, l: L, decoder: impl Decoder<L>) {
        let Self { codes, blocks, at, out } = self;
        let Blocks { len, scales, zeros } = blocks;
        if scales.len() == 1 {
            return runs(l, decoder, codes, usize::MAX, scales, zeros, out);
        }
        let whole = at.is_multiple_of(len) && at + CHUNK * out.len() <= len * scales.len();
        let (scales, zeros) = (&scales[at / len..], zeros.map(|zeros| &zeros[at / len..]));
        match len {
            LANES if whole => few::<L, 4>(l, decoder, codes, scales, zeros, out),
            32 if whole => few::<L, 2>(l, decoder, codes, scales, zeros, out),
            _ if whole && len.is_multiple_of(CHUNK) => {
                runs(l, decoder, codes, len / CHUNK, scales, zeros, out);
            }
            _ => tiles(l, decoder, codes, Scales::starting(blocks, at), out),
        }
    }
}

/// Blocks of `run` chunks.
#[inline(always)]
fn runs<L: Lanes>(
    l: L,
    decoder: impl Decoder<L>,
    codes: &[u8],
    run: usize,
    scales: &[f32],
    zeros: Option<&[f32]>,
    out: &mut [[f32; CHUNK]],
) {
    let run = run.min(out.len());
    let bytes = decoder.bytes();
    for ((block, out), &scale) in out.chunks_mut(run).enumerate().zip(scales) {
        let zero = zeros.map(|zeros| l.splat(zeros[block]));
        let decode = decoder.in_block(l, Affine { zero, scale: l.splat(scale) });
        for (chunk, out) in out.iter_mut().enumerate() {
            store(l, decode(&codes[(block * run + chunk) * bytes..]), out);
        }
    }
}

/// `N` blocks per chunk.
#[inline(always)]
fn few<L: Lanes, const N: usize>(
    l: L,
    decoder: impl Decoder<L>,
    codes: &[u8],
    scales: &[f32],
    zeros: Option<&[f32]>,
    out: &mut [[f32; CHUNK]],
) {
    let scales = scales.as_chunks::<N>().0;
    let zeros = zeros.map(|zeros| zeros.as_chunks::<N>().0);
    for (i, (out, scales)) in out.iter_mut().zip(scales).enumerate() {
        let mut values = decoder.decode(l, &codes[i * decoder.bytes()..]);
        if let Some(zeros) = zeros {
            let zeros = &zeros[i];
            for (value, zero) in values.iter_mut().zip([0, 1, 2, 3].map(|vector| zeros[vector * N / 4])) {
                *value = *value - l.splat(zero);
            }
        }
        for (value, scale) in values.iter_mut().zip([0, 1, 2, 3].map(|vector| scales[vector * N / 4])) {
            *value = *value * l.splat(scale);
        }
        store(l, values, out);
    }
}

/// Blocks of any length.
#[inline(always)]
fn tiles<L: Lanes>(
    l: L,
    decoder: impl Decoder<L>,
    codes: &[u8],
    mut scales: Scales<'_>,
    out: &mut [[f32; CHUNK]],
) {
    let has_zeros = scales.has_zeros();
    for (tile, out) in out.chunks_mut(TILE).enumerate() {
        scales.next_tile(out.len());
        for (chunk, out) in out.iter_mut().enumerate() {
            let mut values = decoder.decode(l, &codes[(tile * TILE + chunk) * decoder.bytes()..]);
            for (i, value) in values.iter_mut().enumerate() {
                let vector = 4 * chunk + i;
                if has_zeros {
                    *value = *value - scales.zero(l, vector);
                }
                *value = *value * scales.scale(l, vector);
            }
            store(l, values, out);
        }
    }
}

#[inline(always)]
fn store<L: Lanes>(l: L, values: [L::F; 4], out: &mut [f32; CHUNK]) {
    for (value, out) in values.into_iter().zip(out.as_chunks_mut().0) {
        l.store(value, out);
    }
}
