//! `QuantizationArgs`: converts formats to and from the arguments of compressed-tensors.

use super::super::part::scale_kind;
use super::Compression;
use lowbit_blocks::{Block, Format, MXFP4, MXFP8, NVFP4, ScaleKind, Zero};
use lowbit_calib::Activations;
use lowbit_container::safetensors::Dtype;
use lowbit_kernels::Element;
use serde_json::{Map, Value, json};

/// The format of a group's `weights`, and its compression, for scales and codes of these dtypes.
pub(super) fn read(args: &Map<String, Value>, scale: Dtype, codes: Dtype) -> Option<(Format, Compression)> {
    let number = |key: &str| args.get(key).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    let text = |key: &str| args.get(key).and_then(Value::as_str);
    let symmetric = args.get("symmetric").and_then(Value::as_bool).unwrap_or(true);
    let bits = u8::try_from(number("num_bits").unwrap_or(8)).ok()?;
    let size = number("group_size").filter(|&g| g > 0);
    let block = match text("strategy") {
        Some("tensor") => Block::Tensor,
        Some("channel") => Block::Channel,
        Some("group" | "tensor_group") => Block::Group(size?),
        Some("block") => tile(args.get("block_structure")?)?,
        Some(_) => return None,
        None => {
            let whole = if args.get("group_size").is_some_and(Value::is_number) {
                Block::Channel
            } else {
                Block::Tensor
            };
            size.map_or(whole, Block::Group)
        }
    };
    // If the scales have another dtype than configured, the error is reported for their tensor.
    let exponents = text("scale_dtype") == Some("torch.uint8") || scale == Dtype::U8;
    let kind = scale_kind(scale).filter(|kind| kind.is_float()).unwrap_or(ScaleKind::F32);
    let e4m3 = Format::new(Element::E4m3, block, kind);
    Some(match (text("type").unwrap_or("int"), bits, codes) {
        ("float", 4, _) => match (scale_kind(scale), block.is_group()) {
            (Some(kind), true) if kind == MXFP4.scale.kind => (MXFP4.with_block(block), Compression::Mxfp4),
            (Some(kind), true) if kind == NVFP4.scale.kind => (NVFP4.with_block(block), Compression::Nvfp4),
            _ if block == MXFP4.block => (MXFP4, Compression::Mxfp4),
            _ if block == NVFP4.block => (NVFP4, Compression::Nvfp4),
            _ => return None,
        },
        ("float", 8, _) if exponents && block.is_group() => (MXFP8.with_block(block), Compression::Mxfp8),
        ("float", 8, _) => (e4m3, Compression::Float),
        ("int", 1..=8, _) => {
            let integers = if symmetric { Format::int(bits, block) } else { Format::uint(bits, block) };
            let compression = match codes {
                Dtype::I8 => Compression::Int,
                _ => Compression::Pack,
            };
            (integers.with_scale(kind), compression)
        }
        _ => return None,
    })
}

/// The tile of a `block_structure`: `[128, 128]`, or `"128x128"` in older versions.
fn tile(structure: &Value) -> Option<Block> {
    let [rows, cols] = match structure {
        Value::String(text) => {
            let (rows, cols) = text.split_once('x')?;
            [rows.parse().ok()?, cols.parse().ok()?]
        }
        Value::Array(sizes) => match sizes[..] {
            [ref rows, ref cols] => [rows.as_u64()?, cols.as_u64()?],
            _ => return None,
        },
        _ => return None,
    };
    Some(Block::Tile { rows: usize::try_from(rows).ok()?, cols: usize::try_from(cols).ok()? })
}

/// The arguments of weights in this format.
pub(super) fn weights(format: &Format, permuted: bool) -> Value {
    let (group, tile) = (format.block.group(), format.block.tile());
    let strategy = match (group, tile) {
        (Some(_), _) if format.has_tensor_scale() => "tensor_group",
        (Some(_), _) => "group",
        (None, Some(_)) => "block",
        (None, None) if format.block.is_tensor() => "tensor",
        (None, None) => "channel",
    };
    let block = tile.map(|(rows, cols)| [rows, cols]);
    let mut args = args(format, strategy, group);
    if permuted {
        args["actorder"] = "group".into();
    }
    args["block_structure"] = json!(block);
    args["dynamic"] = false.into();
    args["observer"] = "memoryless_minmax".into();
    args
}

/// The arguments of activations; null if they are not quantized.
///
/// Dynamic activations have the weights' groups for MX, groups of 128 beside tiles, and otherwise
/// one scale per token. Static activations have one scale per tensor; for NVFP4 this is the tensor
/// scale.
pub(super) fn activations(format: &Format, activations: Activations) -> Value {
    let symmetric = format.with_zero(Zero::None);
    match (activations, format.block.group()) {
        (Activations::None, _) => Value::Null,
        (Activations::Static, Some(group)) if format.has_tensor_scale() => {
            let mut args = args(&symmetric, "tensor_group", Some(group));
            args["dynamic"] = "local".into();
            args["observer"] = "static_minmax".into();
            args
        }
        (Activations::Static, _) => {
            let mut args = eight_bits(args(&symmetric, "tensor", None));
            args["dynamic"] = false.into();
            args["observer"] = "static_minmax".into();
            args
        }
        (_, Some(group)) if format.scale.kind.is_power_of_two() => args(&symmetric, "group", Some(group)),
        _ => match format.block.tile() {
            Some((_, cols)) => args(&symmetric, "group", Some(cols)),
            None => eight_bits(args(&symmetric, "token", None)),
        },
    }
}

/// Integer weights of any width have 8-bit activations.
fn eight_bits(mut args: Value) -> Value {
    args["num_bits"] = 8.into();
    args
}

fn args(format: &Format, strategy: &str, group: Option<usize>) -> Value {
    let integer = format.is_integer();
    json!({
        "actorder": null,
        "block_structure": null,
        "dynamic": true,
        "group_size": group,
        "num_bits": format.element.bits(),
        "observer": null,
        "observer_kwargs": {},
        "scale_dtype": torch_scale(format.scale.kind),
        "strategy": strategy,
        "symmetric": format.zero == Zero::None,
        "type": if integer { "int" } else { "float" },
        "zp_dtype": if format.zero == Zero::None { None } else { Some("torch.int8") },
    })
}

/// torch's name for the dtype of one-byte scales; `None` for floats.
fn torch_scale(kind: ScaleKind) -> Option<&'static str> {
    if kind.is_power_of_two() {
        return Some("torch.uint8");
    }
    (kind == NVFP4.scale.kind).then_some("torch.float8_e4m3fn")
}
