//! Scales that keep their values, perhaps in another type or for smaller blocks. This is the most
//! common case, and is handled in bulk.
//!
//! ```text
//! one byte each      a table of 256 entries per tile
//! others             encoded in bulk, decoded again, and compared
//! ```

use alloc::vec;
use alloc::vec::Vec;

use super::powers::{holds, power, same, shifted};
use super::route::OuterChange;
use super::source::SourceRows;
use crate::scale::ScaleKind;

impl SourceRows<'_> {
    /// The target's scales, if each is the source's divided by `2^exponent` and no code has to be
    /// shifted; otherwise `None`.
    pub(super) fn kept_scales(&self, exponent: i32) -> Option<Vec<u8>> {
        let levels = (self.route.from.scale, self.route.to.scale);
        let (from, to) = (levels.0.kind, levels.1.kind);
        if !self.straight {
            return None;
        }
        if levels.1.outer.count().is_some() {
            // `Route::new` has checked that the source has the same levels.
            return Some(self.part.scales.to_vec());
        }
        let one_level = levels.0.outer.count().is_none();
        let bytes = if from.bytes() == 1 && one_level && self.route.outer != OuterChange::Folded {
            let table = table(from, to, exponent);
            let mut bytes = Vec::with_capacity(self.scales.len() * to.bytes());
            for &byte in self.part.scales {
                bytes.extend_from_slice(&table[usize::from(byte)]?[..to.bytes()]);
            }
            bytes
        } else {
            encoded(to, &self.scales, exponent)?
        };
        Some(self.spread(&bytes, to.bytes()))
    }

    /// Repeats the bytes of each block of the source, `size` each, for all blocks of the target in
    /// it.
    fn spread(&self, bytes: &[u8], size: usize) -> Vec<u8> {
        if self.route.from.block == self.route.to.block {
            return bytes.to_vec();
        }
        match size {
            1 => self.spread_of::<1>(bytes),
            2 => self.spread_of::<2>(bytes),
            _ => self.spread_of::<4>(bytes),
        }
    }

    fn spread_of<const N: usize>(&self, bytes: &[u8]) -> Vec<u8> {
        let (sources, _) = bytes.as_chunks::<N>();
        // A block without values is in no overlap; it stores an arbitrary scale.
        let first = sources.first().copied().unwrap_or([0; N]);
        let mut targets = vec![first; self.route.to.scales_per_matrix(self.shape)];
        self.overlaps(0..self.shape.rows, |overlap| targets[overlap.target] = sources[overlap.source]);
        targets.into_flattened()
    }
}

/// The target's scale bytes for each scale byte of the source.
fn table(from: ScaleKind, to: ScaleKind, exponent: i32) -> [Option<[u8; 4]>; 256] {
    core::array::from_fn(|byte| {
        let mut scale = [0.0];
        from.decode_into(&[byte as u8], &mut scale);
        shifted(scale[0], -exponent).filter(|&lowered| holds(to, lowered)).map(|lowered| to.encode(lowered))
    })
}

fn encoded(to: ScaleKind, scales: &[f32], exponent: i32) -> Option<Vec<u8>> {
    let (down, up) = (power(-exponent), power(exponent));
    let lowered: Vec<f32> = scales.iter().map(|scale| scale * down).collect();
    let exact = scales.iter().zip(&lowered).all(|(&scale, &lowered)| same(lowered * up, scale));
    let mut bytes = vec![0; scales.len() * to.bytes()];
    to.encode_into(&lowered, &mut bytes);
    let mut read = vec![0.0; scales.len()];
    to.decode_into(&bytes, &mut read);
    (exact && read.iter().zip(&lowered).all(|(&read, &lowered)| same(read, lowered))).then_some(bytes)
}
