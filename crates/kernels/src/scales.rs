//! The scale and zero point of one vector after the other.

use crate::Blocks;
use crate::lanes::{LANES, Lanes};

/// Walks along [`Blocks`] in steps of one vector.
///
/// Where every vector lies in one block (blocks of whole vectors, or a single one) that is a broadcast. Elsewhere each
/// lane gets the scale of its own block, which is slower and needed for odd block lengths only.
pub(crate) struct Scales<'a> {
    blocks: Blocks<'a>,
    /// The zero point of blocks that have none, one that changes no bit of what it is added to or subtracted from.
    no_zero: f32,
    whole_vectors: bool,
    block: usize,
    /// Values left in the block.
    left: usize,
}

impl<'a> Scales<'a> {
    /// From the first of `values` values on. Adding `-0.0` changes nothing, nor does subtracting `+0.0`.
    pub(crate) fn new(blocks: Blocks<'a>, values: usize, no_zero: f32) -> Self {
        let whole_vectors = blocks.len.is_multiple_of(LANES) || blocks.len >= values;
        Self { blocks, no_zero, whole_vectors, block: 0, left: blocks.len }
    }

    /// Scales and zero points of the next vector. Beyond the last value those of the last block are repeated.
    #[inline(always)]
    pub(crate) fn next<L: Lanes>(&mut self, l: L) -> (L::F, L::F) {
        if self.whole_vectors {
            let (scale, zero) = self.take(LANES);
            (l.splat(scale), l.splat(zero))
        } else {
            let (mut scales, mut zeros) = ([0.0; LANES], [0.0; LANES]);
            self.take_each(&mut scales, &mut zeros);
            (l.load(&scales), l.load(&zeros))
        }
    }

    #[inline(always)]
    fn take(&mut self, values: usize) -> (f32, f32) {
        let zero = self.blocks.zeros.map_or(self.no_zero, |zeros| zeros[self.block]);
        let scale = self.blocks.scales[self.block];
        self.left = self.left.saturating_sub(values);
        if self.left == 0 && self.block + 1 < self.blocks.scales.len() {
            self.block += 1;
            self.left = self.blocks.len;
        }
        (scale, zero)
    }

    #[inline(never)]
    fn take_each(&mut self, scales: &mut [f32; LANES], zeros: &mut [f32; LANES]) {
        for (scale, zero) in scales.iter_mut().zip(zeros) {
            (*scale, *zero) = self.take(1);
        }
    }
}
