//! FP8 E4M3FNUZ of AMD CDNA 3 and Graphcore: finite, no negative zero, bias one higher than the OCP format.
//!
//! ```text
//! code  s eeee mmm      bias 8, no infinity
//!       0 0000 001  2^-10              smallest positive
//!       0 0001 000  2^-7               smallest normal
//!       0 1111 111  2^7 * 1.875 = 240  largest
//!       1 0000 000  the only NaN
//! ```
//!
//! Source: Noune et al., 8-bit Numerical Formats for Deep Neural Networks, arXiv 2206.02915.

use crate::minifloat::{minifloat, nan, signed, zero};
use crate::{FloatFormat, Specials};

minifloat! {
    /// FP8 E4M3FNUZ: magnitudes from 2^-10 to 240, one NaN, no infinity, no negative zero.
    ///
    /// A code means half of what the same code means in [`E4M3`](crate::E4M3), as long as it is neither NaN nor zero:
    ///
    /// ```
    /// use lowbit_scalar::{E4M3, E4M3FNUZ};
    /// assert_eq!(E4M3FNUZ::from_bits(0b0_0111_000).to_f32(), 0.5);
    /// assert_eq!(E4M3::from_bits(0b0_0111_000).to_f32(), 1.0);
    /// assert_eq!(E4M3FNUZ::from_f32(-1e-9).to_bits(), 0); // zero has no sign
    /// ```
    E4M3FNUZ = FloatFormat {
        name: "E4M3FNUZ",
        exponent_bits: 4,
        mantissa_bits: 3,
        bias: 8,
        signed: true,
        specials: Specials::NanNegativeZero,
    };
}
signed!(E4M3FNUZ);
zero!(E4M3FNUZ);
nan!(E4M3FNUZ);
