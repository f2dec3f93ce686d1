//! One descriptor per floating-point format of at most 8 bits, and the exact codec that follows from it.
//!
//! ```text
//! code = [sign] exponent mantissa             most significant bit first, bits above are ignored
//! exponent field f > 0:  (-1)^sign * 2^(f - bias) * (1 + mantissa / 2^m)
//! exponent field f = 0:  (-1)^sign * 2^(1 - bias) *      mantissa / 2^m      (zero and subnormals; m = 0 has zero alone)
//! without sign and mantissa, field 0 is a power of two like the others (E8M0)
//! ```
//!
//! Codes of one sign count upward with their values, so encoding is: find the step between codes where the number lies,
//! divide by it exactly, round the quotient once. A carry out of the mantissa moves into the exponent field by itself.
//!
//! Sources: IEEE 754-2019 section 3.4; OCP 8-bit Floating Point Specification 1.0 (E4M3, E5M2); OCP Microscaling
//! Formats 1.0 section 5.3 (E2M1, E3M2, E2M3, E8M0); Noune et al., arXiv 2206.02915 (the FNUZ formats).

use crate::unpacked::{Unpacked, split};
use crate::{Overflow, Rounding};

/// Which codes stand for infinities and NaNs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Specials {
    /// None: every code is a finite number (OCP MX FP4 and FP6).
    None,
    /// As IEEE 754: the largest exponent field holds infinity (mantissa 0) and NaNs (all other mantissas).
    Ieee,
    /// Only the code with all exponent and mantissa bits set is NaN, once per sign; no infinity ("fn").
    NanAllOnes,
    /// Only the code that would be negative zero is NaN; no infinity, no negative zero ("fnuz").
    NanNegativeZero,
}

/// A floating-point format of at most 8 bits, from which every constant and the codec are derived.
///
/// A format of one's own is a value of this type:
///
/// ```
/// use lowbit_scalar::{FloatFormat, Overflow, Rounding, Specials};
/// const E2M2: FloatFormat =
///     FloatFormat { name: "E2M2", exponent_bits: 2, mantissa_bits: 2, bias: 1, signed: true, specials: Specials::None };
/// assert_eq!(E2M2.bits(), 5);
/// assert_eq!(E2M2.max(), 7.0); // 2^(3 - 1) * (1 + 3/4)
/// let code = E2M2.encode_f32(-2.6, Rounding::NearestEven, Overflow::Saturate);
/// assert_eq!((code, E2M2.decode_f32(code)), (0b1_10_01, -2.5)); // -2^(2 - 1) * (1 + 1/4)
/// ```
///
/// Values must fit f32, so `2 - bias - mantissa_bits >= -148` and the largest exponent is at most 127; the bits,
/// sign included, must be at most 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FloatFormat {
    /// The name as the standard writes it, for instance `"E4M3"`.
    pub name: &'static str,
    /// Width of the exponent field.
    pub exponent_bits: u32,
    /// Width of the mantissa field, without the hidden bit.
    pub mantissa_bits: u32,
    /// What is subtracted from the exponent field.
    pub bias: i32,
    /// Whether the top bit is a sign; without it no value is negative.
    pub signed: bool,
    /// Which codes are not finite numbers.
    pub specials: Specials,
}

impl FloatFormat {
    /// Width of a code: sign, exponent and mantissa.
    pub const fn bits(&self) -> u32 {
        self.signed as u32 + self.exponent_bits + self.mantissa_bits
    }

    /// The bits of a byte that belong to the code.
    pub const fn mask(&self) -> u8 {
        (u8::MAX as u32 >> (8 - self.bits())) as u8
    }

    /// The sign bit, or 0 for an unsigned format.
    pub const fn sign_mask(&self) -> u8 {
        self.mask() & !self.magnitude_mask()
    }

    /// Exponent and mantissa bits.
    const fn magnitude_mask(&self) -> u8 {
        (u8::MAX as u32 >> (8 - self.exponent_bits - self.mantissa_bits)) as u8
    }

    /// Whether zero has a code: in every format but those of powers of two alone, without sign and mantissa (E8M0).
    pub const fn has_zero(&self) -> bool {
        self.signed || self.mantissa_bits > 0
    }

    /// The magnitude bits of the largest finite value.
    pub const fn max_code(&self) -> u8 {
        match self.specials {
            Specials::None | Specials::NanNegativeZero => self.magnitude_mask(),
            Specials::NanAllOnes => self.magnitude_mask() - 1,
            Specials::Ieee => self.magnitude_mask() - (1 << self.mantissa_bits) as u8,
        }
    }

    /// The code of the lowest finite value: minus the largest; without a sign zero, or the smallest positive value.
    pub const fn min_code(&self) -> u8 {
        if self.signed { self.sign_mask() | self.max_code() } else { 0 }
    }

