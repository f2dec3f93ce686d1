//! Finds the quantized linears of the three FP8 conventions: every weight that has a scale tensor.

use super::super::part::scale_kind;
use super::super::{Extra, ExtraKind, Found, Linear, Stored, stored};
use super::{Fp8, rows_of};
use crate::{Checkpoint, Result, Tensor};
use lowbit_arch::{Orientation, module_of};
use lowbit_blocks::{Block, Format, ScaleKind, Shape};
use lowbit_calib::Activations;
use lowbit_container::safetensors::Dtype;
use lowbit_kernels::Element;
use serde_json::{Map, Value};

/// Name suffixes of scale tensors and of static input scales. The suffix of the scale follows the
/// name of the weight, or, if it begins with a dot, the name of the module. The input scale follows
/// the name of the module.
const ENDS: &[(Fp8, &str, &str)] = &[
    (Fp8::Blocks, "_scale_inv", "activation_scale"),
    (Fp8::Blocks, "_scale", "input_scale"),
    (Fp8::DeepSeekV4, ".scale", "activation_scale"),
    (Fp8::Fbgemm, "_scale", "activation_scale"),
];

pub(super) fn find(convention: Fp8, checkpoint: &Checkpoint) -> Result<Option<Found>> {
    let config = stored::any_quantization_config(checkpoint);
    let method = config.map(|config| config.get("quant_method").and_then(Value::as_str).unwrap_or_default());
    let scales: Vec<_> = checkpoint.tensors().filter_map(|t| scale_of(convention, checkpoint, t)).collect();
    let v4 = |checkpoint: &Checkpoint| {
        let has = |end| checkpoint.tensors().any(|t| scale_of(end, checkpoint, t).is_some());
        has(Fp8::DeepSeekV4) && !has(Fp8::Blocks)
    };
    let ours = match (convention, method) {
        (Fp8::Blocks, Some("fp8" | "mxfp8")) => !v4(checkpoint),
        (Fp8::DeepSeekV4, Some("fp8")) => v4(checkpoint),
        (Fp8::Fbgemm, Some("fbgemm_fp8")) => true,
        // Without a configuration, only DeepSeek's suffix is unambiguous.
        (Fp8::Blocks, None) => scales.iter().any(|found| found.scale.entry.name.ends_with("_scale_inv")),
        _ => false,
    };
    let empty = Map::new();
    let config = config.unwrap_or(&empty);
    Ok(ours.then(|| scales.iter().map(|found| found.linear(convention, checkpoint, config)).collect()))
}

/// A weight and its scale tensor.
struct Pair<'a> {
    weight: Tensor<'a>,
    scale: Tensor<'a>,
    input: &'static str,
}

/// The weight that a scale tensor belongs to.
fn scale_of<'a>(convention: Fp8, checkpoint: &'a Checkpoint, scale: Tensor<'a>) -> Option<Pair<'a>> {
    let name = &scale.entry.name;
    ENDS.iter().filter(|(of, ..)| *of == convention).find_map(|(_, end, input)| {
        let owner = name.strip_suffix(end)?;
        let weight = if end.starts_with('.') { &format!("{owner}.weight") } else { owner };
        // Other tensors can have scales too. A weight with DeepSeek's suffix has to be quantized;
        // an error is reported later if it is not.
        let weight = checkpoint.tensor(weight)?;
        (*end == "_scale_inv" || element(weight.entry.dtype).is_some()).then_some(Pair {
            weight,
            scale,
            input,
        })
    })
}

/// The element of a weight of this dtype, and the number of values in one element of its shape.
const fn element(dtype: Dtype) -> Option<(Element, usize)> {
    Some(match dtype {
        Dtype::F8_E4M3 => (Element::E4m3, 1),
        Dtype::F8_E5M2 => (Element::E5m2, 1),
        Dtype::F4 => (Element::E2m1, 1),
        Dtype::I8 | Dtype::U8 => (Element::E2m1, 2),
        _ => return None,
    })
}

