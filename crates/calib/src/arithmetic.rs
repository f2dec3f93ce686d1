//! The arithmetic of a recipe: number types, operations and the rounding of ties.
//!
//! ```text
//! quotient   y = x / s                 Divide, f32
//!            y = x * (1 / s)           Reciprocal: two roundings
//!            y = RN_d(x / s)           Arithmetic::Weight, d the type of the weight, as PyTorch on a CPU divides bf16 by bf16
//!            y = RN_d(y + zero)        with a zero point
//!            y = (x - bias) / s        with a bias, f32
//! code       RNE_saturating(y)         Ties::Even, and see ZeroSign
//! ```
//!
//! On a CPU, PyTorch computes bf16 and f16 operations in f32 and rounds each result: what this file
//! calls RN_d.

use half::{bf16, f16};
use lowbit_blocks::{Dtype, ScaleKind};
use lowbit_kernels::Kernels;
use lowbit_scalar::UE5M3;
use serde::{Deserialize, Serialize};

/// The type to which each result of a computation is rounded.
///
/// ```
/// use lowbit_blocks::{Dtype, INT8, Shape};
/// use lowbit_calib::{Arithmetic, Recipe};
/// let recipe = Recipe::new(INT8)?;
/// assert_eq!(recipe.arithmetic, Arithmetic::F32);
/// assert_eq!(Arithmetic::Weight.dtype(Dtype::Bf16), Dtype::Bf16);
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arithmetic {
    /// IEEE single precision, whatever the type of the weight: the most exact choice, and the
    /// default.
    #[default]
    F32,
    /// The type of the weight: bf16 results have eight significant bits.
    Weight,
}

impl Arithmetic {
    /// The type of results for weights of type `weight`.
    #[must_use]
    pub const fn dtype(self, weight: Dtype) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::Weight => weight,
        }
    }
}

/// The operation that applies a scale to a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quotient {
    /// `x / s`, one rounding.
    #[default]
    Divide,
    /// `x * (1 / s)`, two roundings, as bitsandbytes computes it. The scale s is first raised to
    /// 1e-38. The short last block of a flat format is divided instead.
    Reciprocal,
    /// `(x - bias) / s`, with scale and bias before they are rounded to the types in which they are
    /// stored: MLX.
    Unrounded,
}

/// The rounding of a quotient that lies halfway between two values of the element.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ties {
    /// To the even code; table elements have their own rule.
    #[default]
    Even,
    /// To the smaller magnitude: ModelOpt's MXFP4 packer.
    TowardZero,
    /// To the lower value, with thresholds at f32 midpoints: bitsandbytes on a CPU, which searches
    /// a sorted table. In FP4 that table holds zero twice, so a positive number that rounds to zero
    /// gets the second zero, code 8.
    Lower,
}

/// The sign of a zero code, in elements that have two zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ZeroSign {
    /// The sign of the quotient: -0.0 stays -0.0.
    #[default]
    Keep,
    /// A quotient of -0.0 becomes +0; a tiny negative quotient still becomes -0 (sign bit = `y <
    /// 0`).
    Positive,
    /// A quotient of zero becomes -0: ModelOpt's MXFP4 packer (sign bit = `y <= 0`).
    Negative,
}

/// True if no number is infinite or NaN.
pub(crate) fn all_finite(kernels: Kernels, numbers: &[f32]) -> bool {
    kernels.magnitude_range(numbers).1.is_finite()
}

/// True if at least one number is zero, of either sign.
pub(crate) fn any_zero(kernels: Kernels, numbers: &[f32]) -> bool {
    kernels.magnitude_range(numbers).0 == 0.0
}

/// RN_d: `x` rounded to the nearest number of `dtype`.
pub(crate) fn round_to(dtype: Dtype, x: f32) -> f32 {
    match dtype {
        Dtype::F32 => x,
        Dtype::F16 => f16::from_f32(x).to_f32(),
        Dtype::Bf16 => bf16::from_f32(x).to_f32(),
    }
}

/// Rounds each number in place to the nearest number of `dtype` (RN_d), ties to even. Numbers
/// beyond the range become infinite.
///
/// ```
/// use lowbit_blocks::{Dtype, Kernels};
/// let mut x = [1.001, -3.0, 70_000.0];
/// lowbit_calib::round_slice(Kernels::best(), Dtype::F16, &mut x);
/// assert_eq!(x, [1.000_976_6, -3.0, f32::INFINITY]);
/// ```
pub fn round_slice(kernels: Kernels, dtype: Dtype, x: &mut [f32]) {
    const ROOM: usize = 256;
    match dtype {
        Dtype::F32 => {}
        Dtype::F16 => {
            let mut half = [f16::ZERO; ROOM];
            for x in x.chunks_mut(ROOM) {
                let half = &mut half[..x.len()];
                kernels.narrow_f16(x, half);
                kernels.widen_f16(half, x);
            }
        }
        Dtype::Bf16 => {
            let mut half = [bf16::ZERO; ROOM];
            for x in x.chunks_mut(ROOM) {
                let half = &mut half[..x.len()];
                kernels.narrow_bf16(x, half);
                kernels.widen_bf16(half, x);
            }
        }
    }
}

/// The smallest positive normal number of a type (`torch.finfo(d).tiny`).
pub(crate) fn least_normal(dtype: Dtype) -> f32 {
    match dtype {
        Dtype::F32 => f32::MIN_POSITIVE,
        Dtype::F16 => f16::MIN_POSITIVE.to_f32(),
        Dtype::Bf16 => bf16::MIN_POSITIVE.to_f32(),
    }
}

/// The limits of a scale type: smallest positive number, largest finite number, and the distance
/// from 1 to the next (`torch.finfo(d).eps`).
pub(crate) struct Limits {
    pub(crate) least: f32,
    pub(crate) max: f32,
    pub(crate) epsilon: f32,
}

/// The limits of the float types in which scales are stored.
pub(crate) fn limits(kind: ScaleKind) -> Limits {
    let (least, max, epsilon) = match kind.dtype() {
        Some(Dtype::F16) => (f16::from_bits(1).to_f32(), f16::MAX.to_f32(), f16::EPSILON.to_f32()),
        Some(Dtype::Bf16) => (bf16::from_bits(1).to_f32(), bf16::MAX.to_f32(), bf16::EPSILON.to_f32()),
        None if kind.is_small_float() && !kind.has_sign() => {
            (UE5M3::MIN_POSITIVE_SUBNORMAL_F32, UE5M3::MAX_F32, UE5M3::EPSILON.to_f32())
        }
        _ => (f32::from_bits(1), f32::MAX, f32::EPSILON),
    };
    Limits { least, max, epsilon }
}
