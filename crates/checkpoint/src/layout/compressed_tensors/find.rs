//! Quantized linears of a compressed-tensors checkpoint: groups of the configuration matched to modules that have quantized tensors.
//!
//! Targets match as in `utils/match.py`: of all targets, sorted with regular expressions last and by text, the first that is the module's name or matches
//! it decides; class names (`Linear`) come after that and take every module. Which modules are quantized is seen from their tensors.

use super::super::part::scale_kind;
use super::super::{Found, Layout, Linear, Stored, stored};
use super::{Activations, CompressedTensors, Compression, Format};
use crate::safetensors::Dtype;
use crate::{Checkpoint, Error, Pattern, Result, Tensor};
use lowbit_blocks::{Block, MXFP4, MXFP8, NVFP4, Shape, Zero};
use lowbit_kernels::Element;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

pub(super) fn find(checkpoint: &Checkpoint) -> Result<Option<Found>> {
    let Some(config) = stored::quantization_config(checkpoint, "compressed-tensors") else { return Ok(None) };
    let groups = Groups::read(checkpoint, config)?;
    let mut modules = BTreeSet::new();
    for tensor in checkpoint.tensors() {
        if let Some(module) = tensor
            .entry
            .name
            .strip_suffix(".weight_scale")
            .or(tensor.entry.name.strip_suffix(".weight_packed"))
        {
            modules.insert(module);
        }
    }
    Ok(Some(modules.into_iter().map(|module| module_of(checkpoint, &groups, module)).collect()))
}

/// One module: its group says the numbers, its tensors the shape and the scale's type.
fn module_of(checkpoint: &Checkpoint, groups: &Groups, module: &str) -> Result<Stored> {
    let scale = checkpoint.require(&format!("{module}.weight_scale"))?;
    let args = groups.of(module).ok_or_else(|| scale.error("no config group takes its module"))?;
    let packed = checkpoint.tensor(&format!("{module}.weight_packed"));
    let codes = packed.or(checkpoint.tensor(&format!("{module}.weight")));
    let codes = codes
        .ok_or_else(|| scale.error(format!("there is no {module}.weight_packed and no {module}.weight")))?;
    let (format, bytes) = format_of(args, scale).ok_or_else(|| {
        scale
            .error(format!("its config group is no format that can be read: {}", Value::Object(args.clone())))
    })?;
    let [rows, cols] = codes.entry.shape[..] else {
        return Err(codes.error(format!("shape {:?} is not a matrix", codes.entry.shape)));
    };
    let shape = match checkpoint.tensor(&format!("{module}.weight_shape")) {
        Some(shape) => read_shape(shape)?,
        None => Shape::matrix(rows, cols.saturating_mul(bytes)),
    };
    if let Some(order) = checkpoint.tensor(&format!("{module}.weight_g_idx")) {
        return Err(order.error("columns in activation order are not read yet"));
    }
    let linear = Linear {
        module: module.to_owned(),
        weight: format!("{module}.weight"),
        shape,
        dtype: stored::weight_dtype(checkpoint),
        ..Linear::default()
    };
    // A float weight without activations and one with have the same tensors; only integers differ, and there the packed name tells.
    let activations = match (format.element, packed) {
        (Element::Int { .. } | Element::Uint { .. }, None) => Activations::Dynamic,
        _ => Activations::None,
    };
    if Compression::of(&format, activations).is_none() {
        return Err(codes.error(format!("{format} is not stored in this way by compressed-tensors")));
    }
    format.check(shape).map_err(|e| codes.error(e.to_string()))?;
    let parts = CompressedTensors.parts(&linear, &format, activations).map_err(|e| codes.error(e))?;
    let mut stored = Stored::new(checkpoint, linear, format, parts)?;
    stored.divides = true;
    stored.activations = activations;
    // `input_global_scale` divides, as the weight's does; a static `input_scale` multiplies.
    stored.input_scale = stored::input_scale(checkpoint, module, "input_scale", false)
        .or(stored::input_scale(checkpoint, module, "input_global_scale", true));
    Ok(stored)
}

