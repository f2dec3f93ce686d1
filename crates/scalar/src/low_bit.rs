//! One trait over the types of this crate, and conversions of whole slices on it.
//!
//! The methods are those that every type has by itself; code that knows its type needs no trait, and can use them in `const`.

use core::fmt::{Debug, Display};
use core::num::ParseFloatError;
use core::str::FromStr;

use crate::*;

/// A type of at most 8 bits, each code of which stands for a number.
///
/// ```
/// use lowbit_scalar::{E2M1, E3M0, Int4, LowBit};
///
/// /// The largest error of rounding these numbers.
/// fn largest_error<T: LowBit>(x: &[f32]) -> f32 {
///     x.iter().map(|&x| (T::from_f32(x).to_f32() - x).abs()).fold(0.0, f32::max)
/// }
///
/// let x = [0.5, 2.75, -5.0];
/// assert_eq!(largest_error::<E2M1>(&x), 1.0); // -5 becomes -4
/// assert_eq!(largest_error::<E3M0>(&x), 1.0); // -5 becomes -4
/// assert_eq!(largest_error::<Int4>(&x), 0.5); // 0.5 becomes 0
/// ```
pub trait LowBit:
    Copy
    + PartialEq
    + PartialOrd
    + Debug
    + Display
    + FromStr<Err = ParseFloatError>
    + Into<f32>
    + Into<f64>
    + Send
    + Sync
    + 'static
{
    /// The name of the type, for instance `"E4M3"` or `"Int4"`.
    const NAME: &'static str;
    /// Width of the code in bits.
    const BITS: u32;
    /// Largest finite value.
    const MAX: Self;
    /// Lowest finite value that encoding produces.
    const MIN: Self;

    /// The value with this code; bits above [`BITS`](Self::BITS) are ignored.
    fn from_bits(code: u8) -> Self;

    /// The code, below `2^BITS`.
    fn to_bits(self) -> u8;

    /// The nearest value, by the rules of the type; beyond the range, the nearest finite value.
    fn from_f32(x: f32) -> Self;

    /// The nearest value, rounded once, directly from f64.
    fn from_f64(x: f64) -> Self;

    /// The value, exactly.
    fn to_f32(self) -> f32;

    /// The value, exactly.
    fn to_f64(self) -> f64 {
        self.to_f32().into()
    }

    /// Whether this is NaN.
    fn is_nan(self) -> bool {
        self.to_f32().is_nan()
    }

    /// Whether this is neither NaN nor infinite.
    fn is_finite(self) -> bool {
        self.to_f32().is_finite()
    }
}

/// Conversions of slices of a [`LowBit`] type, one code in each byte; [`pack`] makes fewer bytes of them.
///
/// ```
/// use lowbit_scalar::{E2M1, LowBitSliceExt, pack};
/// let mut codes = [E2M1::ZERO; 4];
/// codes.convert_from_f32_slice(&[1.0, -0.5, 6.0, 2.6]);
/// let mut values = [0.0; 4];
/// codes.convert_to_f32_slice(&mut values);
/// assert_eq!(values, [1.0, -0.5, 6.0, 3.0]);
/// let mut bytes = [0; 2];
/// pack::pack_bits(E2M1::BITS, &codes.map(E2M1::to_bits), &mut bytes); // 1 is 0b0010, -0.5 is 0b1001
/// assert_eq!(bytes, [0b1001_0010, 0b0101_0111]);
/// ```
pub trait LowBitSliceExt {
    /// Rounds every number of `from`, as [`LowBit::from_f32`] does.
    ///
    /// # Panics
    /// If `from` has another length.
    fn convert_from_f32_slice(&mut self, from: &[f32]);

    /// Rounds every number of `from` once, as [`LowBit::from_f64`] does.
    ///
    /// # Panics
    /// If `from` has another length.
    fn convert_from_f64_slice(&mut self, from: &[f64]);

    /// Writes every value, exactly.
    ///
    /// # Panics
    /// If `to` has another length.
    fn convert_to_f32_slice(&self, to: &mut [f32]);

    /// Writes every value, exactly.
    ///
    /// # Panics
    /// If `to` has another length.
    fn convert_to_f64_slice(&self, to: &mut [f64]);
}

impl<T: LowBit> LowBitSliceExt for [T] {
    fn convert_from_f32_slice(&mut self, from: &[f32]) {
        assert_eq!(from.len(), self.len(), "numbers for {} codes", self.len());
        self.iter_mut().zip(from).for_each(|(code, &x)| *code = T::from_f32(x));
    }

    fn convert_from_f64_slice(&mut self, from: &[f64]) {
        assert_eq!(from.len(), self.len(), "numbers for {} codes", self.len());
        self.iter_mut().zip(from).for_each(|(code, &x)| *code = T::from_f64(x));
    }

    fn convert_to_f32_slice(&self, to: &mut [f32]) {
        assert_eq!(to.len(), self.len(), "room for the values of {} codes", self.len());
        to.iter_mut().zip(self).for_each(|(value, code)| *value = code.to_f32());
    }

    fn convert_to_f64_slice(&self, to: &mut [f64]) {
        assert_eq!(to.len(), self.len(), "room for the values of {} codes", self.len());
        to.iter_mut().zip(self).for_each(|(value, code)| *value = code.to_f64());
    }
}

macro_rules! low_bit {
    ([$($generic:tt)*] $type:ty, $name:expr) => {
        impl<$($generic)*> LowBit for $type {
            const NAME: &'static str = $name;
            const BITS: u32 = <$type>::BITS;
            const MAX: Self = <$type>::MAX;
            const MIN: Self = <$type>::MIN;

            fn from_bits(code: u8) -> Self {
                <$type>::from_bits(code)
            }

            fn to_bits(self) -> u8 {
                <$type>::to_bits(self)
            }

            fn from_f32(x: f32) -> Self {
                <$type>::from_f32(x)
            }

            fn from_f64(x: f64) -> Self {
                <$type>::from_f64(x)
            }

            fn to_f32(self) -> f32 {
                <$type>::to_f32(self)
            }

            fn to_f64(self) -> f64 {
                <$type>::to_f64(self)
            }
        }
    };
}

macro_rules! floats {
    ($($type:ident),*) => {
        $(low_bit!([] $type, stringify!($type));)*
    };
}

macro_rules! others {
    ([$($generic:tt)*] $type:ty) => {
        low_bit!([$($generic)*] $type, <$type>::NAME);
    };
}

for_every_type!(floats, others);
