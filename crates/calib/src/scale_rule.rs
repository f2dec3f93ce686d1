//! The scale rules by name: their formulas, and the formats that they fit.

mod names;

use lowbit_blocks::{Block, Element, Format, ScaleKind, Zero};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The rule that chooses the scale of a block.
///
/// Their names in files and on the command line are in parentheses.
///
/// ```
/// use lowbit_calib::ScaleRule;
/// assert_eq!("percentile:99.9".parse(), Ok(ScaleRule::Percentile(99.9)));
/// assert_eq!(ScaleRule::FourOverSix.to_string(), "four-over-six");
/// ```
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum ScaleRule {
    /// (`amax`) amax / max: the largest magnitude maps to the element's largest value. Symmetric
    /// integers divide by half their range, 7.5 or 127.5. So +amax lies half a step above the
    /// largest code, and both ends have the same error.
    Amax,
    /// (`narrow`) amax / 7, amax / 127 …: symmetric integers without their lowest code (ModelOpt,
    /// bitsandbytes).
    Narrow,
    /// (`full-range`) -m / 2^(bits-1), with m the value of largest magnitude: m maps exactly to the
    /// lowest code, and the scale is negative if m is positive (ggml's Q4_0, AutoRound). If a block
    /// has both +m and -m, -m counts.
    FullRange,
    /// (`min-max`) (max - min) / (2^bits - 1) and an integer zero point; the range includes 0.
    MinMax,
    /// (`affine`) (max - min) / (2^bits - 1), and the end of larger magnitude as a bias; negative
    /// if that is the upper end (MLX).
    Affine,
    /// (`percentile:99.9`) as `amax`, with a percentile of the block's magnitudes in place of amax.
    Percentile(f32),
    /// (`mse`) the candidate of least squared error. E4M3 scales: from 6 codes below the amax code
    /// to 7 above, which contains the optimum of E2M1. E8M0 scales: four powers of two down from
    /// `rceil`. Others: the scale of `amax` or `min-max` in steps of 2 % down to 40 %, with E2M1
    /// also up to 170 %.
    Mse,
    /// (`mse-full-range`) the scale of `full-range`, reduced in steps of 2 % down to 40 %, of least
    /// squared error.
    MseFullRange,
    /// (`four-over-six`) amax / 6 or amax / 4, whichever has less squared error. It needs a tensor
    /// scale that leaves headroom.
    FourOverSix,
    /// (`floor`) 2^(floor(log2 amax) - emax): OCP MX. It clips mantissas above that of the
    /// element's largest value.
    Floor,
    /// (`ceil`) 2^(ceil(log2 amax) - emax): it never clips, but may waste up to a binade.
    Ceil,
    /// (`even`) as `floor`, after rounding amax to the element's mantissa bits, up from halfway
    /// (Quark, torchao).
    Even,
    /// (`rceil`) 2^ceil(log2(amax / max)), exactly: the least power of two that does not clip
    /// (cuBLAS).
    Rceil,
    /// (`round-1.75`) as `floor`, but rounded up from mantissa 1.75 on, for every element
    /// (compressed-tensors).
    Round175,
    /// (`ceil-log2`) as `rceil`, with the logarithm rounded to f32 before the ceiling. If amax /
    /// max is a few ulp above a power of two, it counts as that power (ModelOpt, torchao's RCEIL).
    CeilLog2,
}

/// All rules, in the order of tables. Parametric rules have their default.
const RULES: [ScaleRule; 15] = [
    ScaleRule::Amax,
    ScaleRule::Narrow,
    ScaleRule::FullRange,
    ScaleRule::MinMax,
    ScaleRule::Affine,
    ScaleRule::Percentile(99.9),
    ScaleRule::FourOverSix,
    ScaleRule::Floor,
    ScaleRule::Ceil,
    ScaleRule::Even,
    ScaleRule::Rceil,
    ScaleRule::Round175,
    ScaleRule::CeilLog2,
    ScaleRule::Mse,
    ScaleRule::MseFullRange,
];

