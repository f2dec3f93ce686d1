//! Unquantized numbers as the caller holds them: a slice of f32, f16 or bf16, widened where it is used.
//!
//! f16 -> f32 and bf16 -> f32 are exact, so everything behind this type computes in f32 without losing a bit.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};
use lowbit_kernels::Kernels;
use serde::{Deserialize, Serialize};

/// The type of unquantized numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of an f32.
    Bf16,
}

impl Dtype {
    /// Bytes of one number: 4, 2, 2.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// `f32`, `f16` or `bf16`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A borrowed slice of unquantized numbers.
///
/// Functions take `impl Into<Values<'_>>`: a reference to a slice, an array, a `Vec`, a boxed slice or a `Cow` of f32, f16 or bf16.
///
/// ```
/// use half::bf16;
/// use lowbit_blocks::{Dtype, Values};
/// let weights = [bf16::from_f32(1.5), bf16::from_f32(-0.25)];
/// let values = Values::from(&weights); // or a slice, or a `Vec`
/// assert_eq!((values.len(), values.dtype(), values.get(1)), (2, Dtype::Bf16, -0.25));
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// f32 numbers.
    F32(&'a [f32]),
    /// f16 numbers.
    F16(&'a [f16]),
    /// bf16 numbers.
    Bf16(&'a [bf16]),
}

impl<'a> Values<'a> {
    /// Numbers of this type in bytes of this machine's order; `None` where they are not whole numbers or not aligned to them.
    ///
    /// ```
    /// use lowbit_blocks::{Dtype, Values};
    /// let bytes = Values::from(&[1.5f32, -2.0]).as_bytes();
    /// assert_eq!(Values::from_bytes(Dtype::F32, bytes).map(|x| x.get(1)), Some(-2.0));
    /// assert!(Values::from_bytes(Dtype::F32, &bytes[..7]).is_none());
    /// ```
    #[must_use]
    pub fn from_bytes(dtype: Dtype, bytes: &'a [u8]) -> Option<Self> {
        let halves = || bytemuck::try_cast_slice::<u8, u16>(bytes).ok();
        match dtype {
            Dtype::F32 => bytemuck::try_cast_slice(bytes).ok().map(Self::F32),
            Dtype::F16 => halves().map(|x| Self::F16(x.reinterpret_cast())),
            Dtype::Bf16 => halves().map(|x| Self::Bf16(x.reinterpret_cast())),
        }
    }

    /// How many numbers.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::F32(x) => x.len(),
            Self::F16(x) => x.len(),
            Self::Bf16(x) => x.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their type.
    #[must_use]
    pub const fn dtype(&self) -> Dtype {
        match self {
            Self::F32(_) => Dtype::F32,
            Self::F16(_) => Dtype::F16,
            Self::Bf16(_) => Dtype::Bf16,
        }
    }

    /// The number at `index`, widened.
    ///
    /// # Panics
    /// If `index` is out of bounds.
    #[must_use]
    pub fn get(&self, index: usize) -> f32 {
        match self {
            Self::F32(x) => x[index],
            Self::F16(x) => x[index].to_f32(),
            Self::Bf16(x) => x[index].to_f32(),
        }
    }

    /// The numbers of `range`, borrowed from the same slice.
    ///
    /// # Panics
    /// If `range` is out of bounds.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Values<'a> {
        match self {
            Self::F32(x) => Values::F32(&x[range]),
            Self::F16(x) => Values::F16(&x[range]),
            Self::Bf16(x) => Values::Bf16(&x[range]),
        }
    }

    /// The bytes of the numbers, as they lie in memory.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::F32(x) => bytemuck::cast_slice(x),
            Self::F16(x) => bytemuck::cast_slice(x.reinterpret_cast()),
            Self::Bf16(x) => bytemuck::cast_slice(x.reinterpret_cast()),
        }
    }

    /// Writes the numbers of `range` to `out` as f32; exact.
    ///
    /// # Panics
    /// If `range` is out of bounds or `out` has another length.
    pub fn widen_into(&self, range: Range<usize>, out: &mut [f32]) {
        match self.slice(range) {
            Values::F32(x) => out.copy_from_slice(x),
            Values::F16(x) => Kernels::best().widen_f16(x, out),
            Values::Bf16(x) => Kernels::best().widen_bf16(x, out),
        }
    }

    /// The numbers as f32, in a vector of their own; exact.
    ///
    /// ```
    /// use half::f16;
    /// use lowbit_blocks::Values;
    /// assert_eq!(Values::from(&[f16::from_f32(0.5), f16::from_f32(-2.0)]).to_f32_vec(), [0.5, -2.0]);
    /// ```
    #[must_use]
    pub fn to_f32_vec(&self) -> Vec<f32> {
        let mut wide = vec![0.0; self.len()];
        self.widen_into(0..self.len(), &mut wide);
        wide
    }

    /// The numbers as f32: the slice itself where it is f32 already, `buffer` filled with them where not.
    ///
    /// # Panics
    /// If `buffer` is shorter than the numbers and they are not f32.
    pub fn widened<'b>(&self, buffer: &'b mut [f32]) -> &'b [f32]
    where
        'a: 'b,
    {
        match self {
            Self::F32(x) => x,
            _ => {
                let out = &mut buffer[..self.len()];
                self.widen_into(0..self.len(), out);
                out
            }
        }
    }
}

/// From a slice, an array, a `Vec`, a boxed slice or a `Cow` of one type.
macro_rules! from_slices {
    ($($type:ty => $variant:ident)*) => {$(
        impl<'a> From<&'a [$type]> for Values<'a> {
            fn from(values: &'a [$type]) -> Self {
                Self::$variant(values)
            }
        }

        impl<'a, const N: usize> From<&'a [$type; N]> for Values<'a> {
            fn from(values: &'a [$type; N]) -> Self {
                Self::$variant(values)
            }
        }

        impl<'a> From<&'a Vec<$type>> for Values<'a> {
            fn from(values: &'a Vec<$type>) -> Self {
                Self::$variant(values)
            }
        }

        impl<'a> From<&'a Box<[$type]>> for Values<'a> {
            fn from(values: &'a Box<[$type]>) -> Self {
                Self::$variant(values)
            }
        }

        impl<'a> From<&'a Cow<'_, [$type]>> for Values<'a> {
            fn from(values: &'a Cow<'_, [$type]>) -> Self {
                Self::$variant(values)
            }
        }

        impl<'a> TryFrom<Values<'a>> for &'a [$type] {
            type Error = Values<'a>;

            /// The slice itself, if it is of this type; the values again if not.
            fn try_from(values: Values<'a>) -> Result<Self, Values<'a>> {
                match values {
                    Values::$variant(x) => Ok(x),
                    other => Err(other),
                }
            }
        }
    )*};
}

from_slices!(f32 => F32 f16 => F16 bf16 => Bf16);
