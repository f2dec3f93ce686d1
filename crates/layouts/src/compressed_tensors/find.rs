//! Finds the quantized linears of a compressed-tensors checkpoint: modules with quantized tensors,
//! matched to the groups of the configuration.
//!
//! The tensors determine which modules are quantized, and their compression. The configuration's
//! names for it are often wrong.

use super::super::{Extra, ExtraKind, Found, Linear, Stored, columns, sparse, stored};
use super::groups::{Group, Groups};
use super::{Compression, args};
use crate::{Checkpoint, Error, Result, Tensor};
use lowbit_arch::Arch;
use lowbit_blocks::{Format, Shape, Zero};
use lowbit_container::safetensors::Dtype;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The location of a transform, in its module's name: `M.GROUP_LOCATION`.
const LOCATIONS: &[&str] = &["input", "weight_input", "weight_output", "output"];

pub(super) fn find(checkpoint: &Checkpoint) -> Result<Option<Found>> {
    let Some(config) = stored::quantization_config(checkpoint, super::METHOD) else { return Ok(None) };
    if config.get("format").and_then(Value::as_str) == Some("marlin-24") {
        return Ok(None);
    }
    linears(checkpoint, config).map(Some)
}

/// All linears of a checkpoint with this configuration.
pub(in super::super) fn linears(checkpoint: &Checkpoint, config: &Map<String, Value>) -> Result<Found> {
    let names = checkpoint.tensors().map(|tensor| tensor.entry.name.as_str());
    let module = |name: &'_ str| {
        [".weight_scale", ".weight_packed"]
            .iter()
            .find_map(|end| name.strip_suffix(end).map(ToOwned::to_owned))
    };
    let modules: BTreeSet<String> = names.filter_map(module).collect();
    let groups = Groups::read(config).map_err(|reason| {
        Error::file(&checkpoint.dir().join(crate::CONFIG), format!("quantization_config: {reason}"))
    })?;
    let reader = Reader {
        checkpoint,
        groups,
        arch: Arch::new(checkpoint.config()),
        transforms: transforms(config),
        padded: is_padded(config),
    };
    Ok(modules.iter().map(|module| reader.module(module)).collect())
}

/// The names of the groups of transforms.
fn transforms(config: &Map<String, Value>) -> Vec<String> {
    let groups =
        config.get("transform_config").and_then(|c| c.get("config_groups")).and_then(Value::as_object);
    groups.into_iter().flat_map(Map::keys).cloned().collect()
}

/// Whether the version of the configuration pads words of 3, 5, 6 and 7 bits. Only used if the
/// number of words does not decide.
fn is_padded(config: &Map<String, Value>) -> bool {
    config.get("version").and_then(Value::as_str).is_some_and(|version| version.starts_with("0.17."))
}

struct Reader<'a> {
    checkpoint: &'a Checkpoint,
    groups: Groups,
    arch: Arch,
    transforms: Vec<String>,
    padded: bool,
}

