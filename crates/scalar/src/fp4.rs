//! The FP4 of bitsandbytes: a sign and eight magnitudes in an order of their own. It is not E2M1.
//!
//! ```text
//! code  s ttt      ttt: 000  001     010   011    100   101   110   111
//!                  x12: 0    0.0625  8     12     4     6     2     3
//! ```
//!
//! A magnitude goes to the larger of two neighbours only if it is strictly above the cut that the CUDA kernel writes
//! down (some of the decimals are a few ulp off the midpoint, so they are copied, not derived).
//!
//! Source: bitsandbytes `csrc/kernels.cu` (`dQuantizeFP4`, `fp4_dequantization_lut`).

use crate::number::{number_traits, partial_order};

/// bitsandbytes FP4: 0, 1/192, 1/6, 1/4, 1/3, 1/2, 2/3, 1 and their negatives.
///
/// Numbers beyond ±1 become ±1. The sign bit is `x < 0`: -0.0 becomes +0 (code 0), a tiny negative number becomes -0
/// (code 8). NaN becomes +0.
///
/// ```
/// use lowbit_scalar::Fp4;
/// assert_eq!(Fp4::from_f32(0.5).to_bits(), 0b0101);
/// assert_eq!(Fp4::from_f32(-0.9).to_f32(), -1.0);
/// assert_eq!(Fp4::from_f32(-1e-9).to_bits(), 0b1000);
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
pub struct Fp4(u8);

/// Magnitude codes by increasing value.
const BY_VALUE: [u8; 8] = [0b000, 0b001, 0b110, 0b111, 0b100, 0b101, 0b010, 0b011];

impl Fp4 {
    pub(crate) const NAME: &str = "Fp4";
    /// Width of the code in bits.
    pub const BITS: u32 = 4;
    /// The value of every code.
    pub const TABLE: [f32; 16] = {
        let twelfths = [0.0, 0.0625, 8.0, 12.0, 4.0, 6.0, 2.0, 3.0];
        let mut table = [0.0; 16];
        let mut code = 0;
        while code < 8 {
            table[code] = twelfths[code] / 12.0;
            table[code + 8] = -table[code];
            code += 1;
        }
        table
    };
    /// Between neighbouring magnitudes, increasing: strictly above is the larger one.
    pub const CUTS: [f32; 7] =
        [0.00260417, 0.0859375, 0.20833333, 0.29166667, 0.4166667, 0.583333, 0.8333333];
    /// One.
    pub const MAX: Self = Self(0b0011);
    /// Minus one.
    pub const MIN: Self = Self(0b1011);
    /// Positive zero.
    pub const ZERO: Self = Self(0);

    /// The value with this code; bits above the lowest four are ignored.
    pub const fn from_bits(code: u8) -> Self {
        Self(code & 0xF)
    }

    /// The code, below 16.
    pub const fn to_bits(self) -> u8 {
        self.0 & 0xF
    }

    /// The nearest value, by the kernel's cuts.
    pub const fn from_f32(x: f32) -> Self {
        Self::from_f64(x as f64)
    }

    /// The nearest value, by the kernel's cuts.
    pub const fn from_f64(x: f64) -> Self {
        let sign = if x < 0.0 { 0b1000 } else { 0 };
        let mut rank = 0;
        while rank < Self::CUTS.len() && x.abs() > Self::CUTS[rank] as f64 {
            rank += 1;
        }
        Self(sign | BY_VALUE[rank])
    }

    /// The value, as in [`TABLE`](Self::TABLE).
    pub const fn to_f32(self) -> f32 {
        Self::TABLE[self.to_bits() as usize]
    }

    /// The value, as in [`TABLE`](Self::TABLE).
    pub const fn to_f64(self) -> f64 {
        self.to_f32() as f64
    }

    /// The order of values, -0 below +0: unlike `<`, it tells all sixteen codes apart.
    pub fn total_cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.to_f32().total_cmp(&other.to_f32())
    }
}

number_traits!([] Fp4, Self::NAME, Self::from_f64);
partial_order!([] Fp4);
