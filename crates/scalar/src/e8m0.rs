//! E8M0, the power-of-two block scale of the OCP MX formats: an f32 exponent field by itself.
//!
//! ```text
//! code  eeeeeeee      value 2^(e - 127), from 2^-127 (0x00) to 2^127 (0xFE); 0xFF is NaN
//!                     no sign, no zero, no infinity, no subnormals
//! ```
//!
//! Rounding to nearest is by value, like everywhere: the midpoint between `2^k` and `2^(k+1)` is `1.5 * 2^k`. Both have
//! the one odd digit 1, so there is no even one to go to, and a tie goes to the larger (IEEE 754-2019 section 4.3.1). MX scale rules round up or down instead: [`E8M0::from_f32_ceil`], [`E8M0::from_f32_floor`].
//! They look at bits, so the result never depends on the last digit of a `log2`.
//!
//! Source: OCP Microscaling Formats 1.0, section 5.4.1.

use crate::minifloat::{minifloat, nan};
use crate::{FloatFormat, Overflow, Rounding, Specials};

minifloat! {
    /// A power of two from 2^-127 to 2^127, or NaN.
    ///
    /// What no power of two is near (zero, negative numbers, minus infinity) becomes 2^-127, the nearest value, when
    /// saturating, and NaN with [`Overflow::NonFinite`]. A positive number below 2^-127 rounds to 2^-127 either way.
    ///
    /// ```
    /// use lowbit_scalar::E8M0;
    /// assert_eq!(E8M0::from_f32(5.0).to_f32(), 4.0);
    /// assert_eq!(E8M0::from_f32(6.0).to_f32(), 8.0); // halfway between 4 and 8
    /// assert_eq!(E8M0::from_f32(6.0).to_bits(), 130); // 3 + 127
    /// ```
    E8M0 = FloatFormat {
        name: "E8M0",
        exponent_bits: 8,
        mantissa_bits: 0,
        bias: 127,
        signed: false,
        specials: Specials::NanAllOnes,
    };
}
nan!(E8M0);

impl E8M0 {
    /// `2^exponent`; exponents beyond -127 and 127 stop there.
    ///
    /// ```
    /// # use lowbit_scalar::E8M0;
    /// assert_eq!(E8M0::from_exponent(-3).to_f32(), 0.125);
    /// assert_eq!(E8M0::from_exponent(1000), E8M0::MAX);
    /// ```
    pub const fn from_exponent(exponent: i32) -> Self {
        let bias = Self::FORMAT.bias;
        let exponent = if exponent < -bias {
            -bias
        } else if exponent > bias {
            bias
        } else {
            exponent
        };
        Self((exponent + bias) as u8)
    }

    /// The exponent, -127 to 127; NaN gives 128, one beyond the largest.
    ///
    /// ```
    /// # use lowbit_scalar::E8M0;
    /// assert_eq!(E8M0::from_bits(130).exponent(), 3);
    /// ```
    pub const fn exponent(self) -> i32 {
        self.0 as i32 - Self::FORMAT.bias
    }

    /// The largest power of two not above `x`, clamped to the range; NaN is NaN.
    ///
    /// ```
    /// # use lowbit_scalar::E8M0;
    /// assert_eq!(E8M0::from_f32_floor(7.99).to_f32(), 4.0);
    /// assert_eq!(E8M0::from_f32_floor(8.0).to_f32(), 8.0);
    /// ```
    pub const fn from_f32_floor(x: f32) -> Self {
        Self::from_f32_with(x, Rounding::TowardZero, Overflow::Saturate)
    }

    /// The smallest power of two not below `x`, clamped to the range; NaN is NaN.
    ///
    /// ```
    /// # use lowbit_scalar::E8M0;
    /// assert_eq!(E8M0::from_f32_ceil(4.0).to_f32(), 4.0);
    /// assert_eq!(E8M0::from_f32_ceil(4.000001).to_f32(), 8.0);
    /// ```
    pub const fn from_f32_ceil(x: f32) -> Self {
        let floor = Self::from_f32_floor(x);
        if floor.to_f32() < x && floor.0 < Self::MAX.0 { Self(floor.0 + 1) } else { floor }
    }
}
