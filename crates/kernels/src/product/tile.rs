//! Decoded weights on their way to a product: a tile that stays in the first cache.

use crate::decode::{AsF32, Chunks};
use crate::lanes::{CHUNK, Lanes};
use crate::level::{Level, on};
use crate::{Blocks, Element};

/// Values of a tile.
pub(super) const TILE: usize = 2048;

/// Up to [`TILE`] values, zeros from there to the end of a chunk.
pub(super) struct Tile([[f32; CHUNK]; TILE / CHUNK]);

impl Tile {
    pub(super) fn new() -> Self {
        Self([[0.0; CHUNK]; TILE / CHUNK])
    }

    /// Decodes `len` values, of which the first is value `at` of the blocks.
    pub(super) fn decode(
        &mut self,
        level: Level,
        e: Element,
        codes: &[u8],
        blocks: Blocks<'_>,
        at: usize,
        len: usize,
    ) -> &[[f32; CHUNK]] {
        let (whole, tail) = (len / CHUNK, len % CHUNK);
        let output = AsF32;
        if whole > 0 {
            let out = &mut self.0[..whole];
            level.decode(e, Chunks { codes, blocks, at, out, output });
        }
        if tail > 0 {
            let codes = &codes[e.packed_len(CHUNK * whole)..];
            let used = codes.len().min(CHUNK);
            let mut last = [0; CHUNK];
            last[..used].copy_from_slice(&codes[..used]);
            let out = &mut self.0[whole..=whole];
            level.decode(e, Chunks { codes: &last, blocks, at: at + CHUNK * whole, out, output });
            // What padding decodes to is not a number if its scale is not.
            self.0[whole][tail..].fill(0.0);
        }
        &self.0[..len.div_ceil(CHUNK)]
    }

    /// Numbers as they are.
    pub(super) fn copy(&mut self, values: &[f32]) -> &[[f32; CHUNK]] {
        let (len, tile) = (values.len(), self.0.as_flattened_mut());
        tile[..len].copy_from_slice(values);
        tile[len..len.next_multiple_of(CHUNK)].fill(0.0);
        &self.0[..len.div_ceil(CHUNK)]
    }

    /// All of it.
    pub(super) fn values(&self) -> &[f32] {
        self.0.as_flattened()
    }

    /// Integers times their step.
    pub(super) fn widen(&mut self, level: Level, codes: &[[i8; CHUNK]], step: f32) -> &[[f32; CHUNK]] {
        on!(level, l => widen_steps(l, codes, step, &mut self.0));
        &self.0[..codes.len()]
    }
}

/// Integers times their step.
#[inline(always)]
fn widen_steps<L: Lanes>(_: L, codes: &[[i8; CHUNK]], step: f32, out: &mut [[f32; CHUNK]]) {
    // The compiler vectorises this for the level.
    for (out, codes) in out.iter_mut().zip(codes) {
        for (out, code) in out.iter_mut().zip(codes) {
            *out = f32::from(*code) * step;
        }
    }
}
