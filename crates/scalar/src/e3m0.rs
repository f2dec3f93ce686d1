//! FP4 E3M0: zero, seven powers of two, and a sign.
//!
//! ```text
//! code  s eee      bias 3, no mantissa, no subnormals, no infinity, no NaN
//!       0 000  0        0 010  0.5      0 100  2      0 110  8
//!       0 001  0.25     0 011  1        0 101  4      0 111  16
//! ```
//!
//! A number halfway between two values goes to the even code: 0.75, between 0.5 = 0b010 and 1 = 0b011, becomes 0.5.

use crate::minifloat::{minifloat, negative_zero, signed, zero};
use crate::{FloatFormat, Specials};

minifloat! {
    /// FP4 E3M0: 0, 0.25, 0.5, 1, 2, 4, 8, 16 and their negatives.
    ///
    /// NaN has no code and becomes +0; infinities and all beyond ±16 become ±16.
    ///
    /// ```
    /// use lowbit_scalar::E3M0;
    /// assert_eq!(E3M0::from_f32(3.0).to_f32(), 2.0); // halfway between 2 = 0b0100 and 4 = 0b0101: the even code
    /// assert_eq!(E3M0::from_f32(6.0).to_f32(), 8.0); // halfway between 4 = 0b0101 and 8 = 0b0110: the even code
    /// assert_eq!(E3M0::from_f32(-100.0), E3M0::MIN);
    /// assert_eq!(format!("{:?}", E3M0::from_f32(0.25)), "E3M0(0.25, 0b0001)");
    /// const _: () = assert!(E3M0::MAX.to_f32() == 16.0);
    /// ```
    E3M0 = FloatFormat {
        name: "E3M0",
        exponent_bits: 3,
        mantissa_bits: 0,
        bias: 3,
        signed: true,
        specials: Specials::None,
    };
}
signed!(E3M0);
zero!(E3M0, without subnormals);
negative_zero!(E3M0);
