//! OCP MXINT8: a byte in two's complement with an implied scale of 2^-6.
//!
//! ```text
//! code  0x01  2^-6 = 0.015625      0x7F  127/64 = 1.984375       0x81  -127/64      0x80  -2
//! ```
//!
//! The standard lets an encoder leave -2 unused so that the range is symmetric; this one does. Decoding accepts it.
//!
//! Source: OCP Microscaling Formats 1.0, section 5.3.4.

use crate::Rounding;
use crate::number::{number_traits, rounds, total_order};
use crate::unpacked::Unpacked;

/// A multiple of 1/64 from -2 to 127/64; encoding stops at ±127/64.
///
/// NaN becomes 0.
///
/// ```
/// use lowbit_scalar::MxInt8;
/// assert_eq!(MxInt8::from_f32(0.5).to_bits(), 32);
/// assert_eq!(MxInt8::from_f32(-5.0).to_f32(), -1.984375);
/// assert_eq!(MxInt8::from_bits(0x80).to_f32(), -2.0);
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
pub struct MxInt8(u8);

impl MxInt8 {
    pub(crate) const NAME: &str = "MxInt8";
    /// Width of the code in bits.
    pub const BITS: u32 = 8;
    /// One step of the code is `2^SCALE_EXPONENT`.
    pub const SCALE_EXPONENT: i32 = -6;
    /// Largest value, 127/64.
    pub const MAX: Self = Self(i8::MAX as u8);
    /// Lowest value that encoding produces, -127/64; the code 0x80 = -2 is lower still.
    pub const MIN: Self = Self(-i8::MAX as u8);
    /// Smallest positive value, 1/64.
    pub const MIN_POSITIVE: Self = Self(1);
    /// Zero.
    pub const ZERO: Self = Self(0);
    /// One.
    pub const ONE: Self = Self::from_f32(1.0);

    /// The value with this code.
    pub const fn from_bits(code: u8) -> Self {
        Self(code)
    }

    /// The code.
    pub const fn to_bits(self) -> u8 {
        self.0
    }

    /// The value, exactly.
    pub const fn to_f32(self) -> f32 {
        const STEP: f32 = 1.0 / (1 << -MxInt8::SCALE_EXPONENT) as f32;
        self.0 as i8 as f32 * STEP
    }

    /// The value, exactly.
    pub const fn to_f64(self) -> f64 {
        self.to_f32() as f64
    }

    const fn round(x: Unpacked, rounding: Rounding) -> Self {
        let steps = x.to_integer(Self::SCALE_EXPONENT, rounding);
        let end = i8::MAX as i32;
        if steps > end {
            Self::MAX
        } else if steps < -end {
            Self::MIN
        } else {
            Self(steps as u8)
        }
    }
}

rounds!([] MxInt8);
number_traits!([] MxInt8, Self::NAME, Self::from_f64);
total_order!([] MxInt8);
