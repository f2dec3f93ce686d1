//! The arrangement of a linear's weight in Quark, by the `dtype` and `qscheme` of its
//! specification.

use super::super::part::scale_kind;
use super::super::{Holds, Packing, Part};
use crate::{Result, Tensor};
use lowbit_blocks::{Block, Format, Outer, ScaleKind, Shape, Zero};
use lowbit_container::safetensors::Dtype;
use lowbit_kernels::Element;
use serde_json::{Map, Value};

/// The shape and format of a weight, and the packings of codes, scales and zero points.
pub(super) struct Laid {
    pub(super) shape: Shape,
    pub(super) format: Format,
    codes: Option<Packing>,
    scales: Option<Packing>,
    zeros: Option<Holds>,
}

/// A dtype: its name, its element, and the number of values in one element of the weight's shape,
/// as a fraction.
struct Kind {
    dtype: &'static str,
    element: Element,
    values: (usize, usize),
}

const KINDS: &[Kind] = &[
    Kind { dtype: "fp8_e4m3", element: Element::E4m3, values: (1, 1) },
    Kind { dtype: "fp8_e5m2", element: Element::E5m2, values: (1, 1) },
    Kind { dtype: "fp4", element: Element::E2m1, values: (2, 1) },
    Kind { dtype: "fp6_e2m3", element: Element::E2m3, values: (4, 3) },
    Kind { dtype: "fp6_e3m2", element: Element::E3m2, values: (4, 3) },
    Kind { dtype: "int8", element: Element::Int { bits: 8 }, values: (1, 1) },
    Kind { dtype: "uint8", element: Element::Uint { bits: 8 }, values: (1, 1) },
    Kind { dtype: "int4", element: Element::Int { bits: 4 }, values: (8, 1) },
    Kind { dtype: "uint4", element: Element::Uint { bits: 4 }, values: (8, 1) },
];

/// The tile size of layers that were FP8 before Quark.
const TILE: usize = 128;

type Specification = Map<String, Value>;

/// The arrangement of a module's weight.
pub(super) fn lay(
    specifications: &[&Specification],
    weight: Tensor<'_>,
    scale: Tensor<'_>,
    zero: Option<Tensor<'_>>,
) -> Result<Laid> {
    let text =
        |of: &Specification, key: &str| of.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let dtypes: Vec<String> = specifications.iter().map(|of| text(of, "dtype")).collect();
    let dtypes: Vec<&str> = dtypes.iter().map(String::as_str).collect();
    let (dtype, two_levels) = match dtypes[..] {
        [dtype] => (dtype, false),
        ["fp4", "fp8_e4m3"] => ("fp4", true),
        // Unchanged from before Quark: only FP8 in blocks has such scales.
        [] => (if weight.entry.dtype == Dtype::F8_E4M3 { "fp8_e4m3" } else { "" }, false),
        _ => {
            return Err(weight
                .error(format!("is {} one in the other, which is not read", dtypes.join(" and ")))
                .into());
        }
    };
    let Some(kind) = KINDS.iter().find(|kind| kind.dtype == dtype) else {
        return Err(weight
            .error(match dtype {
                "" => "has scales, and the configuration says no dtype for it".to_owned(),
                _ => format!("dtype {dtype} is not read"),
            })
            .into());
    };
    let specification = specifications.first().copied();
    let scheme = specification.map(|of| text(of, "qscheme")).unwrap_or_default();
    let grouped = scheme == "per_group";
    let [high, wide] = weight.matrix()?;
    let (times, over) = kind.values;
    if !wide.is_multiple_of(over) {
        return Err(weight.error(format!("{wide} bytes are no whole number of {dtype} codes")).into());
    }
    let wide = (wide / over).saturating_mul(times);
    let integer = kind.element.int_bits().is_some();
    let transposed = integer && grouped;
    let shape = if transposed { Shape::matrix(wide, high) } else { Shape::matrix(high, wide) };
    let number = |key: &str| specification?.get(key)?.as_u64().and_then(|n| usize::try_from(n).ok());
    let block = match &*scheme {
        "per_tensor" => Block::Tensor,
        "per_channel" => Block::Channel,
        "per_group" => {
            Block::Group(number("group_size").ok_or_else(|| weight.error("per_group without group_size"))?)
        }
        "per_block" | "" => tile(specification, shape, scale)?,
        other => return Err(weight.error(format!("qscheme {other} is not read")).into()),
    };
    let stored = scale_kind(scale.entry.dtype);
    let stored = stored.ok_or_else(|| scale.error(format!("is {}, no type of scales", scale.entry.dtype)))?;
    if (stored == ScaleKind::E4m3) != two_levels {
        return Err(scale
            .error(format!("is {}, but the configuration says {}", scale.entry.dtype, dtypes.join(" and ")))
            .into());
    }
    let format = Format::new(kind.element, block, stored).with_outer(Outer::matrix(two_levels));
    format.check(shape).map_err(|e| weight.error(e.to_string()))?;
    let laid = Laid { shape, format, codes: None, scales: None, zeros: None };
    if !integer {
        return Ok(laid);
    }
    integers(laid, transposed, weight, zero)
}

