//! Two-level scales of super-blocks: real numbers are chosen for each block, then rounded to
//! integers under one number per super-block.
//!
//! ```text
//! amax             s = amax / max                                        rows without minima (Q3_K, Q6_K)
//! min-max          s = (hi - lo) / (2^b - 1), m = -lo                    lo = min(values, 0): rows with minima (Q2_K, Q4_K, Q5_K)
//! mse              without minima   the s of amax times 1.00, 0.98 … 0.60 of least squared error
//!                  with minima      the line (s, m) of least squared error: that of min-max, or, for
//!                                   2^b - 2 + k/10 steps, k = 0 … 20, the least-squares line of the
//!                                   codes under that step, m >= 0
//! stored           outer = largest / (2^B - 1), rounded; each s and m the nearest multiple        Scale::encode_into
//! code             RNE((x + dmin * m) / (d * s))                         with the scales as they are stored
//! ```
//!
//! The search with minima follows ggml's `make_qkx2_quants`. Its weights, f32 arithmetic and
//! rounding are not reproduced here; they belong to GGUF parity. Sums run in f64 over the values of
//! a block in their order. Errors are weighted by the diagonal of the importance.

use lowbit_blocks::{Scale, Zero};
use lowbit_kernels::Blocks;

use super::chooser::{Chooser, Chosen, Extremes};
use crate::chunk::Chunk;
use crate::importance::Weights;
use crate::scale_rule::ScaleRule;

/// The step of the scale search: 2 %, down to 60 % of amax.
const STEP: f32 = 0.02;
const STEPS: usize = 20;
/// The last number of steps that is tried, in tenths above 2^b - 2.
const TENTHS: u8 = 20;

impl Chooser {
    /// Chooses scales and minima of whole super-blocks, or of the short rest of a flat matrix.
    pub(crate) fn super_block_scales(
        &self,
        levels: &Scale,
        chunk: &Chunk<'_>,
        weights: Weights<'_>,
        seen: &Extremes,
        chosen: &mut Chosen<'_>,
    ) {
        let searches = self.rule == ScaleRule::Mse;
        if self.zero == Zero::Min {
            let steps = self.element.max();
            for (block, (scale, min)) in chosen.scales.iter_mut().zip(chosen.zeros.iter_mut()).enumerate() {
                let line = Line::of_range(seen.lo[block], seen.hi[block], steps);
                let found = if searches { self.nearest_line(chunk, block, weights, line) } else { line };
                (*scale, *min) = (found.scale, found.min);
            }
            store(levels, chosen.zeros, chosen.zero_codes);
            chosen.zeros.iter_mut().for_each(|min| *min = -*min);
        } else {
            chosen.scales.copy_from_slice(&seen.amax);
            self.kernels.divide(chosen.scales, self.divisor);
            if searches {
                self.shrink(chunk, weights, chosen.scales);
            }
        }
        store(levels, chosen.scales, chosen.stored);
    }

    /// Replaces each scale by the candidate of least error, among itself and smaller scales.
    fn shrink(&self, chunk: &Chunk<'_>, weights: Weights<'_>, scales: &mut [f32]) {
        let (mut codes, mut decoded) = (Vec::new(), vec![0.0; chunk.count()]);
        let (start, mut candidates) = (scales.to_vec(), scales.to_vec());
        let (mut best, mut errors) = (vec![f64::INFINITY; scales.len()], vec![0.0; scales.len()]);
        for k in 0..=STEPS {
            let factor = 1.0 - STEP * k as f32;
            candidates.iter_mut().zip(&start).for_each(|(candidate, scale)| *candidate = scale * factor);
            for (run, decoded) in chunk.runs().zip(decoded.chunks_exact_mut(chunk.width)) {
                codes.resize(chunk.run_bytes(self.element), 0);
                let quotients: Vec<f32> =
                    candidates.iter().map(|&s| if s == 0.0 { f32::INFINITY } else { s }).collect();
                let of = |scales| Blocks { len: chunk.len, scales, zeros: None };
                self.kernels.encode(self.element, run, of(&quotients), &mut codes);
                self.kernels.decode(self.element, &codes, of(&candidates), decoded);
            }
            weights.errors(chunk, &decoded, &mut errors);
            for (block, scale) in scales.iter_mut().enumerate() {
                if errors[block] < best[block] {
                    (best[block], *scale) = (errors[block], candidates[block]);
                }
            }
        }
    }

