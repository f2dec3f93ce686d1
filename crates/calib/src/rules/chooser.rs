//! The scale rule of one matrix, applied to all blocks of a chunk at once.

use lowbit_blocks::{Dtype, Element, ScaleKind, Values, Zero};
use lowbit_kernels::Kernels;

use super::custom::Custom;
use super::mx::{self, MxElement};
use super::percentile;
pub(crate) use super::two_level::SecondLevel;
use crate::arithmetic::{Quotient, all_finite, least_normal, limits};
use crate::chunk::Chunk;
use crate::recipe::Recipe;
use crate::scale_rule::ScaleRule;
use crate::zero_block::ZeroBlock;

/// The scale rule of one matrix: the choices of [`Recipe`], with types and tensor scale resolved.
#[derive(Clone, Debug)]
pub(crate) struct Chooser {
    pub(super) rule: ScaleRule,
    pub(super) element: Element,
    pub(super) kind: ScaleKind,
    pub(super) zero: Zero,
    pub(super) zero_block: ZeroBlock,
    /// The divisor of amax.
    pub(super) divisor: f32,
    /// d: the type to which intermediate results are rounded.
    pub(super) scale_dtype: Dtype,
    /// The type of the weight.
    pub(super) weight: Dtype,
    pub(super) second_level: SecondLevel,
    /// Whether codes are computed with scales and biases before they are rounded for storage.
    pub(super) unrounded: bool,
    pub(super) kernels: Kernels,
    mx: Option<MxElement>,
    /// A custom rule, applied last.
    pub(super) custom: Option<Custom>,
}

/// The chosen scales of a chunk: stored bytes, effective scales, and the same for zero points or
/// biases (empty if there are none).
pub(crate) struct Chosen<'a> {
    pub(crate) stored: &'a mut [u8],
    pub(crate) scales: &'a mut [f32],
    pub(crate) zero_codes: &'a mut [u8],
    pub(crate) zeros: &'a mut [f32],
}

/// The inputs of the rules: one number of each kind per block.
#[derive(Default)]
pub(crate) struct Extremes {
    /// The largest magnitudes, or the rule's replacement for them.
    pub(super) amax: Vec<f32>,
    pub(super) lo: Vec<f32>,
    pub(super) hi: Vec<f32>,
}

impl Chooser {
    pub(crate) fn new(recipe: &Recipe, weight: Dtype, second_level: SecondLevel, kernels: Kernels) -> Self {
        let format = &recipe.format;
        Self {
            rule: recipe.scale_rule,
            element: format.element,
            kind: format.scale.kind,
            zero: format.zero,
            zero_block: recipe.zero_block,
            divisor: match second_level {
                // The stored number is larger than the step by this factor.
                SecondLevel::Multiply(factor) if format.scale.kind.is_float() => {
                    recipe.scale_rule.divisor(format.element) * factor
                }
                _ => recipe.scale_rule.divisor(format.element),
            },
            scale_dtype: recipe.scale_arithmetic.dtype(weight),
            weight,
            second_level,
            unrounded: recipe.quotient == Quotient::Unrounded,
            kernels,
            mx: MxElement::of(format.element),
            custom: None,
        }
    }

    /// True if the rule needs the smallest and the largest value.
    const fn ranges(&self) -> bool {
        matches!(self.zero, Zero::Int) || self.zero.is_added()
    }

    /// True if the rule needs the largest magnitude only.
    fn is_symmetric(&self) -> bool {
        let full_range = matches!(self.rule, ScaleRule::FullRange | ScaleRule::MseFullRange);
        !self.ranges() && !full_range
    }

