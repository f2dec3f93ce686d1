//! FP6 E2M3, the fine-grained element of MXFP6.
//!
//! ```text
//! code  s ee mmm      bias 1, no infinity, no NaN
//!       0 00 001  2^-3 = 0.125          smallest positive
//!       0 01 000  1                     smallest normal
//!       0 11 111  2^2 * 1.875 = 7.5     largest
//! ```
//!
//! Source: OCP Microscaling Formats 1.0, section 5.3.2.

use crate::minifloat::{minifloat, negative_zero, signed, zero};
use crate::{FloatFormat, Specials};

minifloat! {
    /// FP6 E2M3: magnitudes from 0.125 to 7.5.
    ///
    /// NaN has no code and becomes +0; infinities and all beyond ±7.5 become ±7.5.
    ///
    /// ```
    /// use lowbit_scalar::E2M3;
    /// assert_eq!(E2M3::from_f32(0.3).to_f32(), 0.25); // steps of 0.125 below 2
    /// assert_eq!(E2M3::MAX.to_f32(), 7.5);
    /// ```
    E2M3 = FloatFormat {
        name: "E2M3",
        exponent_bits: 2,
        mantissa_bits: 3,
        bias: 1,
        signed: true,
        specials: Specials::None,
    };
}
signed!(E2M3);
zero!(E2M3);
negative_zero!(E2M3);
