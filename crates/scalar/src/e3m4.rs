//! FP8 E3M4 with the infinities and NaNs of IEEE 754: narrow range, five significant bits.
//!
//! ```text
//! code  s eee mmmm      bias 3
//!       0 000 0001  2^-6                 smallest positive
//!       0 001 0000  2^-2                 smallest normal
//!       0 110 1111  2^3 * 1.9375 = 15.5  largest
//!       s 111 0000  infinity
//!       s 111 mmmm  NaN, mmmm not 0000; 1000 is the canonical one
//! ```
//!
//! Source: IEEE 754-2019 section 3.4 with these field widths; `ml_dtypes`.

use crate::minifloat::{infinity, minifloat, nan, negative_zero, signed, zero};
use crate::{FloatFormat, Specials};

minifloat! {
    /// FP8 E3M4: magnitudes from 2^-6 to 15.5, infinities, NaNs.
    ///
    /// ```
    /// use lowbit_scalar::E3M4;
    /// assert_eq!(E3M4::MAX.to_f32(), 15.5);
    /// assert_eq!(E3M4::from_f32(8.25).to_f32(), 8.0); // halfway between 8 and 8.5: the even code
    /// ```
    E3M4 = FloatFormat {
        name: "E3M4",
        exponent_bits: 3,
        mantissa_bits: 4,
        bias: 3,
        signed: true,
        specials: Specials::Ieee,
    };
}
signed!(E3M4);
zero!(E3M4);
negative_zero!(E3M4);
infinity!(E3M4);
nan!(E3M4);
