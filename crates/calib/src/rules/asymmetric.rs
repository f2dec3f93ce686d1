//! Asymmetric scales: a scale and an integer zero point from the smallest and the largest value.
//!
//! ```text
//! lo = min(values, 0)   hi = max(values, 0)            0 is always a code
//! s  = RN_kind(RN_d(RN_d(hi - lo) / (2^b - 1)))
//! z  = rint(clamp(RN_d(q - RN_d(lo / s)), q, -1 - q)) - q
//!      q = -2^(b-1), the lowest signed code;  stored: 0 .. 2^b - 1
//! code = RNE(x / s + z)
//! ```
//!
//! In a zero block under `ZeroBlock::Epsilon`, 0 / 0 counts as the signed zero point 0, so 2^(b-1)
//! is stored. Otherwise s = 1 and z = 0.
//!
//! Source: compressed-tensors `calculate_qparams`, with each step in the type of the weight; ours
//! computes in f32.

use lowbit_blocks::Dtype;

use super::Chooser;
use crate::arithmetic::round_to;
use crate::zero_block::ZeroBlock;

/// 1.5 * 2^23: f32 numbers near it are spaced 1 apart.
const ROUND: f32 = 12_582_912.0;

impl Chooser {
    /// Chooses scales and zero points of blocks from their extremes: the stored bytes and their
    /// decoded values.
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

    /// The vectorized path. Returns false if a scale is zero or beyond its type.
    fn usual_scales(&self, lo: &[f32], hi: &[f32], chosen: &mut super::chooser::Chosen<'_>) -> bool {
        let (levels, half) = (self.element.max(), (self.element.max() + 1.0) / 2.0);
        for ((scale, &lo), &hi) in chosen.scales.iter_mut().zip(lo).zip(hi) {
            *scale = hi.max(0.0) - lo.min(0.0);
        }
        self.kernels.divide(chosen.scales, levels);
        if !self.store_usual(chosen.scales, chosen.stored) {
            return false;
        }
        for ((zero, &scale), &lo) in chosen.zeros.iter_mut().zip(&*chosen.scales).zip(lo) {
            let signed = (-half - lo.min(0.0) / scale).clamp(-half, half - 1.0);
            // Rounds to even, since f32 numbers of this size are integers.
            *zero = (signed + ROUND) - ROUND + half;
        }
        // The lowest byte of such a sum is the number. A saturating cast would prevent
        // vectorization.
        for (stored, &zero) in chosen.zero_codes.iter_mut().zip(&*chosen.zeros) {
            *stored = (zero + ROUND).to_bits() as u8;
        }
        true
    }

    /// The step that divides the range into 2^b - 1 intervals.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Recipe;
    use crate::rules::Chosen;
    use crate::rules::SecondLevel;
    use lowbit_blocks::{Block, Format, ScaleKind};
    use lowbit_kernels::Kernels;

    /// The vectorized path and the rule of one block give the same bits.
    #[test]
    fn many_scales_are_each_one_alone() {
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let unit = (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0;
            // A fine grid has ties, and the exponents vary.
            (unit * 64.0).round() * [0.5, 1.0, 0.007, 1e-30, 3e30][(state >> 33) as usize % 5]
        };
        for (bits, kind) in
            [(2, ScaleKind::F32), (4, ScaleKind::Bf16), (4, ScaleKind::F16), (8, ScaleKind::F32)]
        {
            let recipe = Recipe::new(Format::uint(bits, Block::Group(32)).with_scale(kind)).unwrap();
            let chooser = Chooser::new(&recipe, Dtype::F32, SecondLevel::None, Kernels::best());
            for _ in 0..2000 {
                let (a, b) = (random(), random());
                let (lo, hi) = ([a.min(b)], [a.max(b)]);
                let choose = |lo: &[f32], hi: &[f32]| {
                    let n = lo.len();
                    let (mut stored, mut scales) = (vec![0; kind.bytes() * n], vec![0.0; n]);
                    let (mut zero_codes, mut zeros) = (vec![0; n], vec![0.0; n]);
                    let mut chosen = Chosen {
                        stored: &mut stored,
                        scales: &mut scales,
                        zero_codes: &mut zero_codes,
                        zeros: &mut zeros,
                    };
                    chooser.asymmetric_scales(lo, hi, &mut chosen);
                    (stored[..kind.bytes()].to_vec(), scales[0].to_bits(), zero_codes[0], zeros[0])
                };
                // A zero block next to it forces the rule of one block for both.
                assert_eq!(choose(&lo, &hi), choose(&[lo[0], 0.0], &[hi[0], 0.0]), "{lo:?} {hi:?}");
            }
        }
    }
}
