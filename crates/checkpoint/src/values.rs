//! Conversion of little-endian bytes of a file to values, and the dtypes that have values.

use crate::safetensors::Dtype;
use half::{bf16, f16};
use lowbit_blocks::Values;

/// The value type of a dtype; `None` if weights of that dtype cannot be quantized.
pub(crate) const fn value_dtype(dtype: Dtype) -> Option<lowbit_blocks::Dtype> {
    match dtype {
        Dtype::F32 => Some(lowbit_blocks::Dtype::F32),
        Dtype::F16 => Some(lowbit_blocks::Dtype::F16),
        Dtype::BF16 => Some(lowbit_blocks::Dtype::Bf16),
        _ => None,
    }
}

/// A buffer of words, resized to hold `len` bytes, as those bytes.
pub(crate) fn bytes_of(words: &mut Vec<u32>, len: usize) -> &mut [u8] {
    words.resize(len.div_ceil(4), 0);
    &mut bytemuck::cast_slice_mut(words)[..len]
}

/// Word-aligned little-endian bytes as values. A big-endian machine reverses the bytes of each
/// value in place first.
pub(crate) fn values(bytes: &mut [u8], dtype: lowbit_blocks::Dtype) -> Values<'_> {
    if cfg!(target_endian = "big") {
        bytes.chunks_exact_mut(dtype.bytes()).for_each(<[u8]>::reverse);
    }
    match dtype {
        lowbit_blocks::Dtype::F32 => Values::F32(bytemuck::cast_slice::<u8, f32>(bytes)),
        lowbit_blocks::Dtype::F16 => Values::F16(bytemuck::cast_slice::<u8, f16>(bytes)),
        lowbit_blocks::Dtype::Bf16 => Values::Bf16(bytemuck::cast_slice::<u8, bf16>(bytes)),
    }
}
