//! The kernels of encoding, decoding, maxima and conversions, compiled for each level.
//!
//! Which codec an element has at which level, whatever the blocks; scales are f32, and zero points are f32 or none:
//!
//! ```text
//! encode                       wide, sse, neon, wasm         avx2                       avx512
//! E2M1                         minifloat: the adder rounds   quarters of binades        quarters of binades
//! other floats                 minifloat                     minifloat, 32 at a time    minifloat
//! NF4, FP4                     search among cuts             search by vpermps          cells with one cut each
//! E3M0                         exponents rounded             exponents rounded          exponents rounded
//! integers, MXINT8             int: the adder rounds         int                        int
//!
//! decode
//! any 4 bits                   lookup (NibbleDecoder)        vpermps                    vpermps
//! E3M2, E2M3, FP8 with a sign  minifloat: shifts             by way of f16              two bytes looked up
//! UE5M3                        minifloat                     minifloat                  minifloat
//! INT and UINT of 1-3, 5-7     int                           int                        two bytes looked up
//! INT8, UINT8, MXINT8          int                           int                        int
//! ```
//!
//! Which loop blocks have, whatever the element:
//!
//! ```text
//! blocks                       encode/chunks.rs              decode/chunks.rs           wide, sse
//! one, or of whole chunks      runs                          runs, tables scaled once   runs; tiles
//! of 16: four in a chunk       short::<4>                    few::<4>                   runs; tiles
//! of 32: two in a chunk        short::<2>, powers of two by  few::<2>, bf16 cut off     runs; tiles
//!                              their reciprocals             under powers of two
//! any other                    tiles                         tiles                      tiles
//! ```
//!
//! Values are decoded to f32. f16 and bf16 are narrowed in registers with AVX-512, and elsewhere from the first cache.

use crate::decode::{AsBf16, AsF16, AsF32, Chunks, Decode, Streamed};
use crate::encode::{self, Encode};
use crate::lanes::{CHUNK, LANES};
use crate::level::{Level, on};
use crate::widen::{Half, PAIR};
use crate::{Element, absmax, distances, widen};

impl Level {
    pub(crate) fn absmax(self, x: &[f32], block: usize, out: &mut [f32]) {
        on!(self, l => absmax::absmax(l, x, block, out))
    }

    /// Widens halves by `widen` and finds the largest magnitude of some blocks meanwhile; how many, it says. None where code would be large.
    pub(crate) fn widen_absmax(
        self,
        half: Half,
        x: &[u16],
        block: usize,
        wide: &mut [f32],
        out: &mut [f32],
    ) -> usize {
        if block != LANES && !block.is_multiple_of(PAIR) {
            return 0;
        }
        on!(self, l => absmax::widened(l, half, x, block, wide, out))
    }

    pub(crate) fn widen_halves(self, half: Half, x: &[[u16; PAIR]], out: &mut [[f32; PAIR]]) {
        match half {
            Half::F16 => on!(self, l => widen::widen_f16(l, x, out)),
            Half::Bf16 => on!(self, l => widen::widen_bf16(l, x, out)),
        }
    }

    pub(crate) fn min_max(self, x: &[f32], block: usize, min: &mut [f32], max: &mut [f32]) {
        on!(self, l => absmax::min_max(l, x, block, min, max))
    }

    pub(crate) fn magnitude_range(self, x: &[[f32; LANES]]) -> (u32, u32) {
        on!(self, l => absmax::magnitude_range(l, x))
    }

    pub(crate) fn first_non_finite(self, x: &[[f32; CHUNK]]) -> Option<usize> {
        on!(self, l => absmax::first_non_finite(l, x))
    }

    pub(crate) fn e2m1_errors(
        self,
        x: &[[f32; LANES]],
        weights: Option<&[[f32; LANES]]>,
        scales: &[[f32; LANES]],
        errors: &mut [[f32; LANES]],
    ) {
        on!(self, l => distances::e2m1(l, x, weights, scales, errors))
    }

    pub(crate) fn encode(self, e: Element, chunks: encode::Chunks<'_>) {
        on!(self, l => l.encode(e, chunks))
    }

    pub(crate) fn decode(self, e: Element, chunks: Chunks<'_, f32, AsF32>) {
        on!(self, l => l.decode(e, chunks))
    }

    pub(crate) fn decode_streaming(self, e: Element, chunks: Chunks<'_, f32, Streamed>) {
        on!(self, l => l.decode(e, chunks))
    }

    /// Where it pays, values are narrowed in registers; elsewhere, where code would be large, tile by tile.
    pub(crate) fn decode_f16(self, e: Element, chunks: Chunks<'_, u16, AsF16>) {
        let done: Result<(), Chunks<'_, u16, AsF16>> = on!(self, l => l.decode_narrowed(e, chunks));
        if let Err(chunks) = done {
            self.decode_tiles(e, chunks, |x, out| {
                self.narrow_f16(x.as_flattened().as_chunks().0, out.as_flattened_mut().as_chunks_mut().0);
            });
        }
    }

    /// Like [`decode_f16`](Self::decode_f16).
    pub(crate) fn decode_bf16(self, e: Element, chunks: Chunks<'_, u16, AsBf16>) {
        let done: Result<(), Chunks<'_, u16, AsBf16>> = on!(self, l => l.decode_narrowed(e, chunks));
        if let Err(chunks) = done {
            self.decode_tiles(e, chunks, |x, out| self.narrow_bf16(x, out));
        }
    }

    /// Decodes to f32 in the first-level cache and narrows from there.
    fn decode_tiles<O>(
        self,
        e: Element,
        chunks: Chunks<'_, u16, O>,
        narrow: impl Fn(&[[f32; CHUNK]], &mut [[u16; CHUNK]]),
    ) {
        const TILE: usize = 16;
        let bytes = CHUNK / 8 * e.bits() as usize;
        let mut wide = [[0.0; CHUNK]; TILE];
        for (tile, out) in chunks.out.chunks_mut(TILE).enumerate() {
            let wide = &mut wide[..out.len()];
            let (codes, at) = (&chunks.codes[tile * TILE * bytes..], chunks.at + tile * TILE * CHUNK);
            self.decode(e, Chunks { codes, blocks: chunks.blocks, at, out: wide, output: AsF32 });
            narrow(wide, out);
        }
    }

    pub(crate) fn widen_e8m0(self, x: &[[u8; CHUNK]], out: &mut [[f32; CHUNK]]) {
        on!(self, l => widen::widen_e8m0(l, x, out))
    }

    pub(crate) fn divide(self, x: &mut [[f32; CHUNK]], by: f32) {
        on!(self, l => widen::divide(l, x, by))
    }

    pub(crate) fn narrow_f16(self, x: &[[f32; PAIR]], out: &mut [[u16; PAIR]]) {
        on!(self, l => widen::narrow_f16(l, x, out))
    }

    pub(crate) fn narrow_bf16(self, x: &[[f32; CHUNK]], out: &mut [[u16; CHUNK]]) {
        on!(self, l => widen::narrow_bf16(l, x, out))
    }
}
