//! Finds the quantized linears of an AWQ checkpoint. Widths and groups come from the configuration,
//! shapes from the tensors, symmetry from the zero points.

use super::super::part::{Linear, Part, scale_dtype};
use super::super::qweight::{self, Convention, Settings, Zeros};
use super::super::{Extra, ExtraKind, Found, Holds, Packing, Stored};
use super::gemm;
use crate::{Checkpoint, Result, Tensor};
use lowbit_blocks::{Format, Zero};
use lowbit_container::safetensors::Dtype;

/// All linears of a checkpoint in one of AWQ's versions.
pub(in super::super) fn linears(checkpoint: &Checkpoint, settings: &Settings) -> Found {
    qweight::modules(checkpoint).map(|module| module_of(checkpoint, settings, module)).collect()
}

fn module_of(checkpoint: &Checkpoint, settings: &Settings, module: &str) -> Result<Stored> {
    let codes = checkpoint.require(&format!("{module}.qweight"))?;
    let scales = checkpoint.require(&format!("{module}.scales"))?;
    // llm-awq's name for the zero points of GEMV-fast.
    let scaled = checkpoint.tensor(&format!("{module}.scaled_zeros"));
    let zeros = scaled.map_or_else(|| checkpoint.require(&format!("{module}.qzeros")), Ok)?;
    let scheme = settings.of(module)?;
    let scheme = scheme.ok_or_else(|| codes.error("the configuration says that it is not quantized"))?;
    if scheme.bits != 4 {
        return Err(codes.error(format!("AWQ has 4 bits, not {}", scheme.bits)).into());
    }
    let [a, b] = qweight::matrix(codes)?;
    let (rows, cols) = match settings.convention {
        Convention::AwqGemv => (Some(a), b.checked_mul(8)),
        Convention::AwqGemvFast => (a.checked_mul(4), Some(b)),
        _ => (b.checked_mul(8), Some(a)),
    };
    let (Some(rows), Some(cols)) = (rows, cols) else {
        return Err(codes.error(format!("shape {:?} is too large", codes.entry.shape)).into());
    };
    let linear = qweight::linear(checkpoint, module, rows, cols);
    let format = qweight::format(scheme, scales, cols)?;
    format.check(linear.shape).map_err(|e| codes.error(e.to_string()))?;
    match settings.convention {
        Convention::AwqGemv => gemv(checkpoint, linear, format, (codes, zeros, scales)),
        Convention::AwqGemvFast => gemv_fast(checkpoint, linear, format, (codes, zeros, scales)),
        _ => {
            let groups = format.scale_grid(linear.shape).1;
            let look = Zeros::look(zeros, Packing::InterleavedZeros, 4, (rows, groups), scheme.symmetric)?;
            let format = if look == Zeros::Middle { qweight::symmetric(&format) } else { format };
            let parts = gemm(&linear, &format).map_err(|e| codes.error(e))?;
            Stored::new(checkpoint, linear, format, parts)
        }
    }
}

/// The tensors of codes, zero points and scales.
type Tensors<'a> = (Tensor<'a>, Tensor<'a>, Tensor<'a>);

/// A part with the dtype and shape of its tensor.
fn part(tensor: Tensor<'_>, dtype: Dtype, holds: Holds) -> Part {
    Part { name: tensor.entry.name.clone(), dtype, shape: tensor.entry.shape.clone(), holds }
}

fn gemv(checkpoint: &Checkpoint, linear: Linear, format: Format, tensors: Tensors<'_>) -> Result<Stored> {
    let (codes, zeros, scales) = tensors;
    let (rows, groups) = format.scale_grid(linear.shape);
    let wrong = |tensor: Tensor<'_>| {
        let shape = &tensor.entry.shape;
        tensor.error(format!("shape {shape:?} has no room for {groups} groups of {rows} rows"))
    };
    let packing = match zeros.entry.shape[..] {
        [high, words] if high == rows && words >= groups.div_ceil(8) => Packing::Nibbles { words },
        _ => return Err(wrong(zeros).into()),
    };
    let scale = scale_dtype(format.scale.kind);
    let wider = match scales.entry.shape[..] {
        [high, cols] if high == rows && cols >= groups => Packing::Wider { bytes: scale.bitsize() / 8, cols },
        _ => return Err(wrong(scales).into()),
    };
    let middle = Zeros::look(zeros, packing, 4, (rows, groups), false)? == Zeros::Middle;
    let format = if middle { qweight::symmetric(&format) } else { format };
    let words = Packing::Words { bits: 4, signed: middle };
    let mut parts = vec![
        part(codes, Dtype::I32, Holds::Codes(Some(words))),
        part(scales, scale, Holds::Scales(Some(wider))),
    ];
    parts.extend((!middle).then(|| part(zeros, Dtype::I32, Holds::Zeros(Some(packing)))));
    let mut stored = Stored::new(checkpoint, linear, format, parts)?;
    let marker = || Extra { tensor: zeros.entry.name.clone(), kind: ExtraKind::Marker };
    stored.extras.extend(middle.then(marker));
    Ok(stored)
}

fn gemv_fast(
    checkpoint: &Checkpoint,
    linear: Linear,
    format: Format,
    tensors: Tensors<'_>,
) -> Result<Stored> {
    let (codes, zeros, scales) = tensors;
    let (rows, cols) = (linear.shape.rows, linear.shape.cols);
    if cols % 64 != 0 {
        return Err(codes.error(format!("{cols} columns do not divide into GEMV-fast's 64")).into());
    }
    let format = format.with_zero(Zero::Bias);
    let groups = format.scale_grid(linear.shape).1;
    let scale = scale_dtype(format.scale.kind);
    let transposed = Packing::Transposed { bytes: scale.bitsize() / 8 };
    for tensor in [zeros, scales] {
        // There may be more rows than groups; the additional rows are padding.
        if !matches!(tensor.entry.shape[..], [high, wide] if high >= groups && wide == rows) {
            let shape = &tensor.entry.shape;
            return Err(tensor
                .error(format!("shape {shape:?} has no room for {groups} groups of {rows} rows"))
                .into());
        }
    }
    let parts = vec![
        part(codes, Dtype::I16, Holds::Codes(Some(Packing::FourRows))),
        part(zeros, scale, Holds::Zeros(Some(transposed))),
        part(scales, scale, Holds::Scales(Some(transposed))),
    ];
    Stored::new(checkpoint, linear, format, parts)
}