/// The format of a group's `weights`, with the scale's own type, and how many codes one byte of the stored shape is.
fn format_of(args: &Map<String, Value>, scale: Tensor<'_>) -> Option<(Format, usize)> {
    let number = |key: &str| args.get(key).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    let text = |key: &str| args.get(key).and_then(Value::as_str);
    let symmetric = args.get("symmetric").and_then(Value::as_bool).unwrap_or(true);
    let bits = u8::try_from(number("num_bits").unwrap_or(8)).ok()?;
    let group = number("group_size").filter(|&g| g > 0);
    let block = match text("strategy") {
        Some("tensor") => Block::Tensor,
        Some("channel") => Block::Channel,
        Some("group" | "tensor_group") => Block::Group(group?),
        Some("block") => {
            let structure = args.get("block_structure")?.as_array()?;
            let size = |at: usize| structure.get(at).and_then(Value::as_u64).map(|n| n as usize);
            Block::Tile { rows: size(0)?, cols: size(1)? }
        }
        Some(_) => return None,
        None => group.map_or(
            if args.contains_key("group_size") { Block::Channel } else { Block::Tensor },
            Block::Group,
        ),
    };
    let kind = scale_kind(scale.entry.dtype)?;
    match (text("type").unwrap_or("int"), bits) {
        ("float", 4) => [NVFP4, MXFP4].into_iter().find(|f| f.block == block).map(|f| (f, 2)),
        ("float", 8) if scale.entry.dtype == Dtype::U8 => (MXFP8.block == block).then_some((MXFP8, 1)),
        ("float", 8) => Some((
            Format { element: Element::E4m3, block, scale: kind, tensor_scale: false, zero: Zero::None },
            1,
        )),
        ("int", 2..=8) if symmetric => Some((Format::int(bits, block).with_scale(kind), 1)),
        ("int", 2..=8) => Some((Format::uint(bits, block).with_scale(kind), 1)),
        _ => None,
    }
}

/// The two numbers of a `weight_shape`.
fn read_shape(tensor: Tensor<'_>) -> Result<Shape> {
    if tensor.entry.dtype != Dtype::I64 || tensor.entry.shape != [2] {
        return Err(tensor.error(format!("is {} {:?}, not two I64", tensor.entry.dtype, tensor.entry.shape)));
    }
    let bytes = tensor.read_all()?;
    let (numbers, _) = bytes.as_chunks::<8>();
    let number = |at: usize| {
        let n = i64::from_le_bytes(numbers[at]);
        usize::try_from(n).map_err(|_| tensor.error(format!("{n} is not a number of values")))
    };
    Ok(Shape::matrix(number(0)?, number(1)?))
}

/// The `weights` arguments of every group, by target.
struct Groups {
    targets: Vec<(Target, Map<String, Value>)>,
}

enum Target {
    Name(Pattern),
    Class,
}

impl Groups {
    fn read(checkpoint: &Checkpoint, config: &Map<String, Value>) -> Result<Self> {
        let wrong = |reason: &str| {
            Error::file(&checkpoint.dir().join(crate::CONFIG), format!("quantization_config: {reason}"))
        };
        let groups = config
            .get("config_groups")
            .and_then(Value::as_object)
            .ok_or_else(|| wrong("no config_groups"))?;
        let mut targets = Vec::new();
        for (name, group) in groups {
            let Some(weights) = group.get("weights").and_then(Value::as_object) else { continue };
            let list = group.get("targets").and_then(Value::as_array);
            for target in list.ok_or_else(|| wrong(&format!("group {name} has no targets")))? {
                let target =
                    target.as_str().ok_or_else(|| wrong(&format!("group {name}: a target is not text")))?;
                targets.push((target.to_owned(), weights.clone()));
            }
        }
        targets.sort_by(|a, b| (a.0.contains("re:"), &a.0).cmp(&(b.0.contains("re:"), &b.0)));
        let compiled = targets.into_iter().map(|(target, weights)| {
            // A class name has no dot; a module's name nearly always does, and matching it as a class besides does no harm.
            let is_name = target.starts_with("re:") || target.contains('.');
            let target = if is_name {
                Target::Name(Pattern::exact(&target).map_err(|e| wrong(&e.to_string()))?)
            } else {
                Target::Class
            };
            Ok((target, weights))
        });
        Ok(Self { targets: compiled.collect::<Result<_>>()? })
    }

    fn of(&self, module: &str) -> Option<&Map<String, Value>> {
        let named =
            self.targets.iter().find(|(target, _)| matches!(target, Target::Name(p) if p.matches(module)));
        let any = || self.targets.iter().find(|(target, _)| matches!(target, Target::Class));
        named.or_else(any).map(|(_, weights)| weights)
    }
}