    /// Widens the numbers to f32 in `buffer` if needed, and reduces blocks of `len` at the same
    /// time or afterwards: [`look`](Self::look).
    pub(crate) fn look_widened<'b>(
        &self,
        values: Values<'b>,
        len: usize,
        buffer: &'b mut [f32],
        seen: &mut Extremes,
    ) -> (Chunk<'b>, bool) {
        if matches!(values, Values::F32(_)) || !self.is_symmetric() {
            let chunk = Chunk::run(values.widened(buffer), len);
            return (chunk, self.look(&chunk, seen));
        }
        let wide = &mut buffer[..values.len()];
        seen.amax.resize(values.len().div_ceil(len), 0.0);
        match values {
            Values::F32(_) => {}
            Values::F16(x) => self.kernels.widen_f16_absmax(x, len, wide, &mut seen.amax),
            Values::Bf16(x) => self.kernels.widen_bf16_absmax(x, len, wide, &mut seen.amax),
        }
        let chunk = Chunk::run(wide, len);
        (chunk, self.look_at_amax(&chunk, seen))
    }

    /// Reduces a chunk to the inputs of the rule. Returns true if all values are finite: the
    /// reductions order infinities and NaN beyond all numbers, so they appear in the results.
    pub(crate) fn look(&self, chunk: &Chunk<'_>, seen: &mut Extremes) -> bool {
        if !self.is_symmetric() {
            chunk.min_max(self.kernels, &mut seen.lo, &mut seen.hi);
            if !self.ranges() {
                signed_extremes(&seen.lo, &seen.hi, &mut seen.amax);
            }
            return all_finite(self.kernels, &seen.lo) && all_finite(self.kernels, &seen.hi);
        }
        chunk.absmax(self.kernels, &mut seen.amax);
        self.look_at_amax(chunk, seen)
    }

    /// The second half of [`look`](Self::look), with known largest magnitudes.
    fn look_at_amax(&self, chunk: &Chunk<'_>, seen: &mut Extremes) -> bool {
        let finite = all_finite(self.kernels, &seen.amax);
        if let ScaleRule::Percentile(percent) = self.rule {
            percentile::percentiles(chunk, percent, &mut seen.amax);
        }
        finite
    }

    /// Chooses the scales by the rule; for a search, the scales to start from.
    pub(crate) fn choose(&self, seen: &Extremes, chosen: &mut Chosen<'_>) {
        match self.zero {
            Zero::Int => return self.asymmetric_scales(&seen.lo, &seen.hi, chosen),
            Zero::Bias => return self.affine_scales(&seen.lo, &seen.hi, chosen),
            _ => {}
        }
        match self.kind {
            kind if kind.is_power_of_two() => self.mx_scales(&seen.amax, chosen.stored, chosen.scales),
            _ if self.kind == ScaleKind::E4m3 => {
                self.two_level_scales(&seen.amax, chosen.stored, chosen.scales)
            }
            _ => {
                self.float_scales(&seen.amax, chosen.stored, chosen.scales);
                if let SecondLevel::Multiply(factor) = self.second_level {
                    chosen.scales.iter_mut().for_each(|scale| *scale *= factor);
                }
            }
        }
    }

    /// Power-of-two scales of blocks from their amax, as bytes and as numbers.
    fn mx_scales(&self, amax: &[f32], stored: &mut [u8], scales: &mut [f32]) {
        let element = self.mx.as_ref().expect("checked: the element suits powers of two");
        mx::scale_bytes(self.rule, element, amax, stored);
        self.kernels.widen_e8m0(stored, scales);
        if self.zero_block == ZeroBlock::Epsilon && self.scale_dtype == Dtype::F16 {
            self.mx_scales_of_f16(amax, stored, scales);
        }
    }

    /// compressed-tensors reads the exponent from the bits of amax in the weight's type, and keeps
    /// the power of two in that type. In f16 a subnormal amax has no exponent of its own, and
    /// powers below 2^-24 are 0. Both give 0, and 0 becomes 1.
    fn mx_scales_of_f16(&self, amax: &[f32], stored: &mut [u8], scales: &mut [f32]) {
        let element = self.mx.as_ref().expect("checked: the element suits powers of two");
        let least = limits(ScaleKind::F16).least;
        let normal = least_normal(Dtype::F16);
        for ((stored, scale), &amax) in stored.iter_mut().zip(scales).zip(amax) {
            if amax < normal && amax >= 0.75 * normal {
                *stored = mx::scale_byte(self.rule, element, normal);
                *scale = mx::scale(*stored);
            } else if amax < normal || *scale < least {
                (*stored, *scale) = (127, 1.0);
            }
        }
    }
}

impl Extremes {
    /// The extremes of blocks of zeros.
    pub(crate) fn zeros(blocks: usize) -> Self {
        Self { amax: vec![0.0; blocks], lo: vec![0.0; blocks], hi: vec![0.0; blocks] }
    }
}

/// -m for each block, with m the value of largest magnitude; if both +m and -m occur, -m counts.
fn signed_extremes(lo: &[f32], hi: &[f32], out: &mut Vec<f32>) {
    out.clear();
    out.extend(lo.iter().zip(hi).map(|(&lo, &hi)| if -lo >= hi { -lo } else { -hi }));
}
