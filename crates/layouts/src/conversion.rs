//! Conversions of formats between layouts, as far as formats alone decide them.

use super::{Carried, Layout};
use lowbit_blocks::transcode::{Exactness, Route};
use lowbit_blocks::{Dtype, Format, ScaleKind, Shape, TensorScale, Zero};
use lowbit_calib::recipes;
use std::fmt;

/// The outcome of a conversion, as far as it follows from layouts and formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every number is represented exactly.
    Exact,
    /// Every number is represented exactly if the scales and zero points allow it. They are checked
    /// before anything is written.
    Scales,
    /// Codes and block scales are unchanged. The tensor scale becomes its rounded reciprocal.
    Reciprocal,
    /// Weights are decoded and quantized again.
    Requantized,
    /// The layout has no corresponding format; the user has to name another one.
    Refused,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "exact",
            Self::Scales => "scales decide",
            Self::Reciprocal => "reciprocal",
            Self::Requantized => "requantized",
            Self::Refused => "-",
        })
    }
}

/// The format of the layout that represents the same numbers as this one: the format itself, or the
/// same integers with another kind of zero point. If the layout has neither, the format itself.
///
/// ```
/// use lowbit_blocks::{Format, NVFP4};
/// use lowbit_layouts::{MODELOPT, counterpart};
/// assert_eq!(counterpart(MODELOPT, &NVFP4), NVFP4);
/// // ModelOpt has no zero points; as codes of an INT4 without one they may still be the same numbers.
/// let asymmetric = Format::named("int4-g128-asym").unwrap();
/// assert_eq!(counterpart(MODELOPT, &asymmetric).name(), "int4-g128");
/// ```
pub fn counterpart(layout: &Layout, from: &Format) -> Format {
    let bits = from.element.bits() as u8;
    // The product of two levels of scales is an f32.
    let kind = if from.scale.outer.count().is_some() { ScaleKind::F32 } else { from.scale.kind };
    let unsigned = Format::uint(bits, from.block).with_scale(kind);
    let others = [
        Format::int(bits, from.block).with_scale(kind),
        unsigned.with_zero(Zero::Int),
        unsigned.with_zero(Zero::Bias),
        unsigned.with_zero(Zero::Float),
    ];
    let candidates = [*from].into_iter().chain(others.into_iter().filter(|_| from.is_integer()));
    candidates.into_iter().find(|format| !layout.carries(format).is_empty()).unwrap_or(*from)
}

/// The outcome of a conversion from one layout to another, for weights of dtype `weight` that are
/// stored as `format`.
pub fn conversion(from: &Layout, format: &Format, to: &Layout, weight: Dtype) -> Verdict {
    let stored = from.stores(format, weight);
    let target = counterpart(to, &stored);
    if to.carries(&target).is_empty() {
        return Verdict::Refused;
    }
    let target = to.stores(&target, weight);
    let requantized = match recipes::recipe(to.producer, &target, weight, false) {
        Some(_) => Verdict::Requantized,
        // There is no recipe for this format: the numbers have to exist already.
        None => Verdict::Refused,
    };
    if to.rounds_scales || to.implied_scale(&target).is_some() && to.name() != from.name() {
        return requantized;
    }
    // A scale whose reciprocal is rounded, like most.
    let number = vec![3.0];
    let tensor_scale = match (stored.has_tensor_scale(), from.divides) {
        (false, _) => TensorScale::None,
        (true, false) => TensorScale::Multiply(number),
        (true, true) => TensorScale::Divide(number),
    };
    let divides = if to.keeps_direction { from.divides } else { to.divides };
    let shape = Shape::matrix(256, 512);
    let Ok(route) = Route::new(stored, target, shape, &tensor_scale, divides) else {
        return requantized;
    };
    if stored.has_tensor_scale() && target.has_tensor_scale() && from.divides != divides {
        return Verdict::Reciprocal;
    }
    if route.needs_facts() {
        return Verdict::Scales;
    }
    if to.refuses(&target, &[0]).is_some() {
        return Verdict::Scales;
    }
    match route.plan(&route.facts()).map(|transcoder| transcoder.exactness()) {
        Ok(Exactness::Exact) => Verdict::Exact,
        Ok(_) => Verdict::Scales,
        Err(_) => requantized,
    }
}

/// The preset formats that a layout carries, with the name that each has here and the ways in which
/// the layout carries it.
pub fn carried(layout: &Layout) -> impl Iterator<Item = (&'static str, Format, Vec<Carried>)> + '_ {
    let of = |(name, format): &(&'static str, Format)| {
        let ways = layout.carries(format);
        (!ways.is_empty()).then_some((*name, *format, ways))
    };
    lowbit_blocks::FORMATS.iter().filter_map(of)
}
