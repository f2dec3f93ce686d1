//! FP8 E5M2 of the Open Compute Project: the upper byte of an IEEE half, with its infinities and NaNs.
//!
//! ```text
//! code  s eeeee mm      bias 15
//!       0 00000 01  2^-16                   smallest positive
//!       0 00001 00  2^-14                   smallest normal
//!       0 11110 11  2^15 * 1.75 = 57344     largest
//!       s 11111 00  infinity
//!       s 11111 mm  NaN, mm not 00; 10 is the canonical one
//! ```
//!
//! Source: OCP 8-bit Floating Point Specification (OFP8) 1.0, section 5.

use crate::minifloat::{infinity, minifloat, nan, negative_zero, signed, zero};
use crate::{FloatFormat, Specials};

minifloat! {
    /// FP8 E5M2: magnitudes from 2^-16 to 57344, infinities and NaNs as in IEEE 754.
    ///
    /// ```
    /// use lowbit_scalar::{E5M2, Overflow, Rounding};
    /// assert_eq!(E5M2::from_f32(1e6).to_f32(), 57344.0);
    /// assert_eq!(E5M2::from_f32_with(1e6, Rounding::NearestEven, Overflow::NonFinite), E5M2::INFINITY);
    /// ```
    E5M2 = FloatFormat {
        name: "E5M2",
        exponent_bits: 5,
        mantissa_bits: 2,
        bias: 15,
        signed: true,
        specials: Specials::Ieee,
    };
}
signed!(E5M2);
zero!(E5M2);
negative_zero!(E5M2);
infinity!(E5M2);
nan!(E5M2);
