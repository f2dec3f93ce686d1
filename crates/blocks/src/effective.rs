//! Stored scales and zero points as the numbers that kernels multiply with and subtract.
//!
//! ```text
//! effective scale = stored block scale [* or / tensor scale]      one f32 operation
//!                 = outer number * stored block scale             with super-blocks; one f32 operation
//! zero point      = the byte (Int), or a number stored as scales are (Float, Bias, and Min with its sign changed: it is added)
//! ```
//!
//! Blocks are named by their index over all matrices; which blocks some values have is the business of the grid.

use alloc::vec::Vec;
use core::ops::Range;

use lowbit_kernels::{Blocks, Element, Kernels};

use crate::format::{Format, Zero};
use crate::scale::{ScaleKind, TensorScale};
use crate::shape::Shape;

/// Scales and zero points as stored, with what is needed to find those of a tile.
#[derive(Clone, Copy)]
pub(crate) struct Stored<'a> {
    pub(crate) format: Format,
    pub(crate) shape: Shape,
    pub(crate) scales: &'a [u8],
    pub(crate) zeros: &'a [u8],
    pub(crate) tensor_scale: &'a TensorScale,
}

impl Stored<'_> {
    /// Effective scales of some blocks, counted over all matrices.
    pub(crate) fn scales_of(&self, matrix: usize, blocks: Range<usize>, out: &mut Vec<f32>) {
        out.resize(blocks.len(), 0.0);
        if self.format.scale.outer.count().is_some() {
            return self.format.scale.decode(
                self.of_matrix(self.scales, matrix),
                self.inside(matrix, blocks),
                out,
            );
        }
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

    /// The part of one matrix of what is stored for all, matrix after matrix.
    fn of_matrix<'b>(&self, stored: &'b [u8], matrix: usize) -> &'b [u8] {
        let len = stored.len() / self.shape.matrices.max(1);
        &stored[matrix * len..(matrix + 1) * len]
    }

    /// Blocks counted over all matrices, from the first of theirs.
    fn inside(&self, matrix: usize, blocks: Range<usize>) -> Range<usize> {
        let first = matrix * self.format.scales_per_matrix(self.shape);
        blocks.start - first..blocks.end - first
    }

    /// Asks for the scales and zero points of blocks that are read soon, as far as there are such blocks.
    pub(crate) fn prefetch(&self, blocks: Range<usize>) {
        let end = |len: usize, bytes: usize| len.min(bytes);
        let format = &self.format;
        let scales = format.scale_bytes(blocks.start)..end(self.scales.len(), format.scale_bytes(blocks.end));
        let zeros = format.zero_bytes(blocks.start)..end(self.zeros.len(), format.zero_bytes(blocks.end));
        for (stored, range) in [(self.scales, scales), (self.zeros, zeros)] {
            Kernels::best().prefetch(stored.get(range).unwrap_or(&[]));
        }
    }

    /// Zero points of some blocks, counted over all matrices; leaves `out` as it is where the format has none.
    pub(crate) fn zeros_of(&self, matrix: usize, blocks: Range<usize>, out: &mut Vec<f32>) {
        match self.format.zero {
            Zero::None => {}
            Zero::Int => {
                out.clear();
                out.extend(self.zeros[blocks].iter().map(|&zero| f32::from(zero)));
            }
            Zero::Float | Zero::Bias | Zero::Min => {
                out.resize(blocks.len(), 0.0);
                let (stored, blocks) = (self.of_matrix(self.zeros, matrix), self.inside(matrix, blocks));
                self.format.scale.decode(stored, blocks, out);
                if self.format.zero == Zero::Min {
                    out.iter_mut().for_each(|min| *min = -*min);
                }
            }
        }
    }
}
