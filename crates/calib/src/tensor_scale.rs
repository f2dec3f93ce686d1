//! The second level of scales: one f32 per matrix, so that block scales fill the range of E4M3.
//!
//! ```text
//! Multiply   t = amax / (element max * scale max)                      effective scale = s * t     ModelOpt, ours
//! Divide     t = RN_d(RN_d(1 / amax) * (element max * scale max))      effective scale = s / t     compressed-tensors
//!            d: see Recipe::scale_arithmetic; amax is raised to the smallest normal of d; infinite t becomes 1
//! Fixed      t as the convention has it, for every tensor             effective scale = s * t     bitsandbytes INT8: 1/127
//! scale max  448, the largest E4M3; 256 for four-over-six, so that 1.5 times the largest block scale, 384, is still an E4M3
//! ```
//!
//! PyTorch computes a number divided by a tensor as reciprocal times number, which is where the two roundings of Divide come from.
//!
//! Sources: ModelOpt `nvfp4_tensor.py`; compressed-tensors `generate_gparam`; fouroversix `reference.py`.

use lowbit_blocks::{Dtype, TensorScale};
use lowbit_kernels::Element;
use serde::{Deserialize, Serialize};

use crate::arithmetic::{least_normal, round_to};

/// The largest block scale that is used with [`ScaleRule::FourOverSix`](crate::ScaleRule::FourOverSix): 1.5 times as much fits E4M3.
pub const FOUR_OVER_SIX_SCALE_MAX: f32 = 256.0;

/// How the scale of a matrix follows from its amax.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TensorScaleRule {
    /// The format has one level of scales.
    None,
    /// `amax / (element max * scale_max)`, which multiplies block scales.
    Multiply {
        /// The block scale of the block that holds the tensor's amax.
        scale_max: f32,
    },
    /// `(element max * scale_max) / amax`, which divides block scales.
    Divide {
        /// The block scale of the block that holds the tensor's amax.
        scale_max: f32,
    },
    /// The same number for every tensor, which multiplies block scales of any float type.
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

    /// The tensor scale of a matrix. An all-zero matrix gets 1.
    pub(crate) fn choose(self, element: Element, amax: f32, d: Dtype) -> f32 {
        match self {
            Self::None => 1.0,
            Self::Fixed { factor } => factor,
            Self::Multiply { .. } if amax == 0.0 => 1.0,
            // A matrix of the smallest subnormals would get 0.
            Self::Multiply { scale_max } => (amax / (element.max() * scale_max)).max(f32::from_bits(1)),
            Self::Divide { scale_max } => {
                let reciprocal = round_to(d, 1.0 / amax.max(least_normal(d)));
                let scale = round_to(d, reciprocal * (element.max() * scale_max));
                if scale.is_finite() { scale } else { 1.0 }
            }
        }
    }

    /// Whether it depends on what is in the matrix.
    pub(crate) const fn looks(self) -> bool {
        matches!(self, Self::Multiply { .. } | Self::Divide { .. })
    }

    /// Tensor scales in the direction of this rule.
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
        // 1 / 2.078125 = 0.4812 is 0.48046875 in bf16; times 2688 that is 1291.5, in bf16 1288. One rounding of 1293.47 would give 1296.
        assert_eq!(rule.choose(Element::E2m1, 2.078125, Dtype::Bf16), 1288.0);
        assert_eq!(rule.choose(Element::E2m1, 3.0, Dtype::Bf16), 896.0);
        assert_eq!(rule.choose(Element::E2m1, 3.0, Dtype::F32), 896.0);
        // Overflow, of a zero matrix and of f16 below 0.041.
        assert_eq!(rule.choose(Element::E2m1, 0.0, Dtype::F32), 1.0);
        assert_eq!(rule.choose(Element::E2m1, 0.03, Dtype::F16), 1.0);
    }
}
