//! Classifies the zero points of a linear: symmetric (all in the middle) or not, and whether their
//! version is the one of the configuration.
//!
//! ```text
//! stored in 4 bits     as v1       as v2
//! 0x77777777           8 (middle)  7
//! 0x88888888           9           8 (middle)
//! ```
//!
//! Some published files claim version 1 but store version 2 (GPTQModel 5 and later wrote them). If
//! the configuration says symmetric, the values show the version: all zero points are in the middle
//! in one of the two.

use super::super::Packing;
use crate::{Result, Tensor};

/// The kind of a linear's zero points.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Zeros {
    /// All are 2^(b-1): symmetric.
    Middle,
    /// All are 2^(b-1) if they are read as the other version of GPTQ. The file has that version.
    Mislabelled,
    /// Any other values.
    Own,
}

/// Unpacks the zero points of `rows` rows and `cols` groups. `None` if the tensor has another
/// length.
pub fn unpacked(
    tensor: Tensor<'_>,
    packing: Packing,
    (rows, cols): (usize, usize),
) -> Result<Option<Vec<u8>>> {
    // Checked before memory is allocated: every zero point needs bits in the file.
    let bits = tensor.entry.len().saturating_mul(8);
    let fits = rows.checked_mul(cols).is_some_and(|all| all as u64 <= bits);
    if !fits || packing.packed_len(rows, cols) as u64 != tensor.entry.len() {
        return Ok(None);
    }
    let mut zeros = vec![0; rows * cols];
    packing.unpack(rows, cols, &tensor.read_all()?, &mut zeros);
    Ok(Some(zeros))
}

impl Zeros {
    /// Classifies the zero points of `rows` rows and `cols` groups. `symmetric` is the setting of
    /// the configuration.
    pub(in super::super) fn look(
        tensor: Tensor<'_>,
        packing: Packing,
        bits: u32,
        (rows, cols): (usize, usize),
        symmetric: bool,
    ) -> Result<Self> {
        let Some(zeros) = unpacked(tensor, packing, (rows, cols))? else {
            return Ok(Self::Own); // What is wrong with the tensor is said when the parts are held against it.
        };
        let all = |value: u8| zeros.iter().all(|&zero| zero == value);
        let middle = 1u8 << (bits - 1);
        let other = match packing {
            Packing::Columns { less_one: true, .. } => Some(middle + 1),
            Packing::Columns { less_one: false, .. } => Some(middle - 1),
            _ => None,
        };
        Ok(match other {
            _ if all(middle) => Self::Middle,
            Some(other) if symmetric && all(other) => Self::Mislabelled,
            _ => Self::Own,
        })
    }
}

/// The bytes of one period of zero points in the middle: a word of 8 values of 4 bits, or the words
/// of 32 values of 3 bits. `None` if `count` is not a multiple of the period.
pub(in super::super) fn constant(packing: Packing, bits: u32, count: usize) -> Option<Vec<u8>> {
    let whole = matches!(packing, Packing::PlaneColumns { .. }) || 32 % bits != 0;
    let values = if whole { 32 } else { 32 / bits as usize };
    let mut words = vec![0; packing.packed_len(values, 1)];
    packing.pack(values, 1, &vec![1 << (bits - 1); values], &mut words);
    count.is_multiple_of(values).then_some(words)
}