impl ScaleRule {
    /// The rules that can choose scales of `format`.
    ///
    /// ```
    /// use lowbit_blocks::NVFP4;
    /// use lowbit_calib::ScaleRule;
    /// let names: Vec<String> = ScaleRule::fitting(&NVFP4).map(|rule| rule.to_string()).collect();
    /// assert_eq!(names, ["amax", "percentile:99.9", "four-over-six", "mse"]);
    /// ```
    pub fn fitting(format: &Format) -> impl Iterator<Item = Self> {
        RULES.into_iter().filter(move |rule| rule.fits(format))
    }

    /// The rule with the widest search for scales of `format`; `None` if no rule searches.
    ///
    /// ```
    /// use lowbit_blocks::{Format, NVFP4};
    /// use lowbit_calib::ScaleRule;
    /// assert_eq!(ScaleRule::searching(&NVFP4), Some(ScaleRule::Mse));
    /// let int4 = Format::named("int4-g128").unwrap(); // scales may be negative, too
    /// assert_eq!(ScaleRule::searching(&int4), Some(ScaleRule::MseFullRange));
    /// ```
    #[must_use]
    pub fn searching(format: &Format) -> Option<Self> {
        [Self::MseFullRange, Self::Mse].into_iter().find(|rule| rule.fits(format))
    }

    /// True if this rule can choose scales of `format`.
    #[must_use]
    pub fn fits(self, format: &Format) -> bool {
        use ScaleRule::*;
        let symmetric = format.element.is_int() && format.element.int_bits() > Some(1);
        if format.scale.outer.count().is_some() {
            return match self {
                MinMax => format.zero == Zero::Min && format.element.is_uint(),
                Mse if format.zero == Zero::Min => format.element.is_uint(),
                Amax | Mse => format.zero == Zero::None,
                _ => false,
            };
        }
        match (self, format.zero, format.scale.kind) {
            (Affine, Zero::Bias, scale) => {
                let unsigned = format.element.is_uint();
                unsigned && scale.is_float() && format.block.is_by_row()
            }
            (Affine, ..) | (_, Zero::Float | Zero::Bias | Zero::Min, _) => false,
            (MinMax | Mse, Zero::Int, scale) => scale.is_float(),
            (_, Zero::Int, _) | (MinMax, ..) => false,
            (Floor | Ceil | Even | Rceil | Round175 | CeilLog2 | Mse, Zero::None, scale)
                if scale.is_power_of_two() =>
            {
                suits_powers_of_two(format.element)
            }
            (_, _, scale) if scale.is_power_of_two() => false,
            (Floor | Ceil | Even | Rceil | Round175 | CeilLog2, ..) => false,
            (Amax | Percentile(_) | Mse, ..) => true,
            (Narrow, ..) => symmetric,
            (FullRange | MseFullRange, _, scale) => symmetric && scale.is_float(),
            (FourOverSix, _, scale) => {
                scale == ScaleKind::E4m3 && format.element == Element::E2m1 && format.has_tensor_scale()
            }
        }
    }

    /// Checks [`fits`](Self::fits). The error lists the rules that fit.
    pub(crate) fn check(self, format: &Format) -> Result<(), Error> {
        if self.fits(format) {
            return Ok(());
        }
        let fitting: Vec<String> = Self::fitting(format).map(|rule| rule.to_string()).collect();
        let fitting = if fitting.is_empty() { "no rule".to_owned() } else { fitting.join(", ") };
        Err(Error::Rule { rule: self.to_string(), format: format.name(), fitting })
    }

    /// True if a scale of the whole tensor needs the distribution of magnitudes, not only the
    /// extremes.
    pub(crate) fn needs_histogram(self, format: &Format) -> bool {
        format.block == Block::Tensor && matches!(self, Self::Percentile(_) | Self::Mse | Self::MseFullRange)
    }

    /// The divisor of amax.
    pub(crate) fn divisor(self, element: Element) -> f32 {
        match self {
            Self::FullRange | Self::MseFullRange => -element.min(),
            Self::Narrow => element.max(),
            _ if element.is_int() => (element.max() - element.min()) / 2.0,
            _ => element.max(),
        }
    }
}

/// True if an element supports power-of-two scales: minifloats and integers with a binary point,
/// but not tables.
fn suits_powers_of_two(element: Element) -> bool {
    element == Element::MxInt8 || element.float_format().is_some()
}
