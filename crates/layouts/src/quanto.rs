//! optimum-quanto: tensors with inner tensors, whose names are joined with dots.
//!
//! ```text
//! qint8, qfloat8    M.weight._data        I8 | F8 [N, K]       M.weight._scale [N, 1] | []
//! qint4, qint2      M.weight._data._data  U8 [P, g]            M.weight._scale [N*K/g, 1]      M.weight._shift the same, float or I8
//!                   codes of [N*K/g, g] split along the first dimension: piece i of P rows in bits i*b ..
//! M.input_scale  M.output_scale                                static activation scales; 1 if activations are not quantized
//! ```
//!
//! qint8, qfloat8: code * scale. qint4, qint2: (scale * code) - shift, with both operations rounded
//! to the scale's type; with integer shifts (code - shift) * scale. Groups are parts of a row: 128
//! values, or the size that divides the row if it is longer than 128; a shorter row is one group.
//!
//! The bits of a code follow from the number of scales. **No tensor has the shape of a packed
//! weight**, only the number of its values. The rows follow from the bias, or the columns from the
//! model's configuration by the name of the module (`hidden_size`, `intermediate_size`).
//!
//! Source: `optimum/quanto/tensor`, `optimum/quanto/nn/qmodule.py` of optimum-quanto 0.2.7.

mod shape;

use super::part::scale_kind;
use super::{Extra, ExtraKind, Formula, Found, Holds, Linear, Packing, Part, ReadLayout, Stored, stored};
use crate::{Checkpoint, Result, Tensor};
use lowbit_blocks::{Block, Format, ScaleKind, Shape, Zero};
use lowbit_calib::Activations;
use lowbit_container::safetensors::Dtype;
use lowbit_kernels::Element;
use serde_json::Value;

/// optimum-quanto 0.2.7; read only.
#[derive(Debug)]
pub(super) struct Quanto;

/// Name suffixes of codes, after the name of the weight.
const ENDS: [&str; 2] = ["._data._data", "._data"];

impl ReadLayout for Quanto {
    fn find(&self, checkpoint: &Checkpoint) -> Result<Option<Found>> {
        let config = stored::any_quantization_config(checkpoint);
        let method = config.and_then(|config| config.get("quant_method")).and_then(Value::as_str);
        if method.is_some_and(|method| method != "quanto") {
            return Ok(None);
        }
        let weights = checkpoint.tensors().filter_map(|codes| {
            let weight = ENDS.iter().find_map(|end| codes.entry.name.strip_suffix(end))?;
            Some((codes, weight, checkpoint.tensor(&format!("{weight}._scale"))?))
        });
        let found: Found =
            weights.map(|(codes, weight, scale)| read(checkpoint, codes, weight, scale)).collect();
        Ok((method.is_some() || !found.is_empty()).then_some(found))
    }
}

/// Shape, format, packings and arithmetic of a weight.
struct Laid {
    shape: Shape,
    format: Format,
    codes: Option<Packing>,
    shift: Option<(Dtype, Option<Packing>)>,
    formula: Formula,
}

fn read(checkpoint: &Checkpoint, codes: Tensor<'_>, weight: &str, scale: Tensor<'_>) -> Result<Stored> {
    let kind = scale_kind(scale.entry.dtype).filter(|kind| kind.bytes() > 1);
    let kind = kind.ok_or_else(|| scale.error(format!("is {}, not F32, F16 or BF16", scale.entry.dtype)))?;
    let laid = match checkpoint.tensor(&format!("{weight}._shift")) {
        Some(shift) => packed(checkpoint, codes, weight, scale, shift, kind)?,
        None => bytes(codes, scale, kind)?,
    };
    let Laid { shape, format, codes: packing, shift, formula } = laid;
    format.check(shape).map_err(|e| codes.error(e.to_string()))?;
    let length =
        packing.map_or_else(|| format.codes_len(shape), |packing| packing.packed_len(shape.rows, shape.cols));
    let groups = format.scales_len(shape) / kind.bytes();
    let part = |name: &str, dtype, elements, holds| Part {
        name: name.to_owned(),
        dtype,
        shape: vec![elements],
        holds,
    };
    let mut parts = vec![
        Part::found(codes, length, Holds::Codes(packing)),
        part(&scale.entry.name, scale.entry.dtype, groups, Holds::Scales(None)),
    ];
    let shift =
        shift.map(|(dtype, packing)| part(&format!("{weight}._shift"), dtype, groups, Holds::Zeros(packing)));
    parts.extend(shift);
    let linear = Linear {
        module: lowbit_arch::module_of(weight).to_owned(),
        weight: weight.to_owned(),
        shape,
        dtype: kind.dtype().unwrap_or(lowbit_blocks::Dtype::Bf16),
        ..Linear::default()
    };
    let mut stored = Stored::new(checkpoint, linear, format, parts)?;
    stored.formula = formula;
    dress(&mut stored, checkpoint);
    Ok(stored)
}

