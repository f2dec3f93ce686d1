//! Stored scales and zero points as the numbers that kernels multiply with and subtract.
//!
//! ```text
//! effective scale = stored block scale [* or / tensor scale]      one f32 operation
//! zero point      = the byte (Int), or the number in the scale's type (Float, Bias)
//! ```
//!
//! Blocks are named by their index over all matrices; which blocks some values have is the business of the grid.

use alloc::vec::Vec;
use core::ops::Range;

use lowbit_kernels::{Blocks, Element, Kernels};

use crate::format::{Format, Zero};
use crate::scale::{ScaleKind, TensorScale};

/// Scales and zero points as stored, with what is needed to find those of a tile.
#[derive(Clone, Copy)]
pub(crate) struct Stored<'a> {
    pub(crate) format: Format,
    pub(crate) scales: &'a [u8],
    pub(crate) zeros: &'a [u8],
    pub(crate) tensor_scale: &'a TensorScale,
}

impl Stored<'_> {
    /// Effective scales of some blocks, counted over all matrices.
    pub(crate) fn scales_of(&self, matrix: usize, blocks: Range<usize>, out: &mut Vec<f32>) {
        out.resize(blocks.len(), 0.0);
        let bytes = self.format.scale.kind.bytes();
        let stored = &self.scales[blocks.start * bytes..blocks.end * bytes];
        match (self.format.scale.kind, self.tensor_scale) {
            // E4M3 scales are codes like any other, and a product with a scale is what decoding them is.
            (ScaleKind::E4m3, TensorScale::Multiply(of)) if !out.is_empty() => {
                Kernels::best().decode(Element::E4m3, stored, Blocks::whole(&of[matrix]), out);
            }
            _ => {
                self.format.scale.kind.decode_into(stored, out);
                self.tensor_scale.apply(matrix, out);
            }
        }
    }

    /// Asks for the scales and zero points of blocks that are read soon, as far as there are such blocks.
    pub(crate) fn prefetch(&self, blocks: Range<usize>) {
        let lists = [(self.scales, self.format.scale.kind.bytes()), (self.zeros, self.format.zero_bytes())];
        for (stored, bytes) in lists {
            let end = stored.len().min(blocks.end * bytes);
            Kernels::best().prefetch(stored.get(blocks.start * bytes..end).unwrap_or(&[]));
        }
    }

    /// Zero points of some blocks, counted over all matrices; leaves `out` as it is where the format has none.
    pub(crate) fn zeros_of(&self, blocks: Range<usize>, out: &mut Vec<f32>) {
        let bytes = self.format.zero_bytes();
        let stored = &self.zeros[blocks.start * bytes..blocks.end * bytes];
        match self.format.zero {
            Zero::None => {}
            Zero::Int => {
                out.clear();
                out.extend(stored.iter().map(|&zero| f32::from(zero)));
            }
            Zero::Float | Zero::Bias => {
                out.resize(blocks.len(), 0.0);
                self.format.scale.kind.decode_into(stored, out);
            }
        }
    }
}
