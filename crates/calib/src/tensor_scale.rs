//! The tensor scale: one f32 per matrix, so that block scales use the range of E4M3.
//!
//! ```text
//! Multiply   t = amax / (element max * scale max)                      effective scale = s * t     ModelOpt, ours
//! Divide     t = RN_d(RN_d(1 / amax) * (element max * scale max))      effective scale = s / t     compressed-tensors
//!            d: see Recipe::scale_arithmetic; amax is raised to the smallest normal of d;
//!            infinite t becomes 1
//! Fixed      t is a constant                                           effective scale = s * t     bitsandbytes INT8: 1/127
//! scale max  448, the largest E4M3; 256 for four-over-six, so that 1.5 times the largest block scale,
//!            384, is still an E4M3
//! ```
//!
//! PyTorch computes a number divided by a tensor as reciprocal times number: hence the two
//! roundings of Divide.
//!
//! Sources: ModelOpt `nvfp4_tensor.py`; compressed-tensors `generate_gparam`; fouroversix
//! `reference.py`.

use lowbit_blocks::{Dtype, TensorScale};
use lowbit_kernels::Element;
use serde::{Deserialize, Serialize};

use crate::arithmetic::{least_normal, round_to};

/// The largest block scale with [`ScaleRule::FourOverSix`](crate::ScaleRule::FourOverSix): 1.5
/// times this number still fits E4M3.
pub const FOUR_OVER_SIX_SCALE_MAX: f32 = 256.0;

/// The rule that chooses the scale of a matrix from its amax.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TensorScaleRule {
    /// No tensor scale.
    None,
    /// `amax / (element max * scale_max)`; it multiplies block scales.
    Multiply {
        /// The scale of the block that contains the tensor's amax.
        scale_max: f32,
    },
    /// `(element max * scale_max) / amax`; it divides block scales.
    Divide {
        /// The scale of the block that contains the tensor's amax.
        scale_max: f32,
    },
    /// The same number for every tensor; it multiplies block scales of any float type.
    Fixed {
        /// The number.
        factor: f32,
    },
}

impl TensorScaleRule {
    /// The same rule with another largest block scale.
    pub(crate) fn with_scale_max(self, scale_max: f32) -> Self {
        match self {
            Self::None | Self::Fixed { .. } => self,
            Self::Multiply { .. } => Self::Multiply { scale_max },
            Self::Divide { .. } => Self::Divide { scale_max },
        }
    }

    /// The tensor scale of a matrix; 1 for an all-zero matrix.
    pub(crate) fn choose(self, element: Element, amax: f32, d: Dtype) -> f32 {
        match self {
            Self::None => 1.0,
            Self::Fixed { factor } => factor,
            Self::Multiply { .. } if amax == 0.0 => 1.0,
            // A matrix of the smallest subnormals would otherwise get 0.
            Self::Multiply { scale_max } => (amax / (element.max() * scale_max)).max(f32::from_bits(1)),
            Self::Divide { scale_max } => {
                let reciprocal = round_to(d, 1.0 / amax.max(least_normal(d)));
                let scale = round_to(d, reciprocal * (element.max() * scale_max));
                if scale.is_finite() { scale } else { 1.0 }
            }
        }
    }

    /// True if the scale depends on the values of the matrix.
    pub(crate) const fn looks(self) -> bool {
        matches!(self, Self::Multiply { .. } | Self::Divide { .. })
    }

    /// The tensor scales, marked as multiplying or dividing as this rule has it.
    pub(crate) fn tag(self, scales: Vec<f32>) -> TensorScale {
        match self {
            Self::None => TensorScale::None,
            Self::Multiply { .. } | Self::Fixed { .. } => TensorScale::Multiply(scales),
            Self::Divide { .. } => TensorScale::Divide(scales),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: f32 = 448.0;

    #[test]
    fn modelopt_divides_amax_by_2688() {
        let rule = TensorScaleRule::Multiply { scale_max: FULL };
        assert_eq!(rule.choose(Element::E2m1, 2688.0, Dtype::F32), 1.0);
        assert_eq!(rule.choose(Element::E2m1, 0.0, Dtype::F32), 1.0);
        assert!(rule.choose(Element::E2m1, f32::from_bits(1), Dtype::F32) > 0.0);
    }

    #[test]
    fn compressed_tensors_rounds_twice_in_the_type_of_the_weight() {
        let rule = TensorScaleRule::Divide { scale_max: FULL };
        // 1 / 2.078125 = 0.4812 rounds to 0.48046875 in bf16. Times 2688 that is 1291.5, in bf16
        // 1288. A single rounding of 1293.47 would give 1296.
        assert_eq!(rule.choose(Element::E2m1, 2.078125, Dtype::Bf16), 1288.0);
        assert_eq!(rule.choose(Element::E2m1, 3.0, Dtype::Bf16), 896.0);
        assert_eq!(rule.choose(Element::E2m1, 3.0, Dtype::F32), 896.0);
        // Overflow occurs for a zero matrix, and in f16 for an amax below 0.041.
        assert_eq!(rule.choose(Element::E2m1, 0.0, Dtype::F32), 1.0);
        assert_eq!(rule.choose(Element::E2m1, 0.03, Dtype::F16), 1.0);
    }
}
