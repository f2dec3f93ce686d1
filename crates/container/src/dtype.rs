//! Element types of tensors: plain types, and block types whose values share bytes.
//!
//! ```text
//! bytes = product of the shape * bits / 8                      plain types; whole bytes
//! bytes = product of the shape / values * bytes of a block     block types; the last axis divides into blocks
//! ```

use std::fmt;

/// A type that stores several values together, such as GGUF's `Q4_0`: 32 values in 18 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct BlockType {
    /// The name in files.
    pub name: &'static str,
    /// Number of values in a block. They are consecutive along the last axis.
    pub values: usize,
    /// Length of a block in bytes.
    pub bytes: usize,
}

impl BlockType {
    /// A block type of this name, with `values` values in `bytes` bytes.
    ///
    /// # Panics
    /// If `values` or `bytes` is zero.
    pub const fn new(name: &'static str, values: usize, bytes: usize) -> Self {
        assert!(values > 0 && bytes > 0, "a block has values and bytes");
        Self { name, values, bytes }
    }
}

/// Declares the plain types in the order of their alignment, with their sizes in bits.
macro_rules! plain {
    ($($(#[$doc:meta])* $name:ident $bits:literal,)*) => {
        /// The type of a tensor's elements.
        ///
        /// The variants are ordered as in safetensors, by alignment;
        /// [`safetensors::order`](crate::safetensors::order) sorts by it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[allow(non_camel_case_types)]
        pub enum Dtype {
            $($(#[$doc])* $name,)*
            /// Blocks of values that share bytes.
            Block(BlockType),
        }

        impl Dtype {
            /// The plain types.
            pub const PLAIN: &[Self] = &[$(Self::$name),*];

            /// Bits of one element. For a block type: the bits of a block divided by its values,
            /// rounded up; [`bytes`](Self::bytes) gives the exact length of a tensor.
            ///
            /// ```
            /// use lowbit_container::{BlockType, Dtype};
            /// assert_eq!(Dtype::F6_E2M3.bitsize(), 6);
            /// assert_eq!(Dtype::Block(BlockType::new("Q4_0", 32, 18)).bitsize(), 5);
            /// ```
            pub const fn bitsize(self) -> usize {
                match self {
                    $(Self::$name => $bits,)*
                    Self::Block(block) => (8 * block.bytes).div_ceil(block.values),
                }
            }

            /// The name in files.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                    Self::Block(block) => block.name,
                }
            }

            /// The same type in the `safetensors` crate; `None` for block types.
            pub(crate) const fn to_safetensors(self) -> Option<::safetensors::Dtype> {
                match self {
                    $(Self::$name => Some(::safetensors::Dtype::$name),)*
                    Self::Block(_) => None,
                }
            }

            /// The type that a `safetensors` dtype corresponds to; `None` for a dtype unknown to
            /// this version.
            pub(crate) const fn from_safetensors(dtype: ::safetensors::Dtype) -> Option<Self> {
                match dtype {
                    $(::safetensors::Dtype::$name => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

plain! {
    /// A byte that is 0 or 1.
    BOOL 8,
    /// FP4 E2M1.
    F4 4,
    /// FP6 E2M3.
    F6_E2M3 6,
    /// FP6 E3M2.
    F6_E3M2 6,
    /// Unsigned, 8 bits.
    U8 8,
    /// Signed, 8 bits.
    I8 8,
    /// FP8 E5M2 of OCP.
    F8_E5M2 8,
    /// FP8 E4M3 of OCP, without infinities.
    F8_E4M3 8,
    /// E8M0: a power of two.
    F8_E8M0 8,
    /// FP8 E4M3 without negative zero.
    F8_E4M3FNUZ 8,
    /// FP8 E5M2 without negative zero.
    F8_E5M2FNUZ 8,
    /// Signed, 16 bits.
    I16 16,
    /// Unsigned, 16 bits.
    U16 16,
    /// IEEE binary16.
    F16 16,
    /// bfloat16.
    BF16 16,
    /// Signed, 32 bits.
    I32 32,
    /// Unsigned, 32 bits.
    U32 32,
    /// IEEE binary32.
    F32 32,
    /// Complex number of two binary32.
    C64 64,
    /// IEEE binary64.
    F64 64,
    /// Signed, 64 bits.
    I64 64,
    /// Unsigned, 64 bits.
    U64 64,
}

impl Dtype {
    /// Length in bytes of a tensor of this shape.
    ///
    /// ```
    /// use lowbit_container::{BlockType, Dtype};
    /// assert_eq!(Dtype::F4.bytes(&[3, 4]), Ok(6));
    /// let q4_0 = Dtype::Block(BlockType::new("Q4_0", 32, 18));
    /// assert_eq!(q4_0.bytes(&[2, 64]), Ok(72));
    /// assert_eq!(q4_0.bytes(&[2, 48]).unwrap_err(), "rows of 48 do not divide into blocks of 32 of Q4_0");
    /// ```
    ///
    /// # Errors
    /// A message that says why there is no such tensor: its bits are not whole bytes, its rows do
    /// not divide into blocks, or its length overflows 64 bits.
    pub fn bytes(self, shape: &[usize]) -> Result<u64, String> {
        let overflow = || format!("shape {shape:?} of {self} overflows 64 bits");
        let mut elements = 1u64;
        for &n in shape {
            elements = elements.checked_mul(n as u64).ok_or_else(overflow)?;
        }
        if let Self::Block(block) = self {
            let row = shape.last().copied().unwrap_or(1);
            if !row.is_multiple_of(block.values) {
                return Err(format!("rows of {row} do not divide into blocks of {} of {self}", block.values));
            }
            let blocks = elements / block.values as u64;
            return blocks.checked_mul(block.bytes as u64).ok_or_else(overflow);
        }
        let bits = elements.checked_mul(self.bitsize() as u64).ok_or_else(overflow)?;
        if bits % 8 != 0 {
            return Err(format!("shape {shape:?} of {self} is {bits} bits, not whole bytes"));
        }
        Ok(bits / 8)
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_types_are_those_of_safetensors_in_its_order() {
        let theirs: Vec<_> = Dtype::PLAIN.iter().map(|d| d.to_safetensors().unwrap()).collect();
        assert!(theirs.is_sorted(), "{theirs:?}");
        for (ours, theirs) in Dtype::PLAIN.iter().zip(theirs) {
            assert_eq!((ours.name().to_owned(), ours.bitsize()), (theirs.to_string(), theirs.bitsize()));
            assert_eq!(Dtype::from_safetensors(theirs), Some(*ours));
        }
    }
}
