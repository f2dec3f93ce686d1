//! Affine scales: a scale and a bias from the smallest and the largest value, one of which equals
//! the bias exactly.
//!
//! ```text
//! lo, hi = smallest, largest value          0 is not included in the range
//! s  = max((hi - lo) / (2^b - 1), 1e-7)     negative if |hi| >= |lo|, so that codes count from hi
//! e  = the end of larger magnitude          hi if they are equal
//! q0 = rint(e / s)
//! q0 = 0:  bias = 0                         else  s = e / q0, bias = e: 0 is a code up to rounding
//! code = clamp(RNE((x - bias) / s), 0, 2^b - 1)
//! stored: RN_kind(s), RN_kind(bias)
//! ```
//!
//! Source: MLX 0.32 `backend/cpu/quantized.cpp`. It computes codes with s and the bias before they
//! are rounded for storage ([`Quotient::Unrounded`](crate::Quotient::Unrounded)).

use super::Chooser;
use super::chooser::Chosen;
use crate::arithmetic::limits;

/// The smallest scale.
const LEAST: f32 = 1e-7;

impl Chooser {
    /// Chooses scales and biases of blocks from their extremes: the stored bytes, and the numbers
    /// that codes are computed with.
    pub(super) fn affine_scales(&self, lo: &[f32], hi: &[f32], chosen: &mut Chosen<'_>) {
        let most = limits(self.kind).max;
        let levels = self.element.max();
        let blocks = lo.iter().zip(hi).zip(chosen.scales.iter_mut().zip(chosen.zeros.iter_mut()));
        for ((&lo, &hi), (scale, bias)) in blocks {
            (*scale, *bias) = line(lo, hi, levels);
            // The type may be too short for the range of 1-bit codes.
            *scale = scale.clamp(-most, most);
        }
        self.kind.encode_into(chosen.scales, chosen.stored);
        self.kind.encode_into(chosen.zeros, chosen.zero_codes);
        if !self.unrounded {
            self.kind.decode_into(chosen.stored, chosen.scales);
            self.kind.decode_into(chosen.zero_codes, chosen.zeros);
        }
    }
}

/// The scale and the bias of a block.
fn line(lo: f32, hi: f32, levels: f32) -> (f32, f32) {
    let (range, from_below) = (hi - lo, lo.abs() > hi.abs());
    // The range may overflow.
    let step = if range.is_finite() { range / levels } else { hi / levels - lo / levels };
    let step = if from_below { step.max(LEAST) } else { -step.max(LEAST) };
    let edge = if from_below { lo } else { hi };
    match (edge / step).round_ties_even() {
        0.0 => (step, 0.0),
        steps => (edge / steps, edge),
    }
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn lines_that_can_be_computed_by_hand() {
        // 15 steps of 0.2 from 1 down to -2; -2 has the larger magnitude, 10 steps from zero.
        let (scale, bias) = line(-2.0, 1.0, 15.0);
        assert_eq!((scale, bias), (0.2, -2.0));
        // Both ends have the same magnitude: the upper one counts; 7.5 steps round to 8.
        assert_eq!(line(-3.0, 3.0, 15.0), (-0.375, 3.0));
        // All values are far from zero, so zero is no code.
        let (scale, bias) = line(10.0, 10.5, 1.0);
        assert_eq!((scale, bias), (-0.5, 10.5));
        // Zeros, and numbers smaller than the smallest step.
        assert_eq!(line(0.0, 0.0, 15.0), (-1e-7, 0.0));
        assert_eq!(line(-1e-9, 0.0, 15.0), (1e-7, 0.0));
    }
}
