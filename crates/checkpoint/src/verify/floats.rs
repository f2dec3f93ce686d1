//! Scans of float tensors, by chunks of bytes: norms, embeddings, scales of activations, and scales
//! of layers that cannot be read.

use super::counts::Numbers;
use crate::safetensors::Dtype;
use lowbit_container::Tensor;
use std::ops::Range;

/// Bytes of a chunk; a multiple of the size of every type.
pub(super) const CHUNK: u64 = 1 << 20;

/// Scans a byte range of a float tensor, which starts and ends between numbers. For `weights` only
/// finiteness matters: if all are finite, nothing is counted.
pub(super) fn scan(tensor: Tensor<'_>, bytes: Range<u64>, weights: bool) -> crate::Result<Numbers> {
    let mut buffer = vec![0; (bytes.end - bytes.start) as usize];
    tensor.read(bytes.start, &mut buffer)?;
    let mut numbers = Numbers::default();
    if weights && all_finite(tensor.entry.dtype, &buffer) {
        return Ok(numbers);
    }
    let mut see = |values: &mut dyn Iterator<Item = f64>, size: u64| {
        values.zip(bytes.start / size..).for_each(|(value, at)| numbers.observe(at, value));
    };
    let pairs = || buffer.as_chunks::<2>().0.iter().copied();
    match tensor.entry.dtype {
        Dtype::F64 => see(&mut buffer.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)), 8),
        Dtype::F32 => see(&mut buffer.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b).into()), 4),
        Dtype::F16 => see(&mut pairs().map(|b| half::f16::from_le_bytes(b).to_f64()), 2),
        Dtype::BF16 => see(&mut pairs().map(|b| half::bf16::from_le_bytes(b).to_f64()), 2),
        _ => {}
    }
    Ok(numbers)
}

/// Whether all values are finite: no exponent has all bits set.
fn all_finite(dtype: Dtype, bytes: &[u8]) -> bool {
    let halves = |mask: u16| bytes.as_chunks().0.iter().all(|b| u16::from_le_bytes(*b) & mask != mask);
    match dtype {
        Dtype::F16 => halves(0x7c00),
        Dtype::BF16 => halves(0x7f80),
        Dtype::F32 => bytes.as_chunks().0.iter().all(|b| u32::from_le_bytes(*b) & 0x7f80_0000 != 0x7f80_0000),
        _ => false,
    }
}

/// Scans a whole tensor, chunk by chunk.
pub(super) fn scan_all(tensor: Tensor<'_>) -> crate::Result<Numbers> {
    let mut numbers = Numbers::default();
    for chunk in chunks(tensor.entry.len()) {
        numbers.merge(&scan(tensor, chunk, false)?);
    }
    Ok(numbers)
}

/// The chunks of a tensor of `len` bytes.
pub(super) fn chunks(len: u64) -> impl Iterator<Item = Range<u64>> {
    (0..len).step_by(CHUNK as usize).map(move |begin| begin..len.min(begin + CHUNK))
}
