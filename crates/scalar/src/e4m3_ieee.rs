//! FP8 E4M3 with the infinities and NaNs of IEEE 754 (`float8_e4m3` of `ml_dtypes`); not the OCP format.
//!
//! ```text
//! code  s eeee mmm      bias 7
//!       0 0000 001  2^-9               smallest positive
//!       0 0001 000  2^-6               smallest normal
//!       0 1110 111  2^7 * 1.875 = 240  largest
//!       s 1111 000  infinity
//!       s 1111 mmm  NaN, mmm not 000; 100 is the canonical one
//! ```
//!
//! Source: IEEE 754-2019 section 3.4 with these field widths; `ml_dtypes`.

use crate::minifloat::{infinity, minifloat, nan, negative_zero, signed, zero};
use crate::{FloatFormat, Specials};

minifloat! {
    /// FP8 E4M3 as IEEE 754 would have it: magnitudes from 2^-9 to 240, infinities, NaNs.
    ///
    /// It agrees with [`E4M3`](crate::E4M3) on every code below infinity, and spends the top binade on specials:
    ///
    /// ```
    /// use lowbit_scalar::{E4M3, E4M3Ieee};
    /// assert_eq!((E4M3Ieee::MAX.to_f32(), E4M3::MAX.to_f32()), (240.0, 448.0));
    /// assert_eq!(E4M3::from_bits(E4M3Ieee::INFINITY.to_bits()).to_f32(), 256.0);
    /// ```
    E4M3Ieee = FloatFormat {
        name: "E4M3IEEE",
        exponent_bits: 4,
        mantissa_bits: 3,
        bias: 7,
        signed: true,
        specials: Specials::Ieee,
    };
}
signed!(E4M3Ieee);
zero!(E4M3Ieee);
negative_zero!(E4M3Ieee);
infinity!(E4M3Ieee);
nan!(E4M3Ieee);
