//! FP6 E3M2, the wide-range element of MXFP6.
//!
//! ```text
//! code  s eee mm      bias 3, no infinity, no NaN
//!       0 000 01  2^-4 = 0.0625     smallest positive
//!       0 001 00  2^-2 = 0.25       smallest normal
//!       0 111 11  2^4 * 1.75 = 28   largest
//! ```
//!
//! Source: OCP Microscaling Formats 1.0, section 5.3.2.

use crate::minifloat::{minifloat, negative_zero, signed, zero};
use crate::{FloatFormat, Specials};

minifloat! {
    /// FP6 E3M2: magnitudes from 0.0625 to 28.
    ///
    /// NaN has no code and becomes +0; infinities and all beyond ±28 become ±28.
    ///
    /// ```
    /// use lowbit_scalar::E3M2;
    /// assert_eq!(E3M2::from_f32(9.0).to_f32(), 8.0); // halfway between 8 = 0b011000 and 10 = 0b011001: the even code
    /// assert_eq!(E3M2::MAX.to_f32(), 28.0);
    /// ```
    E3M2 = FloatFormat {
        name: "E3M2",
        exponent_bits: 3,
        mantissa_bits: 2,
        bias: 3,
        signed: true,
        specials: Specials::None,
    };
}
signed!(E3M2);
zero!(E3M2);
negative_zero!(E3M2);
