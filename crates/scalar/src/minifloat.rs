//! The macros that stamp a [`FloatFormat`](crate::FloatFormat) into a type: declarations only, all arithmetic is in the descriptor.
//!
//! [`minifloat!`] declares what every format has; `signed!`, `zero!`, `infinity!` and `nan!` add the constants that only
//! some have, so that `E2M1::NAN` does not compile instead of being a wrong number.

/// Declares `pub struct $name(u8)` with the constants and conversions that every floating-point format has.
macro_rules! minifloat {
    ($(#[$doc:meta])* $name:ident = $format:expr;) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        #[cfg_attr(feature = "bytemuck", derive(bytemuck::Pod, bytemuck::Zeroable, bytemuck::TransparentWrapper))]
        #[cfg_attr(
            feature = "zerocopy",
            derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout, zerocopy::Unaligned)
        )]
        #[repr(transparent)]
        pub struct $name(u8);

        impl $name {
            /// The descriptor that everything here is derived from.
            pub const FORMAT: $crate::FloatFormat = $format;
            /// Width of the code in bits.
            pub const BITS: u32 = Self::FORMAT.bits();
            /// How many codes are NaN.
            pub const NAN_COUNT: u32 = Self::FORMAT.nan_count();
            /// Number of significant binary digits, the hidden one included.
            pub const MANTISSA_DIGITS: u32 = Self::FORMAT.mantissa_bits + 1;
            /// Largest finite value.
            pub const MAX: Self = Self(Self::FORMAT.max_code());
            /// Lowest finite value.
            pub const MIN: Self = Self(Self::FORMAT.min_code());
            /// Smallest positive normal value.
            pub const MIN_POSITIVE: Self = Self(Self::FORMAT.min_positive_code());
            /// Smallest positive value, subnormals included.
            pub const MIN_POSITIVE_SUBNORMAL: Self = Self(Self::FORMAT.min_positive_subnormal_code());
            /// Distance between 1.0 and the next larger value.
            pub const EPSILON: Self = Self::from_f32(Self::FORMAT.epsilon());
            /// One.
            pub const ONE: Self = Self::from_f32(1.0);
            /// [`MAX`](Self::MAX) as f32.
            pub const MAX_F32: f32 = Self::FORMAT.max();
            /// [`MIN`](Self::MIN) as f32.
            pub const MIN_F32: f32 = Self::FORMAT.min();
            /// [`MIN_POSITIVE`](Self::MIN_POSITIVE) as f32.
            pub const MIN_POSITIVE_F32: f32 = Self::FORMAT.min_positive();
            /// [`MIN_POSITIVE_SUBNORMAL`](Self::MIN_POSITIVE_SUBNORMAL) as f32.
            pub const MIN_POSITIVE_SUBNORMAL_F32: f32 = Self::FORMAT.min_positive_subnormal();
            /// The value of every code, indexed by the code.
            pub const VALUES: [f32; 1 << Self::BITS] = {
                let mut values = [0.0; 1 << Self::BITS];
                let mut code = 0;
                while code < values.len() {
                    values[code] = Self::FORMAT.decode_f32(code as u8);
                    code += 1;
                }
                values
            };

            /// The value with this code; bits above [`BITS`](Self::BITS) are ignored.
            pub const fn from_bits(code: u8) -> Self {
                Self(code & Self::FORMAT.mask())
            }

            /// The code, below `2^BITS`.
            pub const fn to_bits(self) -> u8 {
                self.0 & Self::FORMAT.mask()
            }

            /// Rounds to nearest even; beyond the range, to the nearest finite value.
            pub const fn from_f32(x: f32) -> Self {
                Self::from_f32_with(x, $crate::Rounding::NearestEven, $crate::Overflow::Saturate)
            }

            /// Rounds as asked.
            pub const fn from_f32_with(x: f32, rounding: $crate::Rounding, overflow: $crate::Overflow) -> Self {
                Self(Self::FORMAT.encode_f32(x, rounding, overflow))
            }

            /// Rounds once, directly from f64, to nearest even; beyond the range, to the nearest finite value.
            pub const fn from_f64(x: f64) -> Self {
                Self::from_f64_with(x, $crate::Rounding::NearestEven, $crate::Overflow::Saturate)
            }

            /// Rounds once, directly from f64, as asked.
            pub const fn from_f64_with(x: f64, rounding: $crate::Rounding, overflow: $crate::Overflow) -> Self {
                Self(Self::FORMAT.encode_f64(x, rounding, overflow))
            }

            /// The value, exactly.
            pub const fn to_f32(self) -> f32 {
                Self::FORMAT.decode_f32(self.0)
            }

            /// The value, exactly.
            pub const fn to_f64(self) -> f64 {
                Self::FORMAT.decode_f64(self.0)
            }

            /// Whether this is NaN; always false for a format without NaN.
            pub const fn is_nan(self) -> bool {
                Self::FORMAT.is_nan(self.0)
            }

            /// Whether this is plus or minus infinity; always false for a format without infinities.
            pub const fn is_infinite(self) -> bool {
                Self::FORMAT.is_infinite(self.0)
            }

            /// Whether this is neither NaN nor infinite.
            pub const fn is_finite(self) -> bool {
                !self.is_nan() && !self.is_infinite()
            }

            /// Whether the sign bit is set, also of zeros and NaNs.
            pub const fn is_sign_negative(self) -> bool {
                Self::FORMAT.is_sign_negative(self.0)
            }

            /// The IEEE 754 totalOrder: -NaN < -infinity < ... < -0 < +0 < ... < +infinity < +NaN. The one NaN of the
            /// FNUZ formats has its sign bit set and comes first.
            pub const fn total_cmp(&self, other: &Self) -> core::cmp::Ordering {
                let (a, b) = (Self::FORMAT.order_key(self.0), Self::FORMAT.order_key(other.0));
                if a < b {
                    core::cmp::Ordering::Less
                } else if a > b {
                    core::cmp::Ordering::Greater
                } else {
                    core::cmp::Ordering::Equal
                }
            }
        }

        $crate::number::partial_order!([] $name);
        $crate::number::number_traits!([] $name, stringify!($name), |x: f64| {
            use $crate::{Overflow, Rounding};
            let overflow = if x.is_infinite() { Overflow::NonFinite } else { Overflow::Saturate };
            Self::from_f64_with(x, Rounding::NearestEven, overflow)
        });
    };
}

