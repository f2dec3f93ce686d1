//! Scales stored as f32, f16 or bf16: amax divided by a constant.
//!
//! ```text
//! s = RN_kind(RN_d(amax / divisor))       d: Recipe::scale_arithmetic, kind: the type in which scales are stored
//! s = 0 is replaced as ZeroBlock defines; a scale beyond the type's range becomes its largest number
//! ```
//!
//! The signed full-range rule passes -m as amax, with m the value of largest magnitude, so its
//! scales may be negative.

use super::{Chooser, Chosen};
use crate::arithmetic::{least_normal, limits, round_slice, round_to};
use crate::chunk::Chunk;
use crate::encoder::RECIPROCAL_FLOOR;
use crate::zero_block::ZeroBlock;

impl Chooser {
    /// Float scales of blocks from their amax: stored bytes, and decoded numbers.
    pub(super) fn float_scales(&self, amax: &[f32], stored: &mut [u8], scales: &mut [f32]) {
        let normal = match self.zero_block {
            ZeroBlock::OneNormal(d) => Some(least_normal(d.dtype(self.weight))),
            _ => None,
        };
        if normal.is_none() {
            // The common case, vectorized.
            scales.copy_from_slice(amax);
            self.kernels.divide(scales, self.divisor);
            round_slice(self.kernels, self.scale_dtype, scales);
            if self.store_usual(scales, stored) {
                return;
            }
        }
        for (scale, &amax) in scales.iter_mut().zip(amax) {
            let raised = match normal {
                Some(least) if amax != 0.0 => amax.abs().max(least).copysign(amax),
                _ => amax,
            };
            *scale = self.float_scale(amax, round_to(self.scale_dtype, raised / self.divisor));
        }
        self.kind.encode_into(scales, stored);
    }

    /// Stores scales and replaces them by their stored values. Returns true if none is zero or
    /// beyond its type.
    pub(super) fn store_usual(&self, scales: &mut [f32], stored: &mut [u8]) -> bool {
        self.kind.encode_into(scales, stored);
        self.kind.decode_into(stored, scales);
        let (least, largest) = self.kernels.magnitude_range(scales);
        least > 0.0 && largest.is_finite()
    }

    /// bitsandbytes raises the amax of a short last block to 1e-38 before it is stored; other
    /// blocks store theirs unchanged.
    pub(crate) fn raise_short_block(&self, chunk: &Chunk<'_>, chosen: &mut Chosen<'_>) {
        if self.zero_block == ZeroBlock::Keep && !chunk.width.is_multiple_of(chunk.len) {
            let last = chosen.scales.len() - 1;
            chosen.scales[last] = chosen.scales[last].max(RECIPROCAL_FLOOR);
            self.kind.encode_into(&chosen.scales[last..], &mut chosen.stored[last * self.kind.bytes()..]);
        }
    }

    /// A computed scale rounded to its type. `amax` distinguishes a zero block from an underflow.
    pub(super) fn float_scale(&self, amax: f32, raw: f32) -> f32 {
        let limits = limits(self.kind);
        let scale = self.kind.rounded(raw).clamp(-limits.max, limits.max);
        match self.zero_block {
            _ if scale != 0.0 => scale,
            ZeroBlock::Keep => 0.0,
            ZeroBlock::Epsilon => limits.epsilon,
            _ if amax == 0.0 => 1.0,
            _ => limits.least.copysign(amax),
        }
    }
}
