//! An f32, f64 or integer taken apart without rounding: the one input type of every encoder.
//!
//! ```text
//! value = (-1)^negative * significand / 2^63 * 2^exponent      significand has its leading one at bit 63
//! ```
//!
//! Going through f64 would also be exact for f32, but not for i64, and a NaN's sign does not survive a float cast
//! reliably; going through bits is exact for all of them and works in `const`.

use crate::Rounding;

/// A number that no rounding has touched yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unpacked {
    /// Not a number, with its sign bit.
    Nan { negative: bool },
    /// Plus or minus infinity.
    Infinite { negative: bool },
    /// Plus or minus zero.
    Zero { negative: bool },
    /// `significand / 2^63 * 2^exponent`, bit 63 of the significand set, so `exponent = floor(log2 |value|)`.
    Finite { negative: bool, exponent: i32, significand: u64 },
}

impl Unpacked {
    /// Takes an f32 apart.
    pub(crate) const fn from_f32(x: f32) -> Self {
        Self::from_ieee(x.to_bits() as u64, 8, 23)
    }

    /// Takes an f64 apart.
    pub(crate) const fn from_f64(x: f64) -> Self {
        Self::from_ieee(x.to_bits(), 11, 52)
    }

    /// Takes an integer given as sign and magnitude apart.
    #[cfg(feature = "num-traits")]
    pub(crate) const fn from_integer(negative: bool, magnitude: u64) -> Self {
        Self::from_significand(negative, 0, magnitude)
    }

    /// Takes an IEEE 754 interchange format of these field widths apart.
    const fn from_ieee(bits: u64, exponent_bits: u32, mantissa_bits: u32) -> Self {
        let specials_field = (1 << exponent_bits) - 1;
        let bias = specials_field >> 1;
        let negative = (bits >> (exponent_bits + mantissa_bits)) & 1 == 1;
        let field = (bits >> mantissa_bits) as i32 & specials_field;
        let mantissa = bits & ((1 << mantissa_bits) - 1);
        if field == specials_field {
            return if mantissa == 0 { Self::Infinite { negative } } else { Self::Nan { negative } };
        }
        // Subnormals share the exponent of field 1 and lack the leading one.
        let (field, significand) =
            if field == 0 { (1, mantissa) } else { (field, mantissa | 1 << mantissa_bits) };
        Self::from_significand(negative, field - bias - mantissa_bits as i32, significand)
    }

    /// `significand * 2^unit`, normalised.
    const fn from_significand(negative: bool, unit: i32, significand: u64) -> Self {
        if significand == 0 {
            return Self::Zero { negative };
        }
        let zeros = significand.leading_zeros();
        Self::Finite { negative, exponent: unit + 63 - zeros as i32, significand: significand << zeros }
    }

    /// The integer nearest to `value / 2^unit` by the given rule; NaN is 0, what does not fit saturates.
    pub(crate) const fn to_integer(self, unit: i32, rounding: Rounding) -> i32 {
        let (negative, magnitude) = match self {
            Self::Nan { .. } | Self::Zero { .. } => return 0,
            Self::Infinite { negative } => (negative, i32::MAX),
            Self::Finite { negative, exponent, significand } => {
                let exponent = exponent - unit;
                if exponent >= 30 {
                    (negative, i32::MAX)
                } else {
                    let (whole, fraction) = split(significand, (63 - exponent) as u32);
                    (negative, whole as i32 + rounding.moves_on(whole & 1 == 1, fraction) as i32)
                }
            }
        };
        if negative { -magnitude } else { magnitude }
    }
}

/// `significand / 2^shift` as whole part and fraction; the fraction is in units of `2^-64` with a sticky lowest bit.
pub(crate) const fn split(significand: u64, shift: u32) -> (u64, u64) {
    match shift {
        0 => (significand, 0),
        1..=63 => (significand >> shift, significand << (64 - shift)),
        64 => (0, significand),
        65..=127 => {
            let lost = significand & ((1 << (shift - 64)) - 1) != 0;
            (0, significand >> (shift - 64) | lost as u64)
        }
        _ => (0, (significand != 0) as u64),
    }
}
