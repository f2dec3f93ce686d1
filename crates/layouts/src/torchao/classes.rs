//! The supported classes of torchao: their fields and formats.

use super::super::part::scale_kind;
use super::super::{Extra, ExtraKind, Holds, Linear, Packing, Part, Stored};
use super::fields::Fields;
use crate::{Result, Tensor};
use lowbit_blocks::{
    Block, Format, MXFP4, MXFP6_E2M3, MXFP6_E3M2, MXFP8, MXFP8_E5M2, NVFP4, Outer, ScaleKind, Shape, Zero,
    swizzle::Swizzle,
};
use lowbit_calib::Activations;
use lowbit_container::safetensors::Dtype;
use lowbit_kernels::Element;

/// A tensor class of torchao.
pub(super) struct Class {
    /// The name of the class.
    pub(super) name: &'static str,
    /// The fields that it may have.
    pub(super) fields: &'static [&'static str],
    /// The attribute with the dtype of the unquantized weight.
    dtype: &'static str,
    /// Determines shape, format and packings.
    layout: fn(&Fields<'_>) -> Result<Laid>,
}

/// All supported classes.
pub(super) const CLASSES: &[Class] = &[
    Class { name: "Float8Tensor", fields: &["qdata", "scale"], dtype: "dtype", layout: float8 },
    Class {
        name: "Int8Tensor",
        fields: &["qdata", "scale", "zero_point", "act_quant_scale", "act_quant_zero_point", "act_pre_scale"],
        dtype: "dtype",
        layout: |fields| integers(fields, 8),
    },
    Class {
        name: "IntxUnpackedToInt8Tensor",
        fields: &["qdata", "scale", "zero_point"],
        dtype: "dtype",
        layout: intx,
    },
    Class {
        name: "Int4Tensor",
        fields: &["qdata", "scale", "zero_point", "act_pre_scale"],
        dtype: "activation_dtype",
        layout: int4,
    },
    Class { name: "MXTensor", fields: &["qdata", "scale"], dtype: "orig_dtype", layout: mx },
    Class {
        name: "NVFP4Tensor",
        fields: &["qdata", "scale", "per_tensor_scale", "act_per_tensor_scale"],
        dtype: "orig_dtype",
        layout: nvfp4,
    },
];

/// Attributes that indicate that engines quantize the input.
const QUANTIZES_INPUT: [&str; 2] = ["act_quant_kwargs", "activation_quantization"];

/// Fields with a static input scale.
const INPUT_SCALES: [&str; 2] = ["act_quant_scale", "act_per_tensor_scale"];

/// The shape and format of a class, and the packings of its tensors.
struct Laid {
    shape: Shape,
    format: Format,
    codes: Option<Packing>,
    scales: Option<Packing>,
    zeros: Option<Holds>,
}

impl Laid {
    fn new(shape: Shape, format: Format) -> Self {
        Self { shape, format, codes: None, scales: None, zeros: None }
    }
}

impl Class {
    /// Reads the linear that these fields describe.
    pub(super) fn read(&self, fields: &Fields<'_>) -> Result<Stored> {
        let Laid { shape, format, codes, scales, zeros } = (self.layout)(fields)?;
        format.check(shape).map_err(|e| fields.error(e.to_string()))?;
        let linear = Linear {
            module: lowbit_arch::module_of(fields.weight).to_owned(),
            weight: fields.weight.to_owned(),
            shape,
            dtype: fields.dtype(self.dtype)?,
            stacked: fields.require("qdata")?.entry.shape.len() == 3,
            ..Linear::default()
        };
        let (high, wide) = format.scale_grid(shape);
        let [qdata, scale] = [fields.require("qdata")?, fields.require("scale")?];
        let codes_len = match codes {
            Some(packing) => shape.matrices * packing.packed_len(shape.rows, shape.cols),
            None => format.codes_len(shape),
        };
        // The number of blocks; Int4 stores the grid transposed.
        let grid = |tensor: Tensor<'_>, holds: Holds| {
            let sides =
                if matches!(scales, Some(Packing::Transposed { .. })) { [wide, high] } else { [high, wide] };
            let dims = vec![shape.matrices, sides[0], sides[1]];
            Part { name: tensor.entry.name.clone(), dtype: tensor.entry.dtype, shape: dims, holds }
        };
        let mut parts = vec![
            Part::found(qdata, codes_len, Holds::Codes(codes)),
            match scales {
                Some(Packing::Swizzled) => {
                    let bytes = shape.matrices.saturating_mul(Packing::Swizzled.packed_len(high, wide));
                    Part::found(scale, bytes, Holds::Scales(scales))
                }
                _ => grid(scale, Holds::Scales(scales)),
            },
        ];
        if let Some(zeros) = zeros {
            parts.push(grid(fields.require("zero_point")?, zeros));
        }
        if format.has_tensor_scale() {
            parts.push(Part {
                name: fields.name("per_tensor_scale"),
                dtype: Dtype::F32,
                shape: vec![shape.matrices],
                holds: Holds::TensorScale,
            });
        }
        let mut stored = Stored::new(fields.checkpoint, linear, format, parts)?;
        dress(&mut stored, fields);
        Ok(stored)
    }
}