/// Adds what a format with a sign bit has.
macro_rules! signed {
    ($name:ident) => {
        impl $name {
            /// Minus one.
            pub const NEG_ONE: Self = Self::from_f32(-1.0);

            /// The magnitude. NaN stays NaN, without its sign where that can be had.
            pub const fn abs(self) -> Self {
                if self.is_sign_negative() { self.neg() } else { self }
            }

            /// The value with the other sign, also of zeros and NaNs; what has one sign only (zero and NaN of the FNUZ
            /// formats) stays as it is.
            pub const fn neg(self) -> Self {
                Self(Self::FORMAT.negate(self.0))
            }
        }

        impl core::ops::Neg for $name {
            type Output = Self;
            fn neg(self) -> Self {
                Self::neg(self)
            }
        }
    };
}

/// Adds what a format has whose codes include zero; a format without mantissa has no subnormals beside it.
macro_rules! zero {
    ($name:ident) => {
        zero!($name, without subnormals);

        impl $name {
            /// Largest subnormal value.
            pub const MAX_SUBNORMAL: Self = Self(Self::FORMAT.min_positive_code() - 1);
        }
    };
    ($name:ident, without subnormals) => {
        impl $name {
            /// Positive zero.
            pub const ZERO: Self = Self(0);

            /// Whether this is neither zero, subnormal, infinite nor NaN.
            pub const fn is_normal(self) -> bool {
                self.is_finite()
                    && self.0 & !Self::FORMAT.sign_mask() & Self::FORMAT.mask() >= Self::MIN_POSITIVE.0
            }

            /// Whether this is finite and nearer to zero than the smallest normal value, but not zero.
            pub const fn is_subnormal(self) -> bool {
                self.is_finite() && !self.is_normal() && self.to_f32() != 0.0
            }
        }

        impl Default for $name {
            /// Positive zero.
            fn default() -> Self {
                Self::ZERO
            }
        }
    };
}

/// Adds the constant of a format that has a negative zero.
macro_rules! negative_zero {
    ($name:ident) => {
        impl $name {
            /// Negative zero.
            pub const NEG_ZERO: Self = Self(Self::FORMAT.sign_mask());
        }
    };
}

/// Adds the constants of a format that has infinities.
macro_rules! infinity {
    ($name:ident) => {
        impl $name {
            /// Positive infinity.
            pub const INFINITY: Self = Self(match Self::FORMAT.infinity_code() {
                Some(code) => code,
                None => panic!("this format has no infinity"),
            });
            /// Negative infinity.
            pub const NEG_INFINITY: Self = Self::INFINITY.neg();
        }
    };
}

/// Adds the constant of a format that has NaN.
macro_rules! nan {
    ($name:ident) => {
        impl $name {
            /// The canonical NaN: positive where it has a sign, quiet where there is a choice.
            pub const NAN: Self = Self(match Self::FORMAT.nan_code() {
                Some(code) => code,
                None => panic!("this format has no NaN"),
            });
        }
    };
}

pub(crate) use {infinity, minifloat, nan, negative_zero, signed, zero};
