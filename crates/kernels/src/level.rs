//! The SIMD levels, and the one place where a kernel is compiled for each of them.

use crate::chunks::Chunks;
use crate::lanes::{CHUNK, LANES, Lanes};
#[cfg(all(feature = "streaming", target_arch = "x86_64"))]
use crate::output::Streamed;
use crate::output::{AsBf16, AsF16, AsF32};
use crate::widen::{Half, PAIR};
use crate::{Element, absmax, decode, distances, encode, widen};
#[cfg(all(feature = "std", target_arch = "aarch64"))]
use fearless_simd::aarch64::Neon;
#[cfg(all(feature = "std", target_arch = "wasm32", target_feature = "simd128"))]
use fearless_simd::wasm32::WasmSimd128;
#[cfg(all(feature = "std", any(target_arch = "x86", target_arch = "x86_64")))]
use fearless_simd::x86::{Avx2, Avx512, Sse4_2};

/// A level other than the reference. The tokens are proof that the machine has it.
///
/// There is no SSE2 level: `wide` is that on x86-64, where every CPU has it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Level {
    Wide,
    #[cfg(all(feature = "std", any(target_arch = "x86", target_arch = "x86_64")))]
    Sse4_2(Sse4_2),
    #[cfg(all(feature = "std", any(target_arch = "x86", target_arch = "x86_64")))]
    Avx2(Avx2),
    #[cfg(all(feature = "std", any(target_arch = "x86", target_arch = "x86_64")))]
    Avx512(Avx512),
    #[cfg(all(feature = "std", target_arch = "aarch64"))]
    Neon(Neon),
    #[cfg(all(feature = "std", target_arch = "wasm32", target_feature = "simd128"))]
    Wasm(WasmSimd128),
}

/// `$call` with `$l` standing for the level's lanes, compiled for its instructions.
macro_rules! on {
    ($level:expr, $l:ident => $call:expr) => {
        match $level {
            Level::Wide => on!(@ $crate::lanes::Wide, $l => $call),
            #[cfg(all(feature = "std", any(target_arch = "x86", target_arch = "x86_64")))]
            Level::Sse4_2(token) => on!(@ $crate::lanes::Simd(token), $l => $call),
            #[cfg(all(feature = "std", any(target_arch = "x86", target_arch = "x86_64")))]
            Level::Avx2(token) => on!(@ $crate::lanes::Simd(token), $l => $call),
            #[cfg(all(feature = "std", any(target_arch = "x86", target_arch = "x86_64")))]
            Level::Avx512(token) => on!(@ $crate::lanes::Simd(token), $l => $call),
            #[cfg(all(feature = "std", target_arch = "aarch64"))]
            Level::Neon(token) => on!(@ $crate::lanes::Simd(token), $l => $call),
            #[cfg(all(feature = "std", target_arch = "wasm32", target_feature = "simd128"))]
            Level::Wasm(token) => on!(@ $crate::lanes::Simd(token), $l => $call),
        }
    };
    (@ $lanes:expr, $l:ident => $call:expr) => {{
        let $l = $lanes;
        $crate::lanes::Lanes::vectorize(
            $l,
            #[inline(always)]
            || $call,
        )
    }};
}

pub(crate) use on;

impl Level {
    /// The levels of this machine, the slowest first.
    pub(crate) fn available() -> impl Iterator<Item = Self> {
        #[cfg(feature = "std")]
        let found = {
            let detected = fearless_simd::Level::new();
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            let found = [
                detected.as_sse4_2().map(Level::Sse4_2),
                detected.as_avx2().map(Level::Avx2),
                detected.as_avx512().map(Level::Avx512),
            ];
            #[cfg(target_arch = "aarch64")]
            let found = [detected.as_neon().map(Level::Neon)];
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            let found = [detected.as_wasm_simd128().map(Level::Wasm)];
            #[cfg(not(any(
                target_arch = "x86",
                target_arch = "x86_64",
                target_arch = "aarch64",
                all(target_arch = "wasm32", target_feature = "simd128")
            )))]
            let found = {
                let _ = detected;
                [None; 0]
            };
            found
        };
        #[cfg(not(feature = "std"))]
        let found = [None; 0];
        core::iter::once(Level::Wide).chain(found.into_iter().flatten())
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Level::Wide => "wide",
            #[cfg(all(feature = "std", any(target_arch = "x86", target_arch = "x86_64")))]
            Level::Sse4_2(_) => "sse4.2",
            #[cfg(all(feature = "std", any(target_arch = "x86", target_arch = "x86_64")))]
            Level::Avx2(_) => "avx2",
            #[cfg(all(feature = "std", any(target_arch = "x86", target_arch = "x86_64")))]
            Level::Avx512(_) => "avx512",
            #[cfg(all(feature = "std", target_arch = "aarch64"))]
            Level::Neon(_) => "neon",
            #[cfg(all(feature = "std", target_arch = "wasm32", target_feature = "simd128"))]
            Level::Wasm(_) => "wasm",
        }
    }

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
        on!(self, l => if l.is_compact() { 0 } else { absmax::widened(l, half, x, block, wide, out) })
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
        on!(self, l => encode::encode(l, e, chunks))
    }

    pub(crate) fn decode(self, e: Element, chunks: Chunks<'_, f32, AsF32>) {
        on!(self, l => decode::decode(l, e, chunks))
    }

    #[cfg(all(feature = "streaming", target_arch = "x86_64"))]
    pub(crate) fn decode_streaming(self, e: Element, chunks: Chunks<'_, f32, Streamed>) {
        on!(self, l => decode::decode(l, e, chunks))
    }

    /// Where it pays, values are narrowed in registers; elsewhere, where code would be large, tile by tile.
    pub(crate) fn decode_f16(self, e: Element, chunks: Chunks<'_, u16, AsF16>) {
        match self {
            #[cfg(all(feature = "std", any(target_arch = "x86", target_arch = "x86_64")))]
            Level::Avx512(token) => on!(@ crate::lanes::Simd(token), l => decode::decode(l, e, chunks)),
            _ => self.decode_tiles(e, chunks, |x, out| {
                self.narrow_f16(x.as_flattened().as_chunks().0, out.as_flattened_mut().as_chunks_mut().0);
            }),
        }
    }

    /// Like [`decode_f16`](Self::decode_f16).
    pub(crate) fn decode_bf16(self, e: Element, chunks: Chunks<'_, u16, AsBf16>) {
        match self {
            #[cfg(all(feature = "std", any(target_arch = "x86", target_arch = "x86_64")))]
            Level::Avx512(token) => on!(@ crate::lanes::Simd(token), l => decode::decode(l, e, chunks)),
            _ => self.decode_tiles(e, chunks, |x, out| self.narrow_bf16(x, out)),
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
