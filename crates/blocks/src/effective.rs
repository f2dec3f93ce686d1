//! Effective scales and zero points: the numbers that kernels multiply by and subtract.
//!
//! ```text
//! effective scale = stored block scale [* or / tensor scale]      one f32 operation
//!                 = outer number * stored block scale             with super-blocks; one f32 operation
//! zero point      = the byte (Int), or a number of the scale's type (Float, Bias);
//!                   for Min with its sign changed, since it is added
//! ```
//!
//! Blocks are given by their index over all matrices. The grid knows the blocks of a value.

use alloc::vec::Vec;
use core::ops::Range;

use lowbit_kernels::{Blocks, Element, Kernels};

use crate::format::{Format, Zero};
use crate::scale::{ScaleKind, TensorScale};
use crate::shape::Shape;

/// Stored scales and zero points, with everything needed to compute the effective ones.
#[derive(Clone, Copy)]
pub(crate) struct Stored<'a> {
    pub(crate) format: Format,
    pub(crate) shape: Shape,
    pub(crate) scales: &'a [u8],
    pub(crate) zeros: &'a [u8],
    pub(crate) tensor_scale: &'a TensorScale,
}

impl Stored<'_> {
    /// The effective scales of some blocks of one matrix.
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
            // E4M3 scales are E4M3 codes, so decoding them with a scale computes the product.
            (ScaleKind::E4m3, TensorScale::Multiply(of)) if !out.is_empty() => {
                Kernels::best().decode(Element::E4m3, stored, Blocks::whole(&of[matrix]), out);
            }
            _ => {
                self.format.scale.kind.decode_into(stored, out);
                self.tensor_scale.apply(matrix, out);
            }
        }
    }

    /// The bytes of one matrix in `stored`, which holds those of all matrices.
    fn of_matrix<'b>(&self, stored: &'b [u8], matrix: usize) -> &'b [u8] {
        let len = stored.len() / self.shape.matrices.max(1);
        &stored[matrix * len..(matrix + 1) * len]
    }

    /// Converts block indices over all matrices to indices within one matrix.
    fn inside(&self, matrix: usize, blocks: Range<usize>) -> Range<usize> {
        let first = matrix * self.format.scales_per_matrix(self.shape);
        blocks.start - first..blocks.end - first
    }

    /// Prefetches the scales and zero points of blocks, as far as these exist.
    pub(crate) fn prefetch(&self, blocks: Range<usize>) {
        let end = |len: usize, bytes: usize| len.min(bytes);
        let format = &self.format;
        let scales = format.scale_bytes(blocks.start)..end(self.scales.len(), format.scale_bytes(blocks.end));
        let zeros = format.zero_bytes(blocks.start)..end(self.zeros.len(), format.zero_bytes(blocks.end));
        for (stored, range) in [(self.scales, scales), (self.zeros, zeros)] {
            Kernels::best().prefetch(stored.get(range).unwrap_or(&[]));
        }
    }

    /// The zero points of some blocks, counted over all matrices. `out` is unchanged if the format
    /// has none.
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
