//! The arithmetic that decodes a linear's values, for tools that round differently from the format.
//!
//! ```text
//! Format       value = code * (scale * tensor scale)             the format's definition; f32, each operation rounded
//! FactorLast   value = (code * scale) * tensor scale             bitsandbytes INT8
//! OneZero      value = value(code) * scale, code 8 as code 0     bitsandbytes FP4, whose table has two positive zeros
//! Rounded(d)   value = RN_d(RN_d(code * scale) + bias)           MLX, quanto; d is the type of their scales
//!              value = RN_d(RN_d(code - zero) * scale)           HQQ
//! ```
//!
//! Codes and scales are the same. Only the last bit of a value, or the sign of a zero, can differ.

use lowbit_blocks::{Block, Dtype, Format, Outer, QTensor, ScaleKind, TensorScale, Zero};
use std::borrow::Cow;
use std::ops::Range;

/// The order and rounding of the operations that decode a linear's values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Formula {
    /// The operations of the format.
    #[default]
    Format,
    /// The tensor scale multiplies the product of code and block scale.
    FactorLast,
    /// The negative zero of FP4 becomes the positive zero before scaling.
    OneZero,
    /// The product and the sum, or the difference and the product, are each rounded to this type.
    Rounded(Dtype),
}

impl Formula {
    /// Decodes some rows of a tensor with one matrix.
    ///
    /// # Panics
    /// As [`QTensor::dequantize_rows`].
    pub fn dequantize_rows(self, tensor: &QTensor<'_>, rows: Range<usize>, out: &mut [f32]) {
        let format = tensor.format();
        match (self, tensor.tensor_scale(), format.block.group()) {
            (Self::FactorLast, TensorScale::Multiply(factor), _) => {
                let bare = format.with_outer(Outer::None);
                with(tensor, tensor.codes().into(), bare, TensorScale::None).dequantize_rows(0, rows, out);
                out.iter_mut().for_each(|value| *value *= factor[0]);
            }
            (Self::OneZero, scale, _) => {
                let one = |nibble: u8| if nibble == 8 { 0 } else { nibble };
                let codes = tensor.codes().iter().map(|byte| one(byte & 15) | one(byte >> 4) << 4).collect();
                with(tensor, Cow::Owned(codes), format, scale.clone()).dequantize_rows(0, rows, out);
            }
            (Self::Rounded(dtype), scale, Some(group)) if format.zero == Zero::Bias => {
                let bare = format.with_zero(Zero::None);
                with(tensor, tensor.codes().into(), bare, scale.clone()).dequantize_rows(
                    0,
                    rows.clone(),
                    out,
                );
                let stored = &tensor.zeros().unwrap_or_default()[format.zeros_range(tensor.shape(), 0, rows)];
                let mut biases = vec![0.0; stored.len() / format.scale.kind.bytes()];
                format.scale.kind.decode_into(stored, &mut biases);
                for (values, bias) in out.chunks_exact_mut(group).zip(biases) {
                    // An f32 has more than twice the significand bits of the smaller types, so
                    // rounding the f32 sum once more gives the correctly rounded sum.
                    values.iter_mut().for_each(|value| *value = round(dtype, round(dtype, *value) + bias));
                }
            }
            (Self::Rounded(dtype), TensorScale::None, _)
                if format.zero == Zero::Float && !(format.block.is_tensor() || format.block.is_flat()) =>
            {
                rounded_differences(dtype, tensor, rows, out);
            }
            _ => tensor.dequantize_rows(0, rows, out),
        }
    }
}

/// Decodes as the code minus its zero point, rounded, times the scale, rounded.
fn rounded_differences(dtype: Dtype, tensor: &QTensor<'_>, rows: Range<usize>, out: &mut [f32]) {
    let (format, shape) = (tensor.format(), tensor.shape());
    // Codes as numbers: a format without zero points and with a scale of 1.
    let bare = format.with_block(Block::Tensor).with_scale(ScaleKind::F32).with_zero(Zero::None);
    QTensor::new(bare, shape, tensor.codes(), &1_f32.to_le_bytes()[..], None, TensorScale::None)
        .expect("codes do not depend on the blocks")
        .dequantize_rows(0, rows.clone(), out);
    let group = format.block.group().map(|cols| (1, cols));
    let (high, wide) = group.or(format.block.tile()).unwrap_or((1, shape.cols));
    let first = rows.start / high;
    let [scales, zeros] = [
        &tensor.scales()[format.scales_range(shape, 0, rows.clone())],
        &tensor.zeros().unwrap_or_default()[format.zeros_range(shape, 0, rows.clone())],
    ]
    .map(|stored| {
        let mut numbers = vec![0.0; stored.len() / format.scale.kind.bytes()];
        format.scale.kind.decode_into(stored, &mut numbers);
        numbers
    });
    let across = shape.cols.div_ceil(wide.max(1)).max(1);
    for (row, values) in rows.zip(out.chunks_exact_mut(shape.cols.max(1))) {
        let at = (row / high - first) * across;
        for (group, values) in values.chunks_mut(wide.max(1)).enumerate() {
            let (scale, zero) = (scales[at + group], zeros[at + group]);
            values.iter_mut().for_each(|value| *value = round(dtype, round(dtype, *value - zero) * scale));
        }
    }
}

/// A tensor with the same scales, these codes, another format, and no zero points.
fn with<'a>(
    tensor: &'a QTensor<'_>,
    codes: Cow<'a, [u8]>,
    format: Format,
    scale: TensorScale,
) -> QTensor<'a> {
    QTensor::new(format, tensor.shape(), codes, tensor.scales(), None, scale)
        .expect("a format with less in it has the same codes and scales")
}

fn round(dtype: Dtype, x: f32) -> f32 {
    match dtype {
        Dtype::F32 => x,
        Dtype::F16 => half::f16::from_f32(x).to_f32(),
        Dtype::Bf16 => half::bf16::from_f32(x).to_f32(),
    }
}