    /// The code of the smallest positive normal value.
    pub const fn min_positive_code(&self) -> u8 {
        if self.has_zero() { 1 << self.mantissa_bits } else { 0 }
    }

    /// The code of the smallest positive value, subnormals included.
    pub const fn min_positive_subnormal_code(&self) -> u8 {
        self.has_zero() as u8
    }

    /// The code of infinity, where there is one.
    pub const fn infinity_code(&self) -> Option<u8> {
        match self.specials {
            Specials::Ieee => Some(self.max_code() + 1),
            _ => None,
        }
    }

    /// The code of the canonical NaN, where there is one: positive if a sign can be had, quiet if there is a choice.
    pub const fn nan_code(&self) -> Option<u8> {
        match self.specials {
            Specials::None => None,
            Specials::Ieee => Some(self.max_code() + 1 + (1 << (self.mantissa_bits - 1))),
            Specials::NanAllOnes => Some(self.magnitude_mask()),
            Specials::NanNegativeZero => Some(self.sign_mask()),
        }
    }

    /// How many codes are NaN.
    pub const fn nan_count(&self) -> u32 {
        let signs = 1 + self.signed as u32;
        match self.specials {
            Specials::None => 0,
            Specials::Ieee => signs * ((1 << self.mantissa_bits) - 1),
            Specials::NanAllOnes => signs,
            Specials::NanNegativeZero => 1,
        }
    }

    /// Largest finite value.
    pub const fn max(&self) -> f32 {
        self.decode_f32(self.max_code())
    }

    /// Lowest finite value: `-max()`; for an unsigned format 0, or `min_positive()` where there is no zero.
    pub const fn min(&self) -> f32 {
        self.decode_f32(self.min_code())
    }

    /// Smallest positive normal value, `2^(1 - bias)`; for E8M0 `2^-bias`.
    pub const fn min_positive(&self) -> f32 {
        self.decode_f32(self.min_positive_code())
    }

    /// Smallest positive value, subnormals included.
    pub const fn min_positive_subnormal(&self) -> f32 {
        self.decode_f32(self.min_positive_subnormal_code())
    }

    /// Distance between 1.0 and the next larger value, `2^-mantissa_bits`.
    pub const fn epsilon(&self) -> f32 {
        power_of_two(-(self.mantissa_bits as i32)) as f32
    }

    /// Whether the code is a NaN.
    pub const fn is_nan(&self, code: u8) -> bool {
        match self.specials {
            Specials::None => false,
            Specials::NanNegativeZero => code & self.mask() == self.sign_mask(),
            Specials::NanAllOnes => self.magnitude(code) > self.max_code(),
            Specials::Ieee => self.magnitude(code) > self.max_code() + 1,
        }
    }

    /// Whether the code is plus or minus infinity.
    pub const fn is_infinite(&self, code: u8) -> bool {
        matches!(self.infinity_code(), Some(infinity) if infinity == self.magnitude(code))
    }

    /// Whether the code has its sign bit set; true for the NaN of the FNUZ formats.
    pub const fn is_sign_negative(&self, code: u8) -> bool {
        code & self.sign_mask() != 0
    }

    const fn magnitude(&self, code: u8) -> u8 {
        code & self.magnitude_mask()
    }

    /// The value of a code, exactly. Bits above the code's width are ignored; a NaN is quiet and keeps its sign bit.
    pub const fn decode_f32(&self, code: u8) -> f32 {
        if self.is_nan(code) {
            // Not through f64: a cast need not keep the sign of a NaN.
            return f32::from_bits(f32::NAN.to_bits() | (self.is_sign_negative(code) as u32) << 31);
        }
        self.decode_f64(code) as f32
    }

    /// The value of a code, exactly. Bits above the code's width are ignored; a NaN is quiet and keeps its sign bit.
    pub const fn decode_f64(&self, code: u8) -> f64 {
        let sign = (self.is_sign_negative(code) as u64) << 63;
        let magnitude = if self.is_nan(code) {
            f64::NAN
        } else if self.is_infinite(code) {
            f64::INFINITY
        } else {
            let field = (self.magnitude(code) >> self.mantissa_bits) as i32;
            let mantissa = self.magnitude(code) as u32 & ((1 << self.mantissa_bits) - 1);
            let hidden = 1 << self.mantissa_bits;
            let (field, significand) =
                if field == 0 && self.has_zero() { (1, mantissa) } else { (field, mantissa | hidden) };
            significand as f64 * power_of_two(field - self.bias - self.mantissa_bits as i32)
        };
        f64::from_bits(magnitude.to_bits() | sign)
    }

