//! The recipe: everything that determines the bytes of a quantized tensor, as data.
//!
//! ```text
//! values ──► amax … ──► scale rule ──► zero block ──► stored scale ──► quotient ──► ties ──► codes
//!              │         scale_arithmetic               │             arithmetic
//!              └──► tensor scale rule ──────────────────┘ effective scale
//! ```
//!
//! [`Recipe::new`] is our own recipe of a format: f32 throughout, with division by the rounded
//! scale. Recipes of other tools are in [`recipes`](crate::recipes).

use lowbit_blocks::{Block, Format, ScaleKind, Shape, Zero};
use lowbit_kernels::Element;
use serde::{Deserialize, Serialize};

use crate::arithmetic::{Arithmetic, Quotient, Ties, ZeroSign};
use crate::error::Error;
use crate::scale_rule::ScaleRule;
use crate::stats::TensorStats;
use crate::tensor_scale::{FOUR_OVER_SIX_SCALE_MAX, TensorScaleRule};
use crate::zero_block::ZeroBlock;

/// The quantization of activations that a checkpoint asks engines for. It does not affect the
/// weights.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activations {
    /// Not quantized: weight-only.
    #[default]
    None,
    /// Quantized at run time, with one scale per token or block.
    Dynamic,
    /// Quantized with scales from calibration.
    Static,
}

/// A recipe: a format, and the choices and arithmetic that fill it.
///
/// ```
/// use lowbit_blocks::{NVFP4, Shape};
/// use lowbit_calib::{Recipe, ScaleRule};
///
/// let weights = [6.0f32, 3.0, -1.5, 0.6, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
/// let q = Recipe::new(NVFP4)?.quantize(Shape::matrix(1, 16), &weights)?;
/// // The tensor scale is 6 / 2688 and the block scale 448. Their product is 1, so values round to the
/// // nearest of 0, 0.5, 1, 1.5, 2, 3, 4, 6.
/// assert_eq!(q.to_f32_vec()[..4], [6.0, 3.0, -1.5, 0.5]);
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Recipe {
    /// The stored format.
    pub format: Format,
    /// The rule for block scales.
    pub scale_rule: ScaleRule,
    /// The rule for tensor scales.
    pub tensor_scale: TensorScaleRule,
    /// The scale of a zero block.
    pub zero_block: ZeroBlock,
    /// The type of intermediate results of scales.
    pub scale_arithmetic: Arithmetic,
    /// The type of quotients.
    pub arithmetic: Arithmetic,
    /// The operation that computes quotients.
    pub quotient: Quotient,
    /// The rounding of ties.
    pub ties: Ties,
    /// The sign of zeros.
    pub zero_sign: ZeroSign,
    /// The quantization of activations, as the checkpoint declares it.
    pub activations: Activations,
}

impl Recipe {
    /// Our own recipe: f32 throughout, division by the rounded scale, ties to even.
    ///
    /// Scale rules: `even` for E2M1 with power-of-two scales, `rceil` for other elements with
    /// power-of-two scales, `min-max` with a zero point, `affine` with a bias, `mse` with minima in
    /// super-blocks, otherwise `amax`.
    ///
    /// # Errors
    /// [`Error::Blocks`] or [`Error::Recipe`] if the format is invalid or has no defined scales.
    pub fn new(format: Format) -> Result<Self, Error> {
        let scale_rule = match (format.scale.kind, format.zero) {
            (kind, _) if kind.is_power_of_two() && format.element == Element::E2m1 => ScaleRule::Even,
            (kind, _) if kind.is_power_of_two() => ScaleRule::Rceil,
            (_, Zero::Int) => ScaleRule::MinMax,
            (_, Zero::Bias) => ScaleRule::Affine,
            (_, Zero::Min) => ScaleRule::Mse,
            _ => ScaleRule::Amax,
        };
        let tensor_scale = match format.has_tensor_scale() {
            true => TensorScaleRule::Multiply { scale_max: Element::E4m3.max() },
            false => TensorScaleRule::None,
        };
        let recipe = Self {
            format,
            scale_rule,
            tensor_scale,
            zero_block: if format.scale.kind == ScaleKind::E8m0 { ZeroBlock::Least } else { ZeroBlock::One },
            scale_arithmetic: Arithmetic::F32,
            arithmetic: Arithmetic::F32,
            quotient: Quotient::Divide,
            ties: Ties::Even,
            zero_sign: ZeroSign::Keep,
            activations: Activations::None,
        };
        recipe.check()?;
        Ok(recipe)
    }

