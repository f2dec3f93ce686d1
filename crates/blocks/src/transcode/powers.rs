//! Numbers as a mantissa times a power of two, and the numbers that a scale type can represent.
//!
//! ```text
//! x = ±1.mmm... * 2^exponent        a type represents x if  |x| <= its largest
//!         ^ lowest bit                                      lowest bit >= that of its smallest number
//!     |----| digits                                         digits <= its precision
//! ```

use half::{bf16, f16};
use lowbit_scalar::E4M3;

use crate::levels::Scale;
use crate::scale::ScaleKind;

/// The signed mantissa of a number, of magnitude in [1, 2), and its exponent. `None` for zeros,
/// infinities and NaN.
pub(super) fn split(x: f32) -> Option<(f32, i32)> {
    if x == 0.0 || !x.is_finite() {
        return None;
    }
    // The conversion is exact, and the result is never subnormal.
    let bits = f64::from(x).to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i32 - 1023;
    Some((f64::from_bits(bits & !(0x7ff << 52) | 1023 << 52) as f32, exponent))
}

/// `x * 2^by`, if that is exactly an f32.
pub(super) fn shifted(x: f32, by: i32) -> Option<f32> {
    if by == 0 || x == 0.0 || !x.is_finite() {
        return Some(x);
    }
    let factor = f64::from_bits(u64::try_from(1023 + by.clamp(-600, 600)).ok()? << 52);
    let wide = f64::from(x) * factor;
    let narrow = wide as f32;
    (f64::from(narrow) == wide).then_some(narrow)
}

/// True if this scale type represents `x` exactly; all NaNs count as equal.
pub(super) fn holds(kind: ScaleKind, x: f32) -> bool {
    kind == ScaleKind::F32 || same(stored(kind, x), x)
}

/// The value of `x` after storing.
pub(super) fn stored(kind: ScaleKind, x: f32) -> f32 {
    let mut read = [0.0];
    kind.decode_into(&kind.encode(x)[..kind.bytes()], &mut read);
    read[0]
}

/// True if the bits are the same, or both are NaN.
pub(super) const fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
}

/// True if `to` represents every number of `from`.
pub(super) fn contains(to: ScaleKind, from: ScaleKind) -> bool {
    use ScaleKind::{Bf16, E4m3, E8m0, F16, F32, Ue5m3};
    to == from || matches!((to, from), (F32, _) | (Bf16, E4m3 | E8m0 | Ue5m3) | (F16, E4m3))
}

/// True if `to` represents every scale of `from`. Scales of super-blocks are products, which f32
/// represents; as a target, super-blocks must be the same.
pub(super) fn scales_fit(to: &Scale, from: &Scale) -> bool {
    match (to.outer.count(), from.outer.count()) {
        (None, None) => contains(to.kind, from.kind),
        (None, Some(_)) => to.kind == ScaleKind::F32,
        (Some(_), _) => to == from,
    }
}

/// The largest number, the exponent of the lowest bit, and the number of binary digits.
const fn limits(kind: ScaleKind) -> (f32, i32, u32) {
    const fn lowest(min_exp: i32, digits: u32) -> i32 {
        min_exp - digits as i32
    }
    match kind {
        ScaleKind::F32 => (f32::MAX, lowest(f32::MIN_EXP, f32::MANTISSA_DIGITS), f32::MANTISSA_DIGITS),
        ScaleKind::F16 => (65504.0, lowest(f16::MIN_EXP, f16::MANTISSA_DIGITS), f16::MANTISSA_DIGITS),
        ScaleKind::Bf16 => {
            (f32::from_bits(0x7f7f_0000), lowest(bf16::MIN_EXP, bf16::MANTISSA_DIGITS), bf16::MANTISSA_DIGITS)
        }
        ScaleKind::E4m3 => {
            let digits = E4M3::FORMAT.mantissa_bits + 1;
            (E4M3::MAX.to_f32(), 1 - E4M3::FORMAT.bias - E4M3::FORMAT.mantissa_bits as i32, digits)
        }
        ScaleKind::E8m0 => (f32::from_bits(0xfe << 23), -127, 1),
        ScaleKind::Ue5m3 => (kind.largest(), 1 - 15 - 3, 4),
        ScaleKind::Int { .. } => (kind.largest(), 0, 8),
    }
}

/// The range of a set of scales. Zeros and NaN do not count.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Reach {
    pub(super) max: f32,
    pub(super) lowest: i32,
    pub(super) digits: u32,
    negative: bool,
    infinite: bool,
}

impl Reach {
    pub(super) const NONE: Self =
        Self { max: 0.0, lowest: i32::MAX, digits: 0, negative: false, infinite: false };

    pub(super) fn of(scale: f32) -> Self {
        let mut reach = Self { negative: scale.is_sign_negative() && !scale.is_nan(), ..Self::NONE };
        if let Some((mantissa, exponent)) = split(scale) {
            let trailing = (mantissa.to_bits() & 0x7f_ffff | 1 << 23).trailing_zeros();
            reach.max = scale.abs();
            reach.lowest = exponent - 23 + trailing as i32;
            reach.digits = 24 - trailing;
        }
        reach.infinite = scale.is_infinite();
        reach
    }

    pub(super) fn merge(&mut self, other: &Self) {
        *self = Self {
            max: self.max.max(other.max),
            lowest: self.lowest.min(other.lowest),
            digits: self.digits.max(other.digits),
            negative: self.negative | other.negative,
            infinite: self.infinite | other.infinite,
        };
    }

    /// True if merging `other` would change nothing.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let mut both = *self;
        both.merge(other);
        both == *self
    }

    /// The exponent of the power of two that divides all scales so that `kind` represents them. It
    /// is the closest to 0 for which the power and its reciprocal are normal f32 numbers.
    pub(super) fn exponent_into(&self, kind: ScaleKind) -> Option<i32> {
        let (max, lowest, digits) = limits(kind);
        let signs = kind.has_sign() || !self.negative;
        let infinities = kind.is_float() || !self.infinite;
        if !signs || !infinities || self.digits > digits {
            return None;
        }
        let (Some((mantissa, exponent)), Some((most, top))) = (split(self.max), split(max)) else {
            return Some(0); // no scale reaches anywhere
        };
        let least = exponent - top + i32::from(mantissa > most);
        let (least, most) = (least.max(-126), self.lowest.saturating_sub(lowest).min(126));
        (least <= most).then(|| 0.clamp(least, most))
    }
}

/// The nearest f32 to `1 / scale`, if it is finite and not zero.
pub(super) fn reciprocal(scale: f32) -> Option<f32> {
    let reciprocal = 1.0 / scale;
    (reciprocal.is_finite() && reciprocal != 0.0).then_some(reciprocal)
}

/// `2^exponent`, for exponents of normal numbers.
pub(super) fn power(exponent: i32) -> f32 {
    f32::from_bits(((127 + exponent) as u32) << 23)
}
