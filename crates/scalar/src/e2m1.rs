//! FP4 E2M1, the element of MXFP4 and NVFP4: eight magnitudes and a sign.
//!
//! ```text
//! code  s ee m      bias 1, no infinity, no NaN
//!       0 00 0  0      0 01 0  1      0 10 0  2      0 11 0  4
//!       0 00 1  0.5    0 01 1  1.5    0 10 1  3      0 11 1  6
//! ```
//!
//! Source: OCP Microscaling Formats 1.0, section 5.3.3.

use crate::minifloat::{minifloat, negative_zero, signed, zero};
use crate::{FloatFormat, Specials};

minifloat! {
    /// FP4 E2M1: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives.
    ///
    /// NaN has no code and becomes +0; infinities and all beyond ±6 become ±6.
    ///
    /// ```
    /// use lowbit_scalar::E2M1;
    /// assert_eq!(E2M1::from_f32(2.5).to_f32(), 2.0); // halfway between 2 = 0b0100 and 3 = 0b0101: the even code
    /// assert_eq!(E2M1::from_f32(-100.0), E2M1::MIN);
    /// assert_eq!(format!("{:?}", E2M1::from_f32(1.5)), "E2M1(1.5, 0b0011)");
    /// const _: () = assert!(E2M1::MAX.to_f32() == 6.0);
    /// ```
    E2M1 = FloatFormat {
        name: "E2M1",
        exponent_bits: 2,
        mantissa_bits: 1,
        bias: 1,
        signed: true,
        specials: Specials::None,
    };
}
signed!(E2M1);
zero!(E2M1);
negative_zero!(E2M1);
