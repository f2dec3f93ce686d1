//! The scales and zero points of one tile after the other, laid out so that a vector finds its own at once.

use crate::Blocks;
use crate::lanes::{CHUNK, LANES, Lanes};

/// Chunks whose scales are laid out together.
pub(crate) const TILE: usize = 4;

/// Walks along [`Blocks`] in tiles.
///
/// Where every vector lies in one block (blocks of whole vectors, or a single one) there is one entry per vector, which is
/// broadcast. Elsewhere there is one per value, which takes longer and is needed for odd block lengths only. This is
/// scalar code, and it is compiled once, not once per level.
pub(crate) struct Scales<'a> {
    blocks: Blocks<'a>,
    /// One entry per vector, not one per value.
    per_vector: bool,
    /// Entries per block.
    run: usize,
    block: usize,
    /// Entries left in the block.
    left: usize,
    scales: [f32; TILE * CHUNK],
    zeros: [f32; TILE * CHUNK],
}

impl<'a> Scales<'a> {
    /// From the first of `values` values on.
    pub(crate) fn new(blocks: Blocks<'a>, values: usize) -> Self {
        let per_vector = blocks.len.is_multiple_of(LANES) || blocks.len >= values;
        let run = if per_vector { blocks.len.div_ceil(LANES) } else { blocks.len };
        let [scales, zeros] = [[0.0; TILE * CHUNK]; 2];
        Self { blocks, per_vector, run, block: 0, left: run, scales, zeros }
    }

    /// From value `at` on, which begins a chunk, of blocks of which there are several.
    pub(crate) fn starting(blocks: Blocks<'a>, at: usize) -> Self {
        let this = Self::new(blocks, usize::MAX);
        let inside = at % blocks.len / if this.per_vector { LANES } else { 1 };
        Self { block: at / blocks.len, left: this.run - inside, ..this }
    }

    /// Lays out the next `chunks` chunks.
    #[inline(never)]
    pub(crate) fn next_tile(&mut self, chunks: usize) {
        let entries = chunks * if self.per_vector { CHUNK / LANES } else { CHUNK };
        let Blocks { scales, zeros, .. } = self.blocks;
        if let Some(zeros) = zeros {
            spread(zeros, self.block, self.left, self.run, &mut self.zeros[..entries]);
        }
        (self.block, self.left) =
            spread(scales, self.block, self.left, self.run, &mut self.scales[..entries]);
    }

    /// The scales of a vector of the tile.
    #[inline(always)]
    pub(crate) fn scale<L: Lanes>(&self, l: L, vector: usize) -> L::F {
        if self.per_vector {
            l.splat(self.scales[vector])
        } else {
            l.load(&self.scales.as_chunks().0[vector])
        }
    }

    /// The zero points of a vector of the tile.
    #[inline(always)]
    pub(crate) fn zero<L: Lanes>(&self, l: L, vector: usize) -> L::F {
        if self.per_vector { l.splat(self.zeros[vector]) } else { l.load(&self.zeros.as_chunks().0[vector]) }
    }

    pub(crate) fn has_zeros(&self) -> bool {
        self.blocks.zeros.is_some()
    }
}

/// Repeats each value `run` times, the one at `block` only `left` times, the last one as often as need be.
/// Returns block and left for what comes next.
#[inline(always)]
fn spread(values: &[f32], mut block: usize, mut left: usize, run: usize, out: &mut [f32]) -> (usize, usize) {
    let count = out.len() / run.max(1);
    if left == run && out.len() == count * run && block + count < values.len() {
        // The common case, a tile of whole blocks, without looking at each.
        let values = &values[block..][..count];
        match run {
            1 => out.copy_from_slice(values),
            2 => repeat::<2>(values, out),
            4 => repeat::<4>(values, out),
            _ => {
                for (&value, out) in values.iter().zip(out.chunks_exact_mut(run)) {
                    out.fill(value);
                }
            }
        }
        return (block + count, run);
    }
    let mut rest = out;
    while !rest.is_empty() {
        let (now, later) = rest.split_at_mut(left.min(rest.len()));
        now.fill(values[block]);
        left -= now.len();
        if left == 0 {
            let is_last = block + 1 == values.len();
            (block, left) = if is_last { (block, later.len().max(1)) } else { (block + 1, run) };
        }
        rest = later;
    }
    (block, left)
}

/// Each value `N` times.
#[inline(always)]
pub(crate) fn repeat<const N: usize>(values: &[f32], out: &mut [f32]) {
    for (&value, out) in values.iter().zip(out.as_chunks_mut::<N>().0) {
        *out = [value; N];
    }
}
