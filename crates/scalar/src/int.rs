//! Signed integers of 1 to 8 bits in two's complement.
//!
//! ```text
//! code of B bits      value
//! 0 … 2^(B-1) - 1     code
//! 2^(B-1) … 2^B - 1   code - 2^B         Int4: 0b0111 = 7, 0b1000 = -8, 0b1111 = -1; Int1: 0b1 = -1
//! ```

use crate::Rounding;
use crate::number::{number_traits, rounds, total_order};
use crate::unpacked::Unpacked;

/// A signed integer of `B` bits, 1 to 8, from `-2^(B-1)` to `2^(B-1) - 1`.
///
/// NaN becomes 0; what is out of range, infinities included, becomes the nearest end of the range.
///
/// ```
/// use lowbit_scalar::Int4;
/// assert_eq!(Int4::from_f32(2.5).to_i8(), 2); // halfway: the even number
/// assert_eq!(Int4::from_f32(-100.0).to_i8(), -8);
/// assert_eq!(Int4::from_i8(-1).to_bits(), 0b1111);
/// assert_eq!(format!("{:?}", Int4::MIN), "Int4(-8, 0b1000)");
/// ```
#[derive(Clone, Copy, Default)]
#[cfg_attr(feature = "bytemuck", derive(bytemuck::Pod, bytemuck::Zeroable, bytemuck::TransparentWrapper))]
#[cfg_attr(
    feature = "zerocopy",
    derive(
        zerocopy::FromBytes,
        zerocopy::IntoBytes,
        zerocopy::Immutable,
        zerocopy::KnownLayout,
        zerocopy::Unaligned
    )
)]
#[repr(transparent)]
pub struct Int<const B: u32>(u8);

/// A signed integer of 1 bit: 0 or -1.
pub type Int1 = Int<1>;
/// A signed integer of 2 bits, -2 to 1.
pub type Int2 = Int<2>;
/// A signed integer of 3 bits, -4 to 3.
pub type Int3 = Int<3>;
/// A signed integer of 4 bits, -8 to 7.
pub type Int4 = Int<4>;
/// A signed integer of 5 bits, -16 to 15.
pub type Int5 = Int<5>;
/// A signed integer of 6 bits, -32 to 31.
pub type Int6 = Int<6>;
/// A signed integer of 7 bits, -64 to 63.
pub type Int7 = Int<7>;
/// A signed integer of 8 bits, -128 to 127.
pub type Int8 = Int<8>;

impl<const B: u32> Int<B> {
    /// Width of the code in bits; a width other than 1 to 8 does not compile.
    pub const BITS: u32 = {
        assert!(1 <= B && B <= 8, "integers have 1 to 8 bits");
        B
    };
    /// Largest value, `2^(B-1) - 1`.
    pub const MAX: Self = Self((1 << (Self::BITS - 1)) - 1);
    /// Smallest value, `-2^(B-1)`.
    pub const MIN: Self = Self(1 << (Self::BITS - 1));
    /// Zero.
    pub const ZERO: Self = Self(0);
    const MASK: u8 = u8::MAX >> (8 - Self::BITS);
    pub(crate) const NAME: &str =
        ["Int1", "Int2", "Int3", "Int4", "Int5", "Int6", "Int7", "Int8"][Self::BITS as usize - 1];

    /// The value with this code; bits above the width are ignored.
    pub const fn from_bits(code: u8) -> Self {
        Self(code & Self::MASK)
    }

    /// The code, below `2^B`.
    pub const fn to_bits(self) -> u8 {
        self.0 & Self::MASK
    }

    /// The nearest value of the range.
    pub const fn from_i8(value: i8) -> Self {
        Self::saturate(value as i32)
    }

    /// The value, exactly.
    pub const fn to_i8(self) -> i8 {
        let unused = 8 - Self::BITS;
        (self.0 << unused) as i8 >> unused
    }

    /// The value, exactly.
    pub const fn to_f32(self) -> f32 {
        self.to_i8() as f32
    }

    /// The value, exactly.
    pub const fn to_f64(self) -> f64 {
        self.to_i8() as f64
    }

    const fn round(x: Unpacked, rounding: Rounding) -> Self {
        Self::saturate(x.to_integer(0, rounding))
    }

    const fn saturate(value: i32) -> Self {
        let (min, max) = (Self::MIN.to_i8() as i32, Self::MAX.to_i8() as i32);
        let value = if value < min {
            min
        } else if value > max {
            max
        } else {
            value
        };
        Self::from_bits(value as u8)
    }
}

rounds!([const B: u32] Int<B>);
number_traits!([const B: u32] Int<B>, Self::NAME, Self::from_f64);
total_order!([const B: u32] Int<B>);

impl<const B: u32> From<Int<B>> for i8 {
    /// Exact.
    fn from(x: Int<B>) -> i8 {
        x.to_i8()
    }
}

impl From<i8> for Int8 {
    /// Exact.
    fn from(x: i8) -> Int8 {
        Int8::from_i8(x)
    }
}
