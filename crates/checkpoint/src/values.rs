//! Bytes of a file as values: which types are values, and how little-endian bytes become them.

use crate::safetensors::Dtype;
use half::{bf16, f16};
use lowbit_blocks::Values;

/// The type of weights that can be quantized.
pub(crate) const fn value_dtype(dtype: Dtype) -> Option<lowbit_blocks::Dtype> {
    match dtype {
        Dtype::F32 => Some(lowbit_blocks::Dtype::F32),
        Dtype::F16 => Some(lowbit_blocks::Dtype::F16),
        Dtype::BF16 => Some(lowbit_blocks::Dtype::Bf16),
        _ => None,
    }
}

/// The first `len` bytes of a buffer of words.
pub(crate) fn bytes_of(words: &mut Vec<u32>, len: usize) -> &mut [u8] {
    words.resize(len.div_ceil(4), 0);
    &mut bytemuck::cast_slice_mut(words)[..len]
}

/// Little-endian bytes that start at a word, as values. On a big-endian machine their bytes are reversed first.
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