impl<'a> Reader<'a> {
    fn tensor(&self, module: &str, suffix: &str) -> Option<Tensor<'a>> {
        self.checkpoint.tensor(&format!("{module}.{suffix}"))
    }

    /// Reads one module. Its group has the settings; its tensors have the shape and the type of
    /// scales.
    fn module(&self, module: &str) -> Result<Stored> {
        let scale = self.checkpoint.require(&format!("{module}.weight_scale"))?;
        let group = self
            .groups
            .of(&self.arch, module)
            .ok_or_else(|| scale.error("no config group takes its module"))?;
        let compressed = sparse::of(self.checkpoint, module)?;
        let codes = match &compressed {
            Some(sparse) => self.checkpoint.require(&sparse.compressed)?,
            None => {
                let codes = ["weight_packed", "weight"].iter().find_map(|suffix| self.tensor(module, suffix));
                codes.ok_or_else(|| {
                    scale.error(format!("there is no {module}.weight_packed and no {module}.weight"))
                })?
            }
        };
        let (format, compression) = args::read(&group.weights, scale.entry.dtype, codes.entry.dtype)
            .ok_or_else(|| {
                let args = Value::Object(group.weights.clone());
                let (codes, scale) = (codes.entry.dtype, scale.entry.dtype);
                let reason = format!("is no format that can be read of {codes} codes and {scale} scales");
                self.checkpoint_error(module, format!("its config group {reason}: {args}"))
            })?;
        let (shape, compression) = match &compressed {
            Some(sparse) => (sparse.shape, compression),
            None => self.shape(module, codes, &format, compression)?,
        };
        format.check(shape).map_err(|e| codes.error(e.to_string()))?;
        let mut linear = Linear {
            module: module.to_owned(),
            weight: format!("{module}.weight"),
            shape,
            dtype: stored::weight_dtype(self.checkpoint),
            ..Linear::default()
        };
        let order = self.tensor(module, "weight_g_idx");
        linear.permuted = order.is_some_and(|order| is_scattered(order, &format, shape.cols).unwrap_or(true));
        let mut parts = compression.parts(&linear, &format);
        if compressed.is_some() {
            parts.remove(0);
        }
        let mut stored = Stored::new(self.checkpoint, linear, format, parts)?;
        stored.divides = true;
        stored.activations = group.activations();
        if let Some(order) = order.filter(|_| stored.linear.permuted) {
            stored.groups = Some(order.entry.name.clone());
        }
        if let Some(sparse) = compressed {
            sparse.into_codes_of(&mut stored, self.checkpoint)?;
        }
        // `input_global_scale` divides, like the weight's; a static `input_scale` multiplies.
        stored.input_scale = stored::input_scale(self.checkpoint, module, "input_scale", false)
            .or(stored::input_scale(self.checkpoint, module, "input_global_scale", true));
        stored.extras.extend(self.extras(&stored, group)?);
        Ok(stored)
    }

    /// The further tensors of a module.
    fn extras(&self, stored: &Stored, group: &Group) -> Result<Vec<Extra>> {
        use ExtraKind::{InputZeroPoint, Marker, OutputScale, Transform};
        let module = &stored.linear.module;
        let mut suffixes = vec![("input_zero_point".to_owned(), InputZeroPoint)];
        if group.output.is_object() {
            suffixes.extend(["output_scale", "output_zero_point"].map(|s| (s.to_owned(), OutputScale)));
        }
        for group in &self.transforms {
            for location in LOCATIONS {
                suffixes.extend(["weight", "perm"].map(|t| (format!("{group}_{location}.{t}"), Transform)));
            }
        }
        // Older versions also stored the zero points of symmetric groups, all zero. Other values
        // contradict the configuration and are left unassigned.
        let zeros = self.tensor(module, "weight_zero_point").filter(|_| stored.format.zero == Zero::None);
        if let Some(zeros) = zeros
            && zeros.read_all()?.iter().all(|&byte| byte == 0)
        {
            suffixes.push(("weight_zero_point".into(), Marker));
        }
        if !stored.linear.permuted {
            suffixes.push(("weight_g_idx".into(), Marker));
        }
        Ok(stored::extras(self.checkpoint, module, &suffixes))
    }

    /// The shape of a weight, from its codes or from `weight_shape`, and the compression with or
    /// without padded words.
    fn shape(
        &self,
        module: &str,
        codes: Tensor<'_>,
        format: &Format,
        compression: Compression,
    ) -> Result<(Shape, Compression)> {
        let (matrices, rows, cols) = match codes.entry.shape[..] {
            [rows, cols] => (1, rows, cols),
            [matrices, rows, cols] => (matrices, rows, cols),
            _ => return Err(codes.error(format!("shape {:?} is not a matrix", codes.entry.shape)).into()),
        };
        let whole = |cols| Shape { matrices, rows, cols };
        Ok(match compression {
            Compression::Nvfp4 | Compression::Mxfp4 => (whole(cols.saturating_mul(2)), compression),
            Compression::Pack => {
                let said = self.checkpoint.require(&format!("{module}.weight_shape"))?;
                let shape = read_shape(said)?;
                if shape.matrices != matrices {
                    let have = &codes.entry.shape;
                    return Err(said
                        .error(format!("says {shape}, but the words beside it are {have:?}"))
                        .into());
                }
                let bits = format.element.bits();
                let [dense, padded] =
                    [Compression::Pack, Compression::Padded].map(|c| c.words(bits, shape.cols) == cols);
                let padded = padded && 32 % bits != 0 && (!dense || self.padded);
                (shape, if padded { Compression::Padded } else { Compression::Pack })
            }
            _ => (whole(cols), compression),
        })
    }

    fn checkpoint_error(&self, module: &str, reason: String) -> Error {
        Error::tensor(self.checkpoint.dir(), &format!("{module}.weight"), reason)
    }
}

/// Whether columns are not in the order of their groups. The tool fills `g_idx` with -1 if there is
/// no order.
fn is_scattered(order: Tensor<'_>, format: &Format, cols: usize) -> Result<bool> {
    let groups = columns::of_columns(order, cols)?;
    let Some(size) = format.block.group() else { return Ok(false) };
    Ok(!groups.contains(&-1) && !columns::is_in_order(&groups, size))
}

/// The numbers of a `weight_shape`: two, or three for a stack.
fn read_shape(tensor: Tensor<'_>) -> Result<Shape> {
    let count = tensor.entry.elements();
    if tensor.entry.dtype != Dtype::I64 || tensor.entry.shape.len() != 1 || !(2..=3).contains(&count) {
        let (dtype, shape) = (tensor.entry.dtype, &tensor.entry.shape);
        return Err(tensor.error(format!("is {dtype} {shape:?}, not two or three I64")).into());
    }
    let numbers = stored::read_numbers(tensor)?;
    Ok(match numbers[..] {
        [matrices, rows, cols] => Shape { matrices, rows, cols },
        _ => Shape::matrix(numbers[0], numbers[1]),
    })
}
