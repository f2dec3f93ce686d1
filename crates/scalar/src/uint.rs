//! Unsigned integers of 1 to 8 bits: the code is the value.
//!
//! Asymmetric quantization stores `Uint` codes with a zero point: `w = scale * (code - zero)`.

use crate::Rounding;
use crate::number::{number_traits, rounds, total_order};
use crate::unpacked::Unpacked;

/// An unsigned integer of `B` bits, 1 to 8, from 0 to `2^B - 1`.
///
/// NaN and everything negative become 0; what is too large, infinity included, becomes `2^B - 1`.
///
/// ```
/// use lowbit_scalar::Uint4;
/// assert_eq!(Uint4::from_f32(2.5).to_u8(), 2); // halfway: the even number
/// assert_eq!(Uint4::from_f32(100.0).to_u8(), 15);
/// assert_eq!(format!("{:?}", Uint4::MAX), "Uint4(15, 0b1111)");
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
pub struct Uint<const B: u32>(u8);

/// An unsigned integer of 1 bit: 0 or 1.
pub type Uint1 = Uint<1>;
/// An unsigned integer of 2 bits, 0 to 3.
pub type Uint2 = Uint<2>;
/// An unsigned integer of 3 bits, 0 to 7.
pub type Uint3 = Uint<3>;
/// An unsigned integer of 4 bits, 0 to 15.
pub type Uint4 = Uint<4>;
/// An unsigned integer of 5 bits, 0 to 31.
pub type Uint5 = Uint<5>;
/// An unsigned integer of 6 bits, 0 to 63.
pub type Uint6 = Uint<6>;
/// An unsigned integer of 7 bits, 0 to 127.
pub type Uint7 = Uint<7>;
/// An unsigned integer of 8 bits, 0 to 255.
pub type Uint8 = Uint<8>;

impl<const B: u32> Uint<B> {
    /// Width of the code in bits; a width other than 1 to 8 does not compile.
    pub const BITS: u32 = {
        assert!(1 <= B && B <= 8, "integers have 1 to 8 bits");
        B
    };
    /// Largest value, `2^B - 1`.
    pub const MAX: Self = Self(u8::MAX >> (8 - Self::BITS));
    /// Smallest value, zero.
    pub const MIN: Self = Self(0);
    /// Zero.
    pub const ZERO: Self = Self(0);
    pub(crate) const NAME: &str =
        ["Uint1", "Uint2", "Uint3", "Uint4", "Uint5", "Uint6", "Uint7", "Uint8"][Self::BITS as usize - 1];

    /// The value with this code; bits above the width are ignored.
    pub const fn from_bits(code: u8) -> Self {
        Self(code & Self::MAX.0)
    }

    /// The code, below `2^B`.
    pub const fn to_bits(self) -> u8 {
        self.0 & Self::MAX.0
    }

    /// The nearest value of the range.
    pub const fn from_u8(value: u8) -> Self {
        Self::saturate(value as i32)
    }

    /// The value, exactly.
    pub const fn to_u8(self) -> u8 {
        self.to_bits()
    }

    /// The value, exactly.
    pub const fn to_f32(self) -> f32 {
        self.to_u8() as f32
    }

    /// The value, exactly.
    pub const fn to_f64(self) -> f64 {
        self.to_u8() as f64
    }

    const fn round(x: Unpacked, rounding: Rounding) -> Self {
        Self::saturate(x.to_integer(0, rounding))
    }

    const fn saturate(value: i32) -> Self {
        if value < 0 {
            Self::MIN
        } else if value > Self::MAX.0 as i32 {
            Self::MAX
        } else {
            Self(value as u8)
        }
    }
}

rounds!([const B: u32] Uint<B>);
number_traits!([const B: u32] Uint<B>, Self::NAME, Self::from_f64);
total_order!([const B: u32] Uint<B>);

impl<const B: u32> From<Uint<B>> for u8 {
    /// Exact.
    fn from(x: Uint<B>) -> u8 {
        x.to_u8()
    }
}

impl From<u8> for Uint8 {
    /// Exact.
    fn from(x: u8) -> Uint8 {
        Uint8::from_u8(x)
    }
}