    /// The line of least squared error of one block.
    fn nearest_line(&self, chunk: &Chunk<'_>, block: usize, weights: Weights<'_>, start: Line) -> Line {
        let steps = f64::from(self.element.max());
        let first = block * chunk.len;
        let values = || {
            let columns = first..chunk.width.min(first + chunk.len);
            chunk.runs().flat_map(move |run| columns.clone().map(move |col| (col, f64::from(run[col]))))
        };
        let weighed: Vec<(f64, f64)> = values().map(|(col, x)| (weights.of_value(col), x)).collect();
        let low = -f64::from(start.min);
        let range = f64::from(start.scale) * steps;
        if range <= 0.0 {
            return start;
        }
        let code = |x: f64, low: f64, inverse: f64| ((x - low) * inverse).round_ties_even().clamp(0.0, steps);
        let error = |line: Line, codes: &[f64]| -> f64 {
            let (scale, min) = (f64::from(line.scale), f64::from(line.min));
            weighed.iter().zip(codes).map(|((w, x), code)| w * (scale * code - min - x).powi(2)).sum()
        };
        let mut codes: Vec<f64> = weighed.iter().map(|(_, x)| code(*x, low, steps / range)).collect();
        let (mut best, mut least) = (start, error(start, &codes));
        for tenths in 0..=TENTHS {
            let inverse = (steps - 1.0 + 0.1 * f64::from(tenths)) / range;
            codes.iter_mut().zip(&weighed).for_each(|(to, (_, x))| *to = code(*x, low, inverse));
            let Some(line) = Line::nearest_to(&weighed, &codes) else { continue };
            let found = error(line, &codes);
            if found < least {
                (best, least) = (line, found);
            }
        }
        best
    }
}

/// Stores two-level numbers and replaces them by their stored values.
fn store(levels: &Scale, numbers: &mut [f32], stored: &mut [u8]) {
    levels.encode_into(numbers, stored);
    levels.decode_into(stored, numbers);
}

/// A line: values are `scale * code - min`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Line {
    scale: f32,
    min: f32,
}

impl Line {
    /// The line from the smallest value, or 0, to the largest.
    fn of_range(lo: f32, hi: f32, steps: f32) -> Self {
        let (lo, hi) = (lo.min(0.0), hi.max(0.0));
        let range = hi - lo;
        // The range may overflow.
        let scale = if range.is_finite() { range / steps } else { hi / steps - lo / steps };
        Self { scale, min: 0.0 - lo }
    }

    /// The line of least weighted squared error for these codes, with an offset of at most 0;
    /// `None` if the codes do not determine one.
    fn nearest_to(weighed: &[(f64, f64)], codes: &[f64]) -> Option<Self> {
        let (mut w, mut l, mut l2, mut x, mut xl) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for ((weight, value), code) in weighed.iter().zip(codes) {
            w += weight;
            l += weight * code;
            l2 += weight * code * code;
            x += weight * value;
            xl += weight * code * value;
        }
        let determinant = w * l2 - l * l;
        if determinant <= 0.0 {
            return None;
        }
        let (mut scale, mut offset) = ((w * xl - x * l) / determinant, (l2 * x - l * xl) / determinant);
        if offset > 0.0 {
            (scale, offset) = (xl / l2, 0.0);
        }
        let line = Self { scale: scale as f32, min: (0.0 - offset) as f32 };
        (line.scale > 0.0 && line.scale.is_finite() && line.min.is_finite()).then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn lines_that_can_be_computed_by_hand() {
        // 15 steps of 0.2 from -2 up to 1.
        assert_eq!(Line::of_range(-2.0, 1.0, 15.0), Line { scale: 0.2, min: 2.0 });
        // All values are above 0; the range includes 0.
        assert_eq!(Line::of_range(1.0, 3.0, 3.0), Line { scale: 1.0, min: 0.0 });
        // Values 1, 3, 5 for codes 0, 1, 2 lie on 2 * code + 1. With the offset fixed at 0 the
        // scale is sum of x l / sum of l^2 = 13 / 5.
        let weighed = [(1.0, 1.0), (1.0, 3.0), (1.0, 5.0)];
        assert_eq!(Line::nearest_to(&weighed, &[0.0, 1.0, 2.0]), Some(Line { scale: 2.6, min: 0.0 }));
        let weighed = [(1.0, -1.0), (2.0, 1.0), (1.0, 3.0)];
        assert_eq!(Line::nearest_to(&weighed, &[0.0, 1.0, 2.0]), Some(Line { scale: 2.0, min: 1.0 }));
        // All codes are equal.
        assert_eq!(Line::nearest_to(&weighed, &[3.0, 3.0, 3.0]), None);
    }
}