/// The packings of integers: codes, scales and zero points.
type Arranged = (Option<Packing>, Option<Packing>, Option<Packing>);

/// Sets the packings of integers, and the kind of zero points.
fn integers(mut laid: Laid, transposed: bool, weight: Tensor<'_>, zero: Option<Tensor<'_>>) -> Result<Laid> {
    let (bits, signed) = (laid.format.element.bits() as u8, laid.format.element.is_int());
    let bytes = laid.format.scale.kind.bytes();
    let (codes, scales, packed): Arranged = match (bits, transposed) {
        (8, false) => (None, None, None),
        (8, true) => (
            Some(Packing::Transposed { bytes: 1 }),
            Some(Packing::Transposed { bytes }),
            Some(Packing::Transposed { bytes: 1 }),
        ),
        (_, true) if laid.shape.rows.is_multiple_of(8) => (
            // Codes are two's complement in the file too, without an offset.
            Some(Packing::Interleaved { signed: false }),
            Some(Packing::Transposed { bytes }),
            Some(Packing::InterleavedZeros),
        ),
        (_, true) => {
            return Err(weight.error(format!("{} rows do not fill words of 8", laid.shape.rows)).into());
        }
        (_, false) => return Err(weight.error("words of 4-bit codes along a row are not read").into()),
    };
    (laid.codes, laid.scales) = (codes, scales);
    let middle = if signed { 0 } else { 1 << (bits - 1) };
    let Some(zero) = zero else {
        return if signed {
            Ok(laid)
        } else {
            Err(weight.error("is unsigned and has no weight_zero_point").into())
        };
    };
    let (rows, groups) = laid.format.scale_grid(laid.shape);
    let symmetric = are_all(zero, packed, (rows, groups), middle)?;
    if signed {
        if !symmetric {
            return Err(zero.error("zero points of signed codes are not read").into());
        }
        laid.zeros = Some(Holds::Repeated(vec![0]));
        return Ok(laid);
    }
    laid.format.zero = Zero::Int;
    laid.zeros = Some(Holds::Zeros(packed));
    if symmetric && bits == 4 {
        // Symmetric codes as AWQ's tools write them: two's complement plus 8.
        laid.format = laid.format.with_element(Element::Int { bits }).with_zero(Zero::None);
        laid.codes = Some(Packing::Interleaved { signed: true });
        laid.zeros = Some(Holds::Repeated(vec![0x88]));
    }
    Ok(laid)
}

/// Whether all zero points have this value.
fn are_all(
    tensor: Tensor<'_>,
    packing: Option<Packing>,
    (rows, groups): (usize, usize),
    value: u8,
) -> Result<bool> {
    let length = packing.map_or(rows * groups, |packing| packing.packed_len(rows, groups));
    if tensor.entry.len() != length as u64 {
        let (dtype, shape) = (tensor.entry.dtype, &tensor.entry.shape);
        return Err(tensor
            .error(format!("is {dtype} {shape:?}, not one for each of {rows}x{groups} scales"))
            .into());
    }
    let value = if packing == Some(Packing::InterleavedZeros) { value | value << 4 } else { value };
    Ok(tensor.read_all()?.iter().all(|&zero| zero == value))
}

/// The tiles of FP8 in blocks: those of the configuration, otherwise 128x128.
fn tile(specification: Option<&Specification>, shape: Shape, scale: Tensor<'_>) -> Result<Block> {
    let said = specification.and_then(|of| of.get("block_size")).and_then(Value::as_array);
    let side =
        |at: usize| said.and_then(|said| usize::try_from(said.get(at)?.as_u64()?).ok()).unwrap_or(TILE);
    let (rows, cols) = (side(0), side(1));
    let fits =
        rows > 0 && cols > 0 && scale.entry.shape == [shape.rows.div_ceil(rows), shape.cols.div_ceil(cols)];
    if !fits {
        return Err(scale
            .error(format!("shape {:?} is not the grid of {rows}x{cols} tiles of {shape}", scale.entry.shape))
            .into());
    }
    Ok(Block::Tile { rows, cols })
}

impl Laid {
    /// The parts of the weight.
    pub(super) fn parts(
        self,
        module: &str,
        weight: Tensor<'_>,
        scale: Tensor<'_>,
        zero: Option<Tensor<'_>>,
    ) -> Vec<Part> {
        let Self { shape, format, codes, scales, zeros } = self;
        let (high, wide) = format.scale_grid(shape);
        let sides = if scales.is_some() { vec![wide, high] } else { vec![high, wide] };
        let mut parts = vec![
            Part::found(weight, format.codes_len(shape), Holds::Codes(codes)),
            Part::new(module, "weight_scale", scale.entry.dtype, sides, Holds::Scales(scales)),
        ];
        if let (Some(holds), Some(zero)) = (zeros, zero) {
            // Its length was compared with that of the scales before.
            let dtype = zero.entry.dtype;
            parts.push(Part::new(module, "weight_zero_point", dtype, zero.entry.shape.clone(), holds));
        }
        if format.has_tensor_scale() {
            parts.push(Part::new(module, "weight_scale_2", Dtype::F32, Vec::new(), Holds::TensorScale));
        }
        parts
    }
}
