//! NF4, the 4-bit NormalFloat of QLoRA and bitsandbytes: 16 quantiles of the normal distribution.
//!
//! ```text
//! code  0          1          …  7     8          …  15
//! value -1         -0.696193     0     0.079580      1        increasing with the code; 8 negatives, zero, 7 positives
//! ```
//!
//! A number goes to the upper of two neighbours only if it is strictly above their midpoint as f32 rounds it, so a tie
//! goes to the lower code. The table is what bitsandbytes writes down; the cuts follow from it.
//!
//! Sources: Dettmers et al., QLoRA, arXiv 2305.14314, appendix E; bitsandbytes `csrc/kernels.cu` (`dQuantizeNF4`).

use crate::number::{number_traits, total_order};

/// One of 16 quantiles of the normal distribution in [-1, 1].
///
/// Numbers beyond ±1 become ±1. NaN becomes 0 (code 7); bitsandbytes would store -1 (code 0), see
/// [the differences](crate#differences-from-ml_dtypes).
///
/// ```
/// use lowbit_scalar::Nf4;
/// assert_eq!(Nf4::from_f32(0.0).to_bits(), 7);
/// assert_eq!(Nf4::from_f32(0.1).to_f32(), 0.0795803); // 0.0796 and 0.1609 are the neighbours
/// assert_eq!(Nf4::from_f32(0.8).to_bits(), 14);
/// ```
#[derive(Clone, Copy)]
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
pub struct Nf4(u8);

impl Nf4 {
    pub(crate) const NAME: &str = "Nf4";
    /// Width of the code in bits.
    pub const BITS: u32 = 4;
    /// The value of every code, increasing.
    #[expect(
        clippy::excessive_precision,
        reason = "the digits of the source; each is the exact decimal of an f32"
    )]
    pub const TABLE: [f32; 16] = [
        -1.0,
        -0.6961928009986877,
        -0.5250730514526367,
        -0.39491748809814453,
        -0.28444138169288635,
        -0.18477343022823334,
        -0.09105003625154495,
        0.0,
        0.07958029955625534,
        0.16093020141124725,
        0.24611230194568634,
        0.33791524171829224,
        0.44070982933044434,
        0.5626170039176941,
        0.7229568362236023,
        1.0,
    ];
    /// Between codes `i` and `i + 1`: strictly above is the upper code.
    pub const CUTS: [f32; 15] = {
        let mut cuts = [0.0; 15];
        let mut i = 0;
        while i < cuts.len() {
            cuts[i] = (Self::TABLE[i] + Self::TABLE[i + 1]) / 2.0;
            i += 1;
        }
        cuts
    };
    /// One.
    pub const MAX: Self = Self(15);
    /// Minus one.
    pub const MIN: Self = Self(0);
    /// Zero.
    pub const ZERO: Self = Self(7);

    /// The value with this code; bits above the lowest four are ignored.
    pub const fn from_bits(code: u8) -> Self {
        Self(code & 0xF)
    }

    /// The code, below 16.
    pub const fn to_bits(self) -> u8 {
        self.0 & 0xF
    }

    /// The nearest value; a tie goes to the lower code.
    pub const fn from_f32(x: f32) -> Self {
        Self::from_f64(x as f64)
    }

    /// The nearest value; a tie goes to the lower code.
    pub const fn from_f64(x: f64) -> Self {
        if x.is_nan() {
            return Self::ZERO;
        }
        let mut code = 0;
        while code < Self::CUTS.len() && x > Self::CUTS[code] as f64 {
            code += 1;
        }
        Self(code as u8)
    }

    /// The value, as in [`TABLE`](Self::TABLE).
    pub const fn to_f32(self) -> f32 {
        Self::TABLE[self.to_bits() as usize]
    }

    /// The value, as in [`TABLE`](Self::TABLE).
    pub const fn to_f64(self) -> f64 {
        self.to_f32() as f64
    }
}

impl Default for Nf4 {
    /// Zero, which is code 7.
    fn default() -> Self {
        Self::ZERO
    }
}

number_traits!([] Nf4, Self::NAME, Self::from_f64);
total_order!([] Nf4);
