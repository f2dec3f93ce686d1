//! The conversions and bounds of `num-traits`, and `Zero` and `One` where there is such a code.
//!
//! `Zero` asks for `+` and `One` for `*`: with this feature both are there, computed exactly and rounded once; infinities stay,
//! finite results saturate. Nothing else is computed on codes: there is no `Num` and no `Float`. E8M0 has no zero, Int1 no one, and
//! sums of the tables Nf4 and Fp4 mean nothing.
//!
//! `FromPrimitive` and `as_` round to nearest even and saturate, as `from_f32` does; `FromPrimitive` of a 64-bit number
//! is always `Some`. `ToPrimitive` of an integer truncates, and is `None` for NaN, infinities and what does not fit.

use core::ops::{Add, Mul};

use ::num_traits::{AsPrimitive, Bounded, FromPrimitive, One, ToPrimitive, Zero};

use crate::unpacked::Unpacked;
use crate::*;

macro_rules! conversions {
    ([$($generic:tt)*] $type:ty, $from_integer:expr) => {
        impl<$($generic)*> Bounded for $type {
            fn min_value() -> Self {
                Self::MIN
            }

            fn max_value() -> Self {
                Self::MAX
            }
        }

        impl<$($generic)*> FromPrimitive for $type {
            fn from_i64(n: i64) -> Option<Self> {
                Some($from_integer(n < 0, n.unsigned_abs()))
            }

            fn from_u64(n: u64) -> Option<Self> {
                Some($from_integer(false, n))
            }

            fn from_f32(x: f32) -> Option<Self> {
                Some(Self::from_f32(x))
            }

            fn from_f64(x: f64) -> Option<Self> {
                Some(Self::from_f64(x))
            }
        }

        impl<$($generic)*> ToPrimitive for $type {
            fn to_i64(&self) -> Option<i64> {
                (*self).to_f64().to_i64()
            }

            fn to_u64(&self) -> Option<u64> {
                (*self).to_f64().to_u64()
            }

            fn to_i128(&self) -> Option<i128> {
                (*self).to_f64().to_i128()
            }

            fn to_u128(&self) -> Option<u128> {
                (*self).to_f64().to_u128()
            }

            fn to_f32(&self) -> Option<f32> {
                Some((*self).to_f32())
            }

            fn to_f64(&self) -> Option<f64> {
                Some((*self).to_f64())
            }
        }

        impl<$($generic)*> AsPrimitive<f32> for $type {
            fn as_(self) -> f32 {
                self.to_f32()
            }
        }

        impl<$($generic)*> AsPrimitive<f64> for $type {
            fn as_(self) -> f64 {
                self.to_f64()
            }
        }

        impl<$($generic)*> AsPrimitive<$type> for f32 {
            fn as_(self) -> $type {
                <$type>::from_f32(self)
            }
        }

        impl<$($generic)*> AsPrimitive<$type> for f64 {
            fn as_(self) -> $type {
                <$type>::from_f64(self)
            }
        }
    };
}

/// E8M0 reaches 2^127, where rounding an integer to f64 first could move it onto a midpoint: straight from its bits.
macro_rules! floats {
    ($($type:ident),*) => {
        $(conversions!([] $type, |negative, magnitude| {
            let x = Unpacked::from_integer(negative, magnitude);
            Self::from_bits(Self::FORMAT.encode(x, Rounding::NearestEven, Overflow::Saturate))
        });)*
    };
}

/// All values and cuts of the other types are below 2^53: where f64 rounds, they have saturated.
macro_rules! rest {
    ([$($generic:tt)*] $type:ty) => {
        conversions!([$($generic)*] $type, |negative, magnitude| {
            let x = magnitude as f64;
            Self::from_f64(if negative { -x } else { x })
        });
    };
}

for_every_type!(floats, rest);

/// `+` and `*` of f64, which are exact for two values of one type, rounded by `$round`.
macro_rules! arithmetic {
    ([$($generic:tt)*] $type:ty, $round:expr) => {
        impl<$($generic)*> Add for $type {
            type Output = Self;

            /// The exact sum, rounded once.
            fn add(self, other: Self) -> Self {
                $round(self.to_f64() + other.to_f64())
            }
        }

        impl<$($generic)*> Mul for $type {
            type Output = Self;

            /// The exact product, rounded once.
            fn mul(self, other: Self) -> Self {
                $round(self.to_f64() * other.to_f64())
            }
        }

        impl<$($generic)*> Zero for $type {
            fn zero() -> Self {
                Self::ZERO
            }

            fn is_zero(&self) -> bool {
                (*self).to_f32() == 0.0
            }
        }
    };
}

macro_rules! one {
    ([$($generic:tt)*] $type:ty) => {
        impl<$($generic)*> One for $type {
            fn one() -> Self {
                Self::from_f32(1.0)
            }
        }
    };
}

macro_rules! float_arithmetic {
    ($($type:ident),*) => {$(
        arithmetic!([] $type, |x: f64| {
            let overflow = if x.is_infinite() { Overflow::NonFinite } else { Overflow::Saturate };
            Self::from_f64_with(x, Rounding::NearestEven, overflow)
        });
        one!([] $type);
    )*};
}

float_arithmetic!(E2M1, E3M0, E3M2, E2M3, E4M3, E5M2, UE5M3, E4M3FNUZ, E5M2FNUZ, E4M3B11FNUZ, E4M3Ieee, E3M4);
arithmetic!([] MxInt8, Self::from_f64);
arithmetic!([const B: u32] Int<B>, Self::from_f64);
arithmetic!([const B: u32] Uint<B>, Self::from_f64);
one!([] MxInt8);
one!([const B: u32] Uint<B>);

macro_rules! one_of_integers {
    ($($bits:literal)*) => {
        $(one!([] Int<$bits>);)*
    };
}
one_of_integers!(2 3 4 5 6 7 8);
