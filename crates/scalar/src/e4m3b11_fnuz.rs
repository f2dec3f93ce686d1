//! FP8 E4M3B11FNUZ: the FNUZ format with bias 11, for values below 32 such as hybrid FP8 activations.
//!
//! ```text
//! code  s eeee mmm      bias 11, no infinity
//!       0 0000 001  2^-13             smallest positive
//!       0 0001 000  2^-10             smallest normal
//!       0 1111 111  2^4 * 1.875 = 30  largest
//!       1 0000 000  the only NaN
//! ```
//!
//! Source: Sun et al., Hybrid 8-bit Floating Point (HFP8) Training and Inference, NeurIPS 2019; `ml_dtypes`.

use crate::minifloat::{minifloat, nan, signed, zero};
use crate::{FloatFormat, Specials};

minifloat! {
    /// FP8 E4M3B11FNUZ: magnitudes from 2^-13 to 30, one NaN, no infinity, no negative zero.
    ///
    /// ```
    /// use lowbit_scalar::E4M3B11FNUZ;
    /// assert_eq!(E4M3B11FNUZ::MAX.to_f32(), 30.0);
    /// assert_eq!(E4M3B11FNUZ::from_bits(0b0_1011_000).to_f32(), 1.0); // the exponent field is the bias
    /// ```
    E4M3B11FNUZ = FloatFormat {
        name: "E4M3B11FNUZ",
        exponent_bits: 4,
        mantissa_bits: 3,
        bias: 11,
        signed: true,
        specials: Specials::NanNegativeZero,
    };
}
signed!(E4M3B11FNUZ);
zero!(E4M3B11FNUZ);
nan!(E4M3B11FNUZ);