/// Adds the tensors that belong to the linear besides its weight.
fn dress(stored: &mut Stored, fields: &Fields<'_>) {
    let present = |field: &str| fields.get(field).map(|tensor| tensor.entry.name.clone());
    stored.input_scale = INPUT_SCALES.iter().find_map(|field| present(field)).map(|name| (name, false));
    stored.pre_quant_scale = present("act_pre_scale");
    let zero = present("act_quant_zero_point");
    stored.extras.extend(zero.map(|tensor| Extra { tensor, kind: ExtraKind::InputZeroPoint }));
    let quantizes = QUANTIZES_INPUT.iter().any(|key| fields.attribute(key).is_some());
    stored.activations = match (&stored.input_scale, quantizes) {
        (Some(_), _) => Activations::Static,
        (None, true) => Activations::Dynamic,
        (None, false) => Activations::None,
    };
}

fn float8(fields: &Fields<'_>) -> Result<Laid> {
    let shape = fields.shape(1)?;
    let qdata = fields.require("qdata")?;
    let element = match qdata.entry.dtype {
        Dtype::F8_E4M3 => Element::E4m3,
        Dtype::F8_E5M2 => Element::E5m2,
        other => return Err(qdata.error(format!("is {other}, not F8_E4M3 or F8_E5M2")).into()),
    };
    let block = block(fields, shape)?;
    let scale = float_scale(fields.require("scale")?)?;
    Ok(Laid::new(shape, Format::new(element, block, scale)))
}

fn intx(fields: &Fields<'_>) -> Result<Laid> {
    let target = fields.text("target_dtype")?;
    let bits =
        target.strip_prefix("int").and_then(|bits| bits.parse().ok()).filter(|bits| (1..=8).contains(bits));
    integers(fields, bits.ok_or_else(|| fields.error(format!("target_dtype {target} is not int1 to int8")))?)
}

/// Integers of one byte each. They are symmetric if all zero points are zero.
fn integers(fields: &Fields<'_>, bits: u8) -> Result<Laid> {
    let shape = fields.shape(1)?;
    let block = block(fields, shape)?;
    let scale = float_scale(fields.require("scale")?)?;
    let offset = 1_u8 << (bits - 1);
    let zeros = match fields.get("zero_point") {
        None => None,
        Some(tensor) => Some(small_integers(tensor, shape, offset)?),
    };
    let asymmetric = zeros.as_ref().is_some_and(|zeros| zeros.iter().any(|&zero| zero != 0));
    let format = if asymmetric { Format::uint(bits, block) } else { Format::int(bits, block) };
    let wide = u32::from(bits);
    let holds = if asymmetric {
        Holds::Zeros(Some(Packing::Lowered { bits: wide }))
    } else {
        Holds::Repeated(vec![0])
    };
    let codes = (asymmetric || bits < 8).then_some(Packing::Wide { bits: wide, signed: !asymmetric });
    let zeros = zeros.map(|_| holds);
    Ok(Laid { codes, zeros, ..Laid::new(shape, format.with_scale(scale)) })
}

