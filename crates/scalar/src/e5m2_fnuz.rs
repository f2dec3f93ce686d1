//! FP8 E5M2FNUZ of AMD CDNA 3 and Graphcore: finite, no negative zero, bias one higher than the OCP format.
//!
//! ```text
//! code  s eeeee mm      bias 16, no infinity
//!       0 00000 01  2^-17                 smallest positive
//!       0 00001 00  2^-15                 smallest normal
//!       0 11111 11  2^15 * 1.75 = 57344   largest
//!       1 00000 00  the only NaN
//! ```
//!
//! Source: Noune et al., 8-bit Numerical Formats for Deep Neural Networks, arXiv 2206.02915.

use crate::minifloat::{minifloat, nan, signed, zero};
use crate::{FloatFormat, Specials};

minifloat! {
    /// FP8 E5M2FNUZ: magnitudes from 2^-17 to 57344, one NaN, no infinity, no negative zero.
    ///
    /// ```
    /// use lowbit_scalar::E5M2FNUZ;
    /// assert_eq!(E5M2FNUZ::MAX.to_f32(), 57344.0);
    /// assert_eq!(E5M2FNUZ::from_f32(9.0).to_f32(), 8.0); // halfway between 8 and 10: the even code
    /// assert_eq!(E5M2FNUZ::NAN.to_bits(), 0x80);
    /// ```
    E5M2FNUZ = FloatFormat {
        name: "E5M2FNUZ",
        exponent_bits: 5,
        mantissa_bits: 2,
        bias: 16,
        signed: true,
        specials: Specials::NanNegativeZero,
    };
}
signed!(E5M2FNUZ);
zero!(E5M2FNUZ);
nan!(E5M2FNUZ);
