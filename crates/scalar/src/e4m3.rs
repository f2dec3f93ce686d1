//! FP8 E4M3 of the Open Compute Project ("e4m3fn"), the usual FP8 of weights and the block scale of NVFP4.
//!
//! ```text
//! code  s eeee mmm      bias 7, no infinity
//!       0 0000 001  2^-9              smallest positive
//!       0 0001 000  2^-6              smallest normal
//!       0 1111 110  2^8 * 1.75 = 448  largest
//!       s 1111 111  NaN
//! ```
//!
//! Source: OCP 8-bit Floating Point Specification (OFP8) 1.0, section 5.

use crate::minifloat::{minifloat, nan, negative_zero, signed, zero};
use crate::{FloatFormat, Specials};

minifloat! {
    /// FP8 E4M3 (OCP, "fn"): magnitudes from 2^-9 to 448, one NaN per sign, no infinity.
    ///
    /// ```
    /// use lowbit_scalar::{E4M3, Overflow, Rounding};
    /// assert_eq!(E4M3::from_f32(17.0).to_f32(), 16.0); // halfway between 16 and 18: the even code
    /// assert_eq!(E4M3::from_f32(1000.0), E4M3::MAX);
    /// // 464 is halfway to 480, which would be the next value: even is 448. Any more overflows.
    /// let with = |x| E4M3::from_f32_with(x, Rounding::NearestEven, Overflow::NonFinite);
    /// assert_eq!(with(464.0).to_f32(), 448.0);
    /// assert!(with(464.00003).is_nan());
    /// ```
    E4M3 = FloatFormat {
        name: "E4M3",
        exponent_bits: 4,
        mantissa_bits: 3,
        bias: 7,
        signed: true,
        specials: Specials::NanAllOnes,
    };
}
signed!(E4M3);
zero!(E4M3);
negative_zero!(E4M3);
nan!(E4M3);