/// Adds the scales of input and output. Every module has both, even if its activations are not
/// quantized.
fn dress(stored: &mut Stored, checkpoint: &Checkpoint) {
    let config = stored::any_quantization_config(checkpoint).and_then(|config| config.get("activations"));
    let quantized = config.and_then(Value::as_str).is_some_and(|word| word != "none");
    let module = &stored.linear.module;
    let named = |suffix: &str| checkpoint.tensor(&format!("{module}.{suffix}")).map(|t| t.entry.name.clone());
    let (input, output) = (named("input_scale"), named("output_scale"));
    let mut extra =
        |tensor: Option<String>, kind| stored.extras.extend(tensor.map(|tensor| Extra { tensor, kind }));
    if quantized {
        stored.activations = Activations::Static;
        stored.input_scale = input.map(|input| (input, false));
        extra(output, ExtraKind::OutputScale);
    } else {
        extra(input, ExtraKind::Marker);
        extra(output, ExtraKind::Marker);
    }
}

/// Codes of one byte each.
fn bytes(codes: Tensor<'_>, scale: Tensor<'_>, kind: ScaleKind) -> Result<Laid> {
    let element = match codes.entry.dtype {
        Dtype::I8 => Element::Int { bits: 8 },
        Dtype::F8_E4M3 => Element::E4m3,
        Dtype::F8_E5M2 => Element::E5m2,
        other => return Err(codes.error(format!("is {other}, not I8, F8_E4M3 or F8_E5M2")).into()),
    };
    let [rows, cols] = codes.matrix()?;
    let block = if scale.entry.elements() == 1 { Block::Tensor } else { Block::Channel };
    let format = Format::new(element, block, kind);
    Ok(Laid { shape: Shape::matrix(rows, cols), format, codes: None, shift: None, formula: Formula::Format })
}

/// Codes of 4 or 2 bits, split into pieces.
fn packed(
    checkpoint: &Checkpoint,
    codes: Tensor<'_>,
    weight: &str,
    scale: Tensor<'_>,
    shift: Tensor<'_>,
    kind: ScaleKind,
) -> Result<Laid> {
    let ([pieces, group], [groups, 1]) = (&codes.entry.shape[..], &scale.entry.shape[..]) else {
        let shapes = format!("{:?} with scales {:?}", codes.entry.shape, scale.entry.shape);
        return Err(codes.error(format!("shape {shapes} is not that of groups along rows")).into());
    };
    let bits = shape::bits(checkpoint, *pieces, *groups);
    let bits = bits
        .ok_or_else(|| codes.error(format!("{pieces} rows hold {groups} groups of neither 4 nor 2 bits")))?;
    let shape = shape::of(checkpoint, codes, lowbit_arch::module_of(weight), *groups, *group)?;
    let (zero, dtype, packing, formula) = match shift.entry.dtype {
        Dtype::I8 => (Zero::Int, Dtype::I8, None, Formula::Format),
        dtype if dtype == scale.entry.dtype => {
            let negated = Packing::Negated { bytes: kind.bytes() };
            let narrow = kind.dtype().filter(|dtype| *dtype != lowbit_blocks::Dtype::F32);
            let rounded = narrow.map_or(Formula::Format, Formula::Rounded);
            (Zero::Bias, dtype, Some(negated), rounded)
        }
        other => return Err(shift.error(format!("is {other}, neither I8 nor that of the scales")).into()),
    };
    if zero == Zero::Int && shift.entry.elements() == *groups as u64 {
        let limit = 1 << bits;
        if let Some(zero) = shift.read_all()?.iter().find(|&&zero| zero >= limit) {
            return Err(shift.error(format!("shift {} is not in 0..{limit}", zero.cast_signed())).into());
        }
    }
    let element = Element::Uint { bits };
    let format = Format::new(element, Block::Group(*group), kind).with_zero(zero);
    let codes = Some(Packing::Split { bits: bits.into(), width: *group, high_first: false });
    Ok(Laid { shape, format, codes, shift: Some((dtype, packing)), formula })
}
