//! HQQ: codes with float zero points, split into pieces, and each setting in a tensor of its own.
//!
//! ```text
//! M.W_q    codes of the weight in groups, reshaped: axis 1 [N*K/g, g], axis 0 [g, N*K/g]; then split along the first dimension
//!          8bit_u8  U8, one code per byte
//!          4bit_u8  U8, half as many rows: the first half in the high nibbles, the second in the low
//!          2bit_u8  U8, a quarter: at bits 6, 4, 2, 0              1bit_u8  U8, an eighth: at bits 7 .. 0
//!          3bit_32  I32, a tenth (rows padded with zeros): at bits 27, 24 .. 0
//! M.scale  M.zero       axis 1 [N*K/g, 1], axis 0 [1, N*K/g], in the compute type
//! M.shape  M.nbits  M.group_size  M.axis  M.packing  M.compute_dtype ..       numbers; text as U8 characters
//! ```
//!
//! value = (code - zero) * scale, with both operations rounded to the compute type. Reshaping does
//! not move values: codes are in the order of the weight, and value i of the flat weight is in
//! group i / g (axis 1) or i mod (N*K/g) (axis 0). Axis 1 gives groups of a row. Axis 0 gives whole
//! columns if g is N. All other cases are no block of a format; a reader gives each value a scale
//! and a zero point of its own.
//!
//! The configuration has `quant_method: hqq`, and repeats `nbits`, `group_size` and `axis` under
//! `quant_config.weight_quant_params`.
//!
//! Source: `hqq/core/quantize.py`, `hqq/core/bitpack.py` of hqq 0.2.8.

mod settings;

use super::part::scale_kind;
use super::{Extra, ExtraKind, Formula, Found, Holds, Linear, Packing, Part, ReadLayout, Stored, stored};
use crate::{Checkpoint, Result, Tensor};
use lowbit_blocks::{Block, Dtype, Format, QTensor, ScaleKind, TensorScale, Zero};
use lowbit_kernels::Element;
use serde_json::Value;
use settings::{SETTINGS, Settings};
use std::borrow::Cow;

/// HQQ 0.2.8; read only.
#[derive(Debug)]
pub(super) struct Hqq;

/// The name suffix of codes.
const CODES: &str = ".W_q";

impl ReadLayout for Hqq {
    fn find(&self, checkpoint: &Checkpoint) -> Result<Option<Found>> {
        let config = stored::any_quantization_config(checkpoint);
        let method = config.and_then(|config| config.get("quant_method")).and_then(Value::as_str);
        if method.is_some_and(|method| method != "hqq") {
            return Ok(None);
        }
        let modules = checkpoint.tensors().filter_map(|t| Some((t, t.entry.name.strip_suffix(CODES)?)));
        let found: Found = modules.map(|(codes, module)| read(checkpoint, codes, module)).collect();
        Ok((method.is_some() || !found.is_empty()).then_some(found))
    }
}

fn read(checkpoint: &Checkpoint, codes: Tensor<'_>, module: &str) -> Result<Stored> {
    let settings = Settings::read(checkpoint, codes, module)?;
    let scale = checkpoint.require(&format!("{module}.scale"))?;
    let zero = checkpoint.require(&format!("{module}.zero"))?;
    let kind = scale_kind(scale.entry.dtype).filter(|kind| kind.bytes() > 1);
    let kind = kind.ok_or_else(|| scale.error(format!("is {}, not F32, F16 or BF16", scale.entry.dtype)))?;
    let (shape, group) = (settings.shape, settings.group);
    let groups = settings.groups;
    // The format's block, or blocks of one value.
    let (block, spread) = match settings.axis {
        1 if shape.cols.is_multiple_of(group) => (Block::Group(group), false),
        0 if groups == shape.cols => (Block::Tile { rows: shape.rows, cols: 1 }, false),
        _ => (Block::Group(1), true),
    };
    let element = Element::Uint { bits: settings.bits as u8 };
    let format = Format::new(element, block, kind).with_zero(Zero::Float);
    format.check(shape).map_err(|e| codes.error(e.to_string()))?;
    let width = if settings.axis == 1 { group } else { groups };
    let packing = Packing::Split { bits: settings.bits, width, high_first: true };
    let part = |tensor: Tensor<'_>, shape, holds| Part {
        name: tensor.entry.name.clone(),
        dtype: tensor.entry.dtype,
        shape,
        holds,
    };
    let parts = vec![
        Part::found(codes, packing.packed_len(shape.rows, shape.cols), Holds::Codes(Some(packing))),
        part(scale, vec![groups], Holds::Scales(None)),
        Part { dtype: scale.entry.dtype, ..part(zero, vec![groups], Holds::Zeros(None)) },
    ];
    if zero.entry.shape != scale.entry.shape {
        return Err(zero
            .error(format!("shape {:?} is not that of the scales, {:?}", zero.entry.shape, scale.entry.shape))
            .into());
    }
    let linear = Linear {
        module: module.to_owned(),
        weight: format!("{module}.weight"),
        shape,
        dtype: settings.compute,
        ..Linear::default()
    };
    let mut stored = Stored::new(checkpoint, linear, format, parts)?;
    stored.formula = rounding(settings.compute, kind);
    stored.assemble = spread.then_some(one_for_each as super::Assemble);
    for setting in SETTINGS {
        let tensor = format!("{module}.{setting}");
        if checkpoint.tensor(&tensor).is_some() {
            stored.extras.push(Extra { tensor, kind: ExtraKind::Marker });
        }
    }
    Ok(stored)
}

/// Codes have the compute type. With scales of another type torch computes in f32, like the format.
fn rounding(compute: Dtype, scale: ScaleKind) -> Formula {
    let alike = compute != Dtype::F32 && scale.dtype() == Some(compute);
    if alike { Formula::Rounded(compute) } else { Formula::Format }
}

/// A matrix in which each value has its own copy of its group's scale and zero point.
fn one_for_each(stored: &Stored, checkpoint: &Checkpoint, matrix: usize) -> Result<QTensor<'static>> {
    let (format, shape) = (stored.format, stored.linear.shape);
    let mut codes = vec![0; format.codes_len(shape)];
    let mut numbers = [Vec::new(), Vec::new()];
    for part in &stored.parts {
        let to = match part.holds {
            Holds::Codes(_) => {
                stored.read_part(checkpoint, part, matrix, &(0..shape.rows), &mut codes)?;
                continue;
            }
            Holds::Scales(_) => &mut numbers[0],
            _ => &mut numbers[1],
        };
        let tensor = checkpoint.require(&part.name)?;
        let values = shape.rows * shape.cols;
        let (bytes, groups) = (format.scale.kind.bytes(), tensor.entry.elements() as usize);
        let small = tensor.read_all()?;
        // With shape [groups, 1] values of a group are consecutive. With [1, groups] groups
        // alternate.
        let in_turn = tensor.entry.shape.first() == Some(&1);
        let group = |value: usize| if in_turn { value % groups } else { value / (values / groups) };
        to.reserve_exact(values * bytes);
        (0..values).for_each(|value| to.extend_from_slice(&small[group(value) * bytes..][..bytes]));
    }
    let [scales, zeros] = numbers;
    QTensor::new(format, shape, codes, scales, Some(Cow::Owned(zeros)), TensorScale::None).map_err(|e| {
        checkpoint.require(&stored.parts[0].name).map_or_else(|e| e, |t| t.error(e.to_string())).into()
    })
}