/// Zero points as I8. An error if one is out of the range of the codes.
fn small_integers(tensor: Tensor<'_>, shape: Shape, offset: u8) -> Result<Vec<i8>> {
    if tensor.entry.dtype != Dtype::I8 {
        return Err(tensor.error(format!("is {}, not I8", tensor.entry.dtype)).into());
    }
    if Some(tensor.entry.elements()) > shape.len().map(|len| len as u64) {
        return Err(tensor
            .error(format!("has {} zero points for {shape} values", tensor.entry.elements()))
            .into());
    }
    let zeros: Vec<i8> = tensor.read_all()?.into_iter().map(u8::cast_signed).collect();
    let limit = i16::from(offset);
    match zeros.iter().find(|&&zero| !(-limit..limit).contains(&i16::from(zero))) {
        Some(zero) => Err(tensor.error(format!("zero point {zero} is not in {}..{limit}", -limit)).into()),
        None => Ok(zeros),
    }
}

fn int4(fields: &Fields<'_>) -> Result<Laid> {
    let shape = fields.shape(2)?;
    let scale = float_scale(fields.require("scale")?)?;
    let zero = fields.require("zero_point")?;
    if float_scale(zero)? != scale {
        return Err(zero.error(format!("is {}, its scales are {scale:?}", zero.entry.dtype)).into());
    }
    let block = block(fields, shape)?;
    let block = if block.is_channel() { Block::Group(shape.cols) } else { block };
    let transposed = Some(Packing::Transposed { bytes: scale.bytes() });
    let format = Format::int(4, block).with_scale(scale).with_zero(Zero::Bias);
    Ok(Laid { scales: transposed, zeros: Some(Holds::Zeros(transposed)), ..Laid::new(shape, format) })
}

fn mx(fields: &Fields<'_>) -> Result<Laid> {
    const ELEMENTS: &[(&str, Format, usize)] = &[
        ("float8_e4m3fn", MXFP8, 1),
        ("float8_e5m2", MXFP8_E5M2, 1),
        ("fp6_e2m3", MXFP6_E2M3, 1),
        ("fp6_e3m2", MXFP6_E3M2, 1),
        ("float4_e2m1fn_x2", MXFP4, 2),
    ];
    let name = fields.text("elem_dtype")?;
    let Some(&(_, format, values)) = ELEMENTS.iter().find(|(element, ..)| *element == name) else {
        return Err(fields.error(format!("elem_dtype {name} is not read")));
    };
    let shape = fields.shape(values)?;
    let bits = format.element.bits();
    let codes = (bits == 6).then_some(Packing::OneByte { bits });
    let laid = blocks_of(fields, shape, format)?;
    Ok(Laid { codes, ..laid })
}

fn nvfp4(fields: &Fields<'_>) -> Result<Laid> {
    let format = NVFP4.with_outer(Outer::matrix(fields.get("per_tensor_scale").is_some()));
    blocks_of(fields, fields.shape(2)?, format)
}

/// A format with groups of `block_size`, a single number, and scales of one byte that may be
/// swizzled.
fn blocks_of(fields: &Fields<'_>, shape: Shape, mut format: Format) -> Result<Laid> {
    let size = fields.attribute("block_size").and_then(serde_json::Value::as_u64);
    let size = size.and_then(|size| usize::try_from(size).ok());
    format.block =
        Block::Group(size.ok_or_else(|| fields.error("its metadata has no number for block_size"))?);
    let scale = fields.require("scale")?;
    if scale_kind(scale.entry.dtype) != Some(format.scale.kind) {
        return Err(scale.error(format!("is {}, not {:?}", scale.entry.dtype, format.scale.kind)).into());
    }
    let swizzled = fields.attribute("is_swizzled_scales") == Some(&true.into());
    if swizzled && shape.matrices > 1 && !shape.rows.is_multiple_of(Swizzle::Rows128.tile_rows()) {
        return Err(scale
            .error(format!("swizzled scales of {shape}: tiles lie across the matrices of the stack"))
            .into());
    }
    Ok(Laid { scales: swizzled.then_some(Packing::Swizzled), ..Laid::new(shape, format) })
}

fn block(fields: &Fields<'_>, shape: Shape) -> Result<Block> {
    fields.block(shape, fields.require("qdata")?.entry.shape.len() == 3)
}

/// The kind of float scales.
fn float_scale(tensor: Tensor<'_>) -> Result<ScaleKind> {
    let kind = scale_kind(tensor.entry.dtype).filter(|kind| kind.bytes() > 1);
    kind.ok_or_else(|| tensor.error(format!("is {}, not F32, F16 or BF16", tensor.entry.dtype)).into())
}
