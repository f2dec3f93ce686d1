//! UE5M3, an unsigned FP8 for block scales: the mantissa of E4M3, and its sign bit spent on the exponent.
//!
//! ```text
//! code  eeeee mmm      bias 15, no sign, no infinity
//!       00000 000  0
//!       00000 001  2^-17                  smallest positive
//!       00001 000  2^-14                  smallest normal
//!       11111 110  2^16 * 1.75 = 114688   largest
//!       11111 111  NaN
//! ```

use crate::minifloat::{minifloat, nan, zero};
use crate::{FloatFormat, Specials};

minifloat! {
    /// UE5M3: 0 and magnitudes from 2^-17 to 114688, one NaN, no sign, no infinity.
    ///
    /// Negative numbers, minus infinity included, become 0, whatever the rounding and overflow.
    ///
    /// ```
    /// use lowbit_scalar::UE5M3;
    /// assert_eq!(UE5M3::from_f32(17.0).to_f32(), 16.0); // halfway between 16 and 18: the even code
    /// assert_eq!(UE5M3::from_f32(1.0).to_bits(), 0b01111_000);
    /// assert_eq!(UE5M3::from_f32(-1.0), UE5M3::ZERO);
    /// assert_eq!(UE5M3::from_f32(1e6), UE5M3::MAX);
    /// assert_eq!(UE5M3::NAN.to_bits(), 0xFF);
    /// ```
    UE5M3 = FloatFormat {
        name: "UE5M3",
        exponent_bits: 5,
        mantissa_bits: 3,
        bias: 15,
        signed: false,
        specials: Specials::NanAllOnes,
    };
}
zero!(UE5M3);
nan!(UE5M3);