    /// The same recipe with another scale rule. `four-over-six` lowers the largest block scale to
    /// 256; other rules restore 448.
    ///
    /// ```
    /// use lowbit_blocks::NVFP4;
    /// use lowbit_calib::{Recipe, ScaleRule, TensorScaleRule};
    /// let recipe = Recipe::new(NVFP4)?.with_scale_rule(ScaleRule::FourOverSix)?;
    /// assert_eq!(recipe.tensor_scale, TensorScaleRule::Multiply { scale_max: 256.0 });
    /// # Ok::<(), lowbit_calib::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Rule`] if the rule cannot choose scales of this format; the error lists the rules
    /// that can.
    pub fn with_scale_rule(self, scale_rule: ScaleRule) -> Result<Self, Error> {
        scale_rule.check(&self.format)?;
        let scale_max = match scale_rule {
            ScaleRule::FourOverSix => FOUR_OVER_SIX_SCALE_MAX,
            _ => Element::E4m3.max(),
        };
        Ok(Self { scale_rule, tensor_scale: self.tensor_scale.with_scale_max(scale_max), ..self })
    }

    /// The same recipe with scales stored in another float type.
    #[must_use]
    pub const fn with_scale(self, scale: ScaleKind) -> Self {
        Self { format: self.format.with_scale(scale), ..self }
    }

    /// The same recipe with another rule for tensor scales. [`check`](Self::check) tells whether it
    /// fits.
    #[must_use]
    pub const fn with_tensor_scale(self, tensor_scale: TensorScaleRule) -> Self {
        Self { tensor_scale, ..self }
    }

    /// The same recipe with other types of quotients and scales.
    #[must_use]
    pub const fn with_arithmetic(self, arithmetic: Arithmetic, scale_arithmetic: Arithmetic) -> Self {
        Self { arithmetic, scale_arithmetic, ..self }
    }

    /// The same recipe with another quotient. [`check`](Self::check) tells whether it fits.
    #[must_use]
    pub const fn with_quotient(self, quotient: Quotient) -> Self {
        Self { quotient, ..self }
    }

    /// The same recipe with another rule for ties. [`check`](Self::check) tells whether it fits.
    #[must_use]
    pub const fn with_ties(self, ties: Ties) -> Self {
        Self { ties, ..self }
    }

    /// The same recipe with another quantization of activations. The weights do not change.
    #[must_use]
    pub const fn with_activations(self, activations: Activations) -> Self {
        Self { activations, ..self }
    }

    /// Checks that the parts fit together.
    ///
    /// # Errors
    /// [`Error::Blocks`], [`Error::Rule`] or [`Error::Recipe`], with the parts that do not.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |reason| Err(Error::Recipe { format: self.format.name(), reason });
        self.format.check(Shape::matrix(0, 0))?;
        if self.format.zero == Zero::Float {
            return refuse("float zero points are read, not chosen");
        }
        if self.quotient == Quotient::Unrounded && self.format.zero != Zero::Bias {
            return refuse("only a scale with a bias is kept as it was before it was rounded");
        }
        if self.tensor_scale.looks() && self.format.scale.kind != ScaleKind::E4m3 {
            return refuse("a tensor scale that is chosen goes with e4m3 block scales");
        }
        if let TensorScaleRule::Fixed { factor } = self.tensor_scale
            && !(factor > 0.0 && factor.is_finite() && self.format.scale.kind.is_float())
        {
            return refuse("a fixed tensor scale is a positive number and goes with float block scales");
        }
        if self.format.has_tensor_scale() != (self.tensor_scale != TensorScaleRule::None) {
            return refuse(
                "the format and the tensor scale rule do not agree on whether there is a tensor scale",
            );
        }
        if let TensorScaleRule::Multiply { scale_max } | TensorScaleRule::Divide { scale_max } =
            self.tensor_scale
        {
            if !(scale_max > 0.0 && scale_max <= Element::E4m3.max()) {
                return refuse(
                    "the largest block scale of a tensor scale rule is not an e4m3 number above 0",
                );
            }
            if self.format.element.max() == 0.0 {
                return refuse("a tensor scale goes with an element that has positive values");
            }
        }
        if let ScaleRule::Percentile(percent) = self.scale_rule
            && !(percent > 0.0 && percent <= 100.0)
        {
            return refuse("a percentile is above 0 and at most 100");
        }
        if self.ties == Ties::TowardZero && self.format.element != Element::E2m1 {
            return refuse("ties toward zero are defined for e2m1");
        }
        self.scale_rule.check(&self.format)
    }

    /// Empty statistics, if the recipe needs those of a matrix before its first row can be encoded;
    /// `None` if blocks are independent.
    #[must_use]
    pub fn stats(&self) -> Option<TensorStats> {
        let needed = self.tensor_scale.looks() || self.format.block == Block::Tensor;
        needed.then(|| TensorStats::new(self.scale_rule.needs_histogram(&self.format)))
    }
}
