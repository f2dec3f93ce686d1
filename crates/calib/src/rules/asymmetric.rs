//! A scale and an integer zero point from the smallest and the largest value.
//!
//! ```text
//! lo = min(values, 0)   hi = max(values, 0)            0 is always a code
//! s  = RN_kind(RN_d(RN_d(hi - lo) / (2^b - 1)))
//! z  = rint(clamp(RN_d(q - RN_d(lo / s)), q, -1 - q)) - q          q = -2^(b-1), the lowest signed code;  stored: 0 .. 2^b - 1
//! code = RNE(x / s + z)
//! ```
//!
//! A zero block: with `ZeroBlock::Epsilon` 0 / 0 counts as the signed zero point 0, so 2^(b-1) is stored; otherwise s = 1 and z = 0.
//!
//! Source: compressed-tensors `calculate_qparams`, each step in the type of the weight; ours in f32.

use lowbit_blocks::Dtype;

use super::Chooser;
use crate::arithmetic::round_to;
use crate::zero_block::ZeroBlock;

/// 1.5 * 2^23: the last place of numbers around it is worth 1.
const ROUND: f32 = 12_582_912.0;

impl Chooser {
    /// Stored scales and zero points of blocks of these extremes, and what they decode to.
    pub(super) fn asymmetric_scales(&self, lo: &[f32], hi: &[f32], chosen: &mut super::chooser::Chosen<'_>) {
        if self.scale_dtype == Dtype::F32 && self.usual_scales(lo, hi, chosen) {
            return;
        }
        let blocks = lo.iter().zip(hi).zip(chosen.scales.iter_mut());
        for (((&lo, &hi), scale), (stored, zero)) in
            blocks.zip(chosen.zero_codes.iter_mut().zip(chosen.zeros.iter_mut()))
        {
            let lo = lo.min(0.0);
            let hi = hi.max(0.0);
            let raw = self.range_scale(lo, hi);
            *scale = self.float_scale(hi - lo, raw);
            // compressed-tensors computes the zero point before it replaces a scale of zero.
            let dividing = if raw == 0.0 && self.zero_block == ZeroBlock::Epsilon { raw } else { *scale };
            *stored = self.zero_point(lo, dividing);
            *zero = f32::from(*stored);
        }
        self.kind.encode_into(chosen.scales, chosen.stored);
    }

    /// The same as loops of vectors, if no scale is zero or beyond its type.
    fn usual_scales(&self, lo: &[f32], hi: &[f32], chosen: &mut super::chooser::Chosen<'_>) -> bool {
        let (levels, half) = (self.element.max(), (self.element.max() + 1.0) / 2.0);
        for ((scale, &lo), &hi) in chosen.scales.iter_mut().zip(lo).zip(hi) {
            *scale = (hi.max(0.0) - lo.min(0.0)) / levels;
        }
        if !self.store_usual(chosen.scales, chosen.stored) {
            return false;
        }
        for ((zero, &scale), &lo) in chosen.zeros.iter_mut().zip(&*chosen.scales).zip(lo) {
            let signed = (-half - lo.min(0.0) / scale).clamp(-half, half - 1.0);
            // Rounds to even, as every number of this size plus 2^23 does.
            *zero = (signed + ROUND) - ROUND + half;
        }
        for (stored, &zero) in chosen.zero_codes.iter_mut().zip(&*chosen.zeros) {
            *stored = zero as u8;
        }
        true
    }

    /// The step that divides the range into as many intervals as there are codes, less one.
    fn range_scale(&self, lo: f32, hi: f32) -> f32 {
        let (d, levels) = (self.scale_dtype, self.element.max());
        let range = round_to(d, hi - lo);
        if range.is_finite() {
            round_to(d, range / levels)
        } else {
            round_to(Dtype::F32, hi / levels - lo / levels)
        }
    }

    fn zero_point(&self, lo: f32, scale: f32) -> u8 {
        let d = self.scale_dtype;
        let half = (self.element.max() + 1.0) / 2.0;
        let signed = round_to(d, -half - round_to(d, lo / scale));
        let signed = if signed.is_nan() { 0.0 } else { signed.clamp(-half, half - 1.0).round_ties_even() };
        (signed + half) as u8
    }
}