    /// The code of `x`, rounded once. See [the crate's rules](crate#rules) for NaN, zeros and overflow.
    pub const fn encode_f32(&self, x: f32, rounding: Rounding, overflow: Overflow) -> u8 {
        self.encode(Unpacked::from_f32(x), rounding, overflow)
    }

    /// The code of `x`, rounded once and directly: going through f32 first would round twice.
    pub const fn encode_f64(&self, x: f64, rounding: Rounding, overflow: Overflow) -> u8 {
        self.encode(Unpacked::from_f64(x), rounding, overflow)
    }

    pub(crate) const fn encode(&self, x: Unpacked, rounding: Rounding, overflow: Overflow) -> u8 {
        match x {
            Unpacked::Nan { negative } => match self.nan_code() {
                Some(nan) => self.with_sign(negative, nan),
                None => 0,
            },
            Unpacked::Infinite { negative: true } | Unpacked::Finite { negative: true, .. }
                if !self.signed =>
            {
                self.zero(true, overflow)
            }
            Unpacked::Infinite { negative } => self.overflowed(negative, overflow),
            Unpacked::Zero { negative } => self.zero(negative, overflow),
            Unpacked::Finite { negative, exponent, significand } => {
                let magnitude = self.round(exponent, significand, rounding);
                if magnitude <= self.max_code() as i32 {
                    self.with_sign(negative, magnitude as u8)
                } else if matches!(rounding, Rounding::TowardZero) {
                    self.with_sign(negative, self.max_code())
                } else {
                    self.overflowed(negative, overflow)
                }
            }
        }
    }

    /// The magnitude code of `significand / 2^63 * 2^exponent`, counted on beyond the largest one if need be.
    const fn round(&self, exponent: i32, significand: u64, rounding: Rounding) -> i32 {
        let lowest = self.has_zero() as i32 - self.bias;
        if exponent < lowest && !self.has_zero() {
            return 0; // nothing below the smallest power of two
        }
        let binade = if exponent < lowest { lowest } else { exponent };
        let (steps, fraction) = split(significand, (binade - exponent) as u32 + 63 - self.mantissa_bits);
        // `steps` counts the hidden bit too, hence one field less.
        let below = ((binade + self.bias - 1) << self.mantissa_bits) + steps as i32;
        // A tie goes to the even code. E8M0 has one significant digit, 1, always odd, and a tie goes up: what IEEE 754
        // section 4.3.1 asks for where no even digit can be had.
        let is_odd = below & 1 == 1 || !self.has_zero();
        below + rounding.moves_on(is_odd, fraction) as i32
    }

    /// Puts the sign on magnitude bits, where a sign can be had.
    const fn with_sign(&self, negative: bool, magnitude: u8) -> u8 {
        let no_negative_zero = matches!(self.specials, Specials::NanNegativeZero) && magnitude == 0;
        if negative && !no_negative_zero { self.sign_mask() | magnitude } else { magnitude }
    }

    /// The code for a magnitude beyond the largest finite value.
    const fn overflowed(&self, negative: bool, overflow: Overflow) -> u8 {
        match (overflow, self.infinity_code(), self.nan_code()) {
            (Overflow::NonFinite, Some(code), _) => self.with_sign(negative, code),
            (Overflow::NonFinite, _, Some(nan)) => self.with_sign(negative, nan),
            _ if negative => self.min_code(),
            _ => self.max_code(),
        }
    }

    /// The code for zero; a format without zero, or without this sign, is out of range here.
    const fn zero(&self, negative: bool, overflow: Overflow) -> u8 {
        if self.has_zero() {
            return self.with_sign(negative, 0);
        }
        match (overflow, self.nan_code()) {
            (Overflow::NonFinite, Some(nan)) => nan,
            _ => self.min_code(),
        }
    }

    /// The code of the number with the other sign; zero and NaN of the FNUZ formats have one sign only and stay.
    pub(crate) const fn negate(&self, code: u8) -> u8 {
        let one_sign = matches!(self.specials, Specials::NanNegativeZero) && self.magnitude(code) == 0;
        if one_sign { code } else { code ^ self.sign_mask() }
    }

    /// An integer that orders codes by IEEE 754 totalOrder: -NaN, -inf, ..., -0, +0, ..., +inf, +NaN.
    pub(crate) const fn order_key(&self, code: u8) -> i16 {
        let magnitude = self.magnitude(code) as i16;
        match self.specials {
            Specials::NanNegativeZero if self.is_nan(code) => i16::MIN,
            _ if self.is_sign_negative(code) => -1 - magnitude,
            _ => magnitude,
        }
    }
}

/// `2^exponent` for the exponents of normal f64 numbers.
const fn power_of_two(exponent: i32) -> f64 {
    const BIAS: i32 = f64::MAX_EXP - 1;
    f64::from_bits(((exponent + BIAS) as u64) << (f64::MANTISSA_DIGITS - 1))
}
