//! The conversions and bounds of `num-traits`. There is no arithmetic on codes, hence no `Zero`, `One`, `Num` or `Float`.
//!
//! `FromPrimitive` and `as_` round to nearest even and saturate, as `from_f32` does; `FromPrimitive` of a 64-bit number
//! is always `Some`. `ToPrimitive` of an integer truncates, and is `None` for NaN, infinities and what does not fit.

use ::num_traits::{AsPrimitive, Bounded, FromPrimitive, ToPrimitive};

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