impl Pair<'_> {
    fn linear(
        &self,
        convention: Fp8,
        checkpoint: &Checkpoint,
        config: &Map<String, Value>,
    ) -> Result<Stored> {
        let Self { weight, scale, input } = *self;
        let name = &weight.entry.name;
        let stack = module_of(name) == name;
        // Llama 4 stores the matrices of its experts transposed.
        let transposed = convention == Fp8::Fbgemm && stack;
        let known = element(weight.entry.dtype);
        let other = || weight.error(format!("is {}, neither FP8 nor packed E2M1", weight.entry.dtype));
        let (element, values) = known.ok_or_else(other)?;
        let wide = |cols: usize| cols.saturating_mul(values);
        let shape = match weight.entry.shape[..] {
            [rows, cols] => Shape::matrix(rows, wide(cols)),
            [matrices, cols, rows] if transposed => Shape { matrices, rows, cols: wide(cols) },
            [matrices, rows, cols] => Shape { matrices, rows, cols: wide(cols) },
            _ => return Err(weight.error(format!("shape {:?} is no matrix", weight.entry.shape)).into()),
        };
        let dtype = scale.entry.dtype;
        let kind = scale_kind(dtype).filter(|kind| *kind != ScaleKind::E4m3);
        let kind = kind.ok_or_else(|| scale.error(format!("is {dtype}, which is no scale of FP8")))?;
        let block = match convention {
            Fp8::Fbgemm => rows_of(kind).block,
            _ => block(shape, scale, config)?,
        };
        let format = Format::new(element, block, kind);
        format.check(shape).map_err(|e| weight.error(e.to_string()))?;
        let linear = Linear {
            orientation: if transposed { Orientation::InOut } else { Orientation::OutIn },
            stacked: stack,
            ..stored::linear(checkpoint, name, shape)
        };
        let mut parts = convention.pair(&linear, &format, Some((weight.entry.dtype, dtype)));
        parts[1].name.clone_from(&scale.entry.name);
        let mut stored = Stored::new(checkpoint, linear, format, parts)?;
        stored.activations = match config.get("activation_scheme").and_then(Value::as_str) {
            Some("static") => Activations::Static,
            _ => Activations::Dynamic,
        };
        let owner = if stack { format!("{name}_") } else { format!("{}.", module_of(name)) };
        if let Some(input) = checkpoint.tensor(&format!("{owner}{input}")) {
            let tensor = input.entry.name.clone();
            match input.entry.elements() {
                1 => stored.input_scale = Some((tensor, false)),
                _ => stored.extras.push(Extra { tensor, kind: ExtraKind::InputScales }),
            }
        }
        Ok(stored)
    }
}

/// The block of a grid of scales: the configured one if it fits, otherwise the one that divides the
/// weight evenly.
fn block(shape: Shape, scale: Tensor<'_>, config: &Map<String, Value>) -> Result<Block> {
    let size = config.get("weight_block_size").and_then(Value::as_array);
    let size = size.map(|size| {
        size.iter().map(|n| n.as_u64().and_then(|n| usize::try_from(n).ok())).collect::<Vec<_>>()
    });
    let grid = match (&scale.entry.shape[..], shape.matrices) {
        ([] | [1], 1) => return Ok(Block::Tensor),
        ([all], matrices) if *all == matrices => return Ok(Block::Tensor),
        ([rows], 1) if *rows == shape.rows => return Ok(Block::Channel),
        ([high, wide], 1) => [*high, *wide],
        ([all, high, wide], matrices) if *all == matrices => [*high, *wide],
        (other, _) => {
            return Err(scale.error(format!("shape {other:?} is no grid of scales of {shape}")).into());
        }
    };
    let fits = |block: [usize; 2]| {
        block[0] > 0 && block[1] > 0 && [shape.rows.div_ceil(block[0]), shape.cols.div_ceil(block[1])] == grid
    };
    let said = size.and_then(|size| match size[..] {
        [Some(rows), Some(cols)] => Some([rows, cols]),
        _ => None,
    });
    let even = || {
        let divides = |n: usize, by: usize| by > 0 && n.is_multiple_of(by);
        (divides(shape.rows, grid[0]) && divides(shape.cols, grid[1]))
            .then(|| [shape.rows / grid[0], shape.cols / grid[1]])
    };
    // A single scale is a tensor's, whatever the shape of the grid. With a configured block size it
    // is a partial tile.
    let block = said.filter(|block| fits(*block)).or_else(|| even().filter(|block| fits(*block)));
    match block.ok_or_else(|| scale.error(format!("{grid:?} scales do not divide {shape} into blocks")))? {
        [rows, cols] if said.is_none() && rows == shape.rows && cols == shape.cols => Ok(Block::Tensor),
        [1, cols] if cols == shape.cols => Ok(Block::Channel),
        [1, cols] if shape.cols.is_multiple_of(cols) => Ok(Block::Group(cols)),
        [rows, cols] => Ok(Block::Tile { rows, cols }),
    }
}
