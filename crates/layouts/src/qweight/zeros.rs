//! What the zero points of a linear are: all in the middle, which is symmetric quantization, or not; and whether they are what the label says.
//!
//! ```text
//! stored in 4 bits     as v1       as v2
//! 0x77777777           8 (middle)  7
//! 0x88888888           9           8 (middle)
//! ```
//!
//! Published files say v1 and store v2 (GPTQModel 5 and later wrote them). Of a linear that the configuration calls symmetric the values tell: its zero
//! points are all in the middle by one of the two readings.

use super::super::Packing;
use crate::{Result, Tensor};

/// The zero points of a linear.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Zeros {
    /// All are 2^(b-1).
    Middle,
    /// All would be 2^(b-1) if the file were of the other version of GPTQ: it is.
    Mislabelled,
    /// Anything else.
    Own,
}

/// The zero points of `rows` rows and `cols` groups that are packed like this; `None` where the tensor is not as long as they are.
pub fn unpacked(
    tensor: Tensor<'_>,
    packing: Packing,
    (rows, cols): (usize, usize),
) -> Result<Option<Vec<u8>>> {
    // Checked before there is memory for them: every zero point has a field of the file.
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
    /// Looks at the zero points of `rows` rows and `cols` groups, packed like this. `symmetric` is what the configuration says.
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

/// The bytes of zero points in the middle, as far as they repeat: the words of 8 values of 4 bits, of 32 of 3 bits. `None` if `count` values do not fill
/// them.
pub(in super::super) fn constant(packing: Packing, bits: u32, count: usize) -> Option<Vec<u8>> {
    let whole = matches!(packing, Packing::PlaneColumns { .. }) || 32 % bits != 0;
    let values = if whole { 32 } else { 32 / bits as usize };
    let mut words = vec![0; packing.packed_len(values, 1)];
    packing.pack(values, 1, &vec![1 << (bits - 1); values], &mut words);
    count.is_multiple_of(values).then_some(words)
}
