//! The settings of an HQQ module: tensors with a number or with text, or values in the
//! configuration.

use super::super::stored;
use crate::{Checkpoint, Result, Tensor};
use lowbit_blocks::{Dtype, Shape};
use lowbit_container::safetensors::Dtype as FileDtype;
use serde_json::Value;

/// Settings that can be tensors of a module.
pub(super) const SETTINGS: &[&str] = &[
    "shape",
    "nbits",
    "group_size",
    "axis",
    "packing",
    "compute_dtype",
    "unpack_view_dtype",
    "view_as_float",
    "channel_wise",
    "optimize",
    "round_zero",
    "quant_scale",
    "quant_zero",
    "offload_meta",
    "encoded_state_dict",
    "stores_quant_config",
];

/// The settings that determine the arrangement of bytes.
pub(super) struct Settings {
    pub(super) shape: Shape,
    /// Bits of a stored code, at least as many as the code has.
    pub(super) bits: u32,
    pub(super) group: usize,
    pub(super) groups: usize,
    pub(super) axis: usize,
    pub(super) compute: Dtype,
}

/// The length of the longest setting in bytes.
const LONGEST: u64 = 64;

/// The name of each packing, and the bits of a code in it.
const PACKINGS: &[(&str, u32)] =
    &[("8bit_u8", 8), ("4bit_u8", 4), ("3bit_32", 3), ("2bit_u8", 2), ("1bit_u8", 1)];

impl Settings {
    pub(super) fn read(checkpoint: &Checkpoint, codes: Tensor<'_>, module: &str) -> Result<Self> {
        let reader = Reader { checkpoint, module };
        let number = |key: &str| -> Result<usize> {
            let number = reader.number(key)?;
            number
                .ok_or_else(|| {
                    codes.error(format!("neither {module}.{key} nor the configuration says {key}"))
                })
                .map_err(Into::into)
        };
        let shape_name = format!("{module}.shape");
        let shape = checkpoint.require(&shape_name)?;
        let [rows, cols] = numbers(shape)?[..] else {
            return Err(shape.error(format!("is {:?}, not two numbers", shape.entry.shape)).into());
        };
        let values = rows.checked_mul(cols).filter(|&values| values > 0);
        let values = values.ok_or_else(|| shape.error(format!("says {rows}x{cols}, which is no matrix")))?;
        let axis = number("axis")?;
        let group = match reader.number("group_size")? {
            Some(group) => group,
            // The group is a whole row or column.
            None => {
                if axis == 1 {
                    cols
                } else {
                    rows
                }
            }
        };
        if axis > 1 || group == 0 || !values.is_multiple_of(group) {
            return Err(codes
                .error(format!("axis {axis} and group_size {group} are none of {rows}x{cols}"))
                .into());
        }
        let packing = match reader.text("packing")? {
            Some(packing) => packing,
            None => {
                let bits = number("nbits")?;
                let found = PACKINGS.iter().rev().find(|(_, stored)| *stored as usize >= bits);
                found.map_or_else(|| format!("{bits}bit"), |(name, _)| (*name).to_owned())
            }
        };
        let Some(&(_, bits)) = PACKINGS.iter().find(|(name, _)| *name == packing) else {
            return Err(codes.error(format!("packing {packing} is not read")).into());
        };
        for key in ["quant_scale", "quant_zero"] {
            if reader.number(key)?.unwrap_or(0) != 0 {
                return Err(codes
                    .error(format!("{key}: scales that are quantized themselves are not read"))
                    .into());
            }
        }
        let compute = match reader.text("compute_dtype")?.as_deref() {
            Some("torch.float32") => Dtype::F32,
            Some("torch.bfloat16") => Dtype::Bf16,
            Some("torch.float16") => Dtype::F16,
            Some(other) => return Err(codes.error(format!("compute_dtype {other} is not read")).into()),
            None => stored::weight_dtype(checkpoint),
        };
        Ok(Self { shape: Shape::matrix(rows, cols), bits, group, groups: values / group, axis, compute })
    }
}

struct Reader<'a> {
    checkpoint: &'a Checkpoint,
    module: &'a str,
}

impl<'a> Reader<'a> {
    fn tensor(&self, key: &str) -> Option<Tensor<'a>> {
        self.checkpoint.tensor(&format!("{}.{key}", self.module))
    }

    /// A number, from a tensor or from the configuration.
    fn number(&self, key: &str) -> Result<Option<usize>> {
        let Some(tensor) = self.tensor(key) else {
            let config = stored::any_quantization_config(self.checkpoint).and_then(|c| c.get("quant_config"));
            let params = config.and_then(|config| config.get("weight_quant_params"));
            let number = params.and_then(|params| params.get(key)).and_then(Value::as_u64);
            return Ok(number.and_then(|number| usize::try_from(number).ok()));
        };
        match numbers(tensor)?[..] {
            [number] => Ok(Some(number)),
            _ => Err(tensor.error(format!("is {:?}, not one number", tensor.entry.shape)).into()),
        }
    }

    /// A text, from a tensor of U8 characters.
    fn text(&self, key: &str) -> Result<Option<String>> {
        let Some(tensor) = self.tensor(key) else { return Ok(None) };
        if tensor.entry.dtype != FileDtype::U8 {
            return Err(tensor.error(format!("is {}, not letters of U8", tensor.entry.dtype)).into());
        }
        Ok(Some(short(tensor)?.into_iter().map(char::from).collect()))
    }
}

/// The bytes of a tensor, if it is short enough for a setting.
fn short(tensor: Tensor<'_>) -> Result<Vec<u8>> {
    if tensor.entry.len() > LONGEST {
        return Err(tensor.error(format!("has {} bytes, more than a setting", tensor.entry.len())).into());
    }
    Ok(tensor.read_all()?)
}

/// The numbers of a tensor: integers, or floats rounded up, none of them negative.
fn numbers(tensor: Tensor<'_>) -> Result<Vec<usize>> {
    let bytes = short(tensor)?;
    let signed = |n: i64| usize::try_from(n).ok();
    let numbers: Option<Vec<usize>> = match tensor.entry.dtype {
        FileDtype::U8 => Some(bytes.into_iter().map(usize::from).collect()),
        FileDtype::I32 => bytes.as_chunks().0.iter().map(|n| signed(i32::from_le_bytes(*n).into())).collect(),
        FileDtype::I64 => bytes.as_chunks().0.iter().map(|n| signed(i64::from_le_bytes(*n))).collect(),
        // Rounded up, because 1.58 bits are stored as 2.
        FileDtype::F32 => {
            bytes.as_chunks().0.iter().map(|n| signed(f32::from_le_bytes(*n).ceil() as i64)).collect()
        }
        other => return Err(tensor.error(format!("is {other}, not a number")).into()),
    };
    numbers.ok_or_else(|| tensor.error("is negative or too large").into())
}
