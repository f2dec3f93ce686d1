//! Unquantized values of the caller: a slice of f32, f16 or bf16, widened on use.
//!
//! f16 -> f32 and bf16 -> f32 are exact, so computing in f32 loses nothing.

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
    /// The number of bytes of one value: 4, 2, 2.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// The name: `f32`, `f16` or `bf16`.
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
/// Functions take `impl Into<Values<'_>>`: a reference to a slice, an array, a `Vec`, a boxed slice
/// or a `Cow` of f32, f16 or bf16.
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
    /// Values of this type from bytes in native order; `None` if they are not whole values or not
    /// aligned.
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

    /// The number of values.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::F32(x) => x.len(),
            Self::F16(x) => x.len(),
            Self::Bf16(x) => x.len(),
        }
    }

    /// True if there are no values.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of the values.
    #[must_use]
    pub const fn dtype(&self) -> Dtype {
        match self {
            Self::F32(_) => Dtype::F32,
            Self::F16(_) => Dtype::F16,
            Self::Bf16(_) => Dtype::Bf16,
        }
    }

    /// The value at `index`, widened.
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

    /// The values of `range`, borrowed from the same slice.
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

    /// The bytes of the values, in native order.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::F32(x) => bytemuck::cast_slice(x),
            Self::F16(x) => bytemuck::cast_slice(x.reinterpret_cast()),
            Self::Bf16(x) => bytemuck::cast_slice(x.reinterpret_cast()),
        }
    }

    /// Writes the values of `range` to `out` as f32, exactly.
    ///
    /// # Panics
    /// If `range` is out of bounds, or its length is not that of `out`.
    pub fn widen_into(&self, range: Range<usize>, out: &mut [f32]) {
        match self.slice(range) {
            Values::F32(x) => out.copy_from_slice(x),
            Values::F16(x) => Kernels::best().widen_f16(x, out),
            Values::Bf16(x) => Kernels::best().widen_bf16(x, out),
        }
    }

    /// The values as f32 in a new vector, exactly.
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

    /// The values as f32: the slice itself if it is f32, otherwise `buffer`, filled with them.
    ///
    /// # Panics
    /// If the values are not f32 and `buffer` is shorter.
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

/// From a slice, an array, a `Vec`, a boxed slice or a `Cow`.
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

            /// The slice, if it is of this type; otherwise an error with the values.
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
