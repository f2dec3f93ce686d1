//! A quantized tensor of torchao: its attributes from the header, its fields from the files.

use crate::{Checkpoint, Error, Result, Tensor};
use lowbit_blocks::{Block, Dtype, Shape};
use serde_json::{Map, Value};
use std::path::Path;

/// The description of a tensor.
pub(super) struct Fields<'a> {
    pub(super) checkpoint: &'a Checkpoint,
    /// The file whose header has the description.
    file: &'a Path,
    /// The name of the tensor.
    pub(super) weight: &'a str,
    attributes: &'a Map<String, Value>,
    /// The name prefix of its fields.
    prefix: String,
}

impl<'a> Fields<'a> {
    /// The fields of a weight of this class. `known` has the names of the fields that the class may
    /// have.
    ///
    /// # Errors
    /// The class does not have one of the fields, or the description has no attributes.
    pub(super) fn new(
        checkpoint: &'a Checkpoint,
        file: &'a Path,
        weight: &'a str,
        about: &'a Map<String, Value>,
        (class, known): (&str, &[&str]),
    ) -> Result<Self> {
        let wrong = |reason: String| Err(Error::tensor(file, weight, reason));
        let (module, parameter) = weight.rsplit_once('.').unwrap_or(("", weight));
        let prefix = format!("{module}._{parameter}_");
        let Some(attributes) = about.get("_data").and_then(Value::as_object) else {
            return wrong(format!("is a {class} without _data"));
        };
        for field in about.get("_tensor_data_names").and_then(Value::as_array).into_iter().flatten() {
            let Some(name) = field.as_str().filter(|field| known.contains(field)) else {
                return wrong(format!("is a {class} with {field}, which is not known"));
            };
            checkpoint.require(&format!("{prefix}{name}"))?;
        }
        Ok(Self { checkpoint, file, weight, attributes, prefix })
    }

    pub(super) fn error(&self, reason: impl Into<String>) -> Error {
        Error::tensor(self.file, self.weight, reason)
    }

    /// The name of a field's tensor.
    pub(super) fn name(&self, field: &str) -> String {
        format!("{}{field}", self.prefix)
    }

    /// A required field.
    pub(super) fn require(&self, field: &str) -> Result<Tensor<'a>> {
        Ok(self.checkpoint.require(&self.name(field))?)
    }

    /// An optional field.
    pub(super) fn get(&self, field: &str) -> Option<Tensor<'a>> {
        self.checkpoint.tensor(&self.name(field))
    }

    /// An attribute, if it exists and is not null.
    pub(super) fn attribute(&self, key: &str) -> Option<&'a Value> {
        self.attributes.get(key).filter(|value| !value.is_null())
    }

    /// The text of an attribute: a string, or a type in torchao's wrapper, `{"_type":
    /// "torch.dtype", "_data": "int4"}`.
    pub(super) fn text(&self, key: &str) -> Result<&'a str> {
        let value = self.attribute(key);
        let boxed = value.and_then(|value| value.get("_data")).or(value);
        boxed.and_then(Value::as_str).ok_or_else(|| self.error(format!("its metadata has no text for {key}")))
    }

    /// The dtype of the unquantized weight.
    pub(super) fn dtype(&self, key: &str) -> Result<Dtype> {
        match self.text(key)? {
            "bfloat16" => Ok(Dtype::Bf16),
            "float16" => Ok(Dtype::F16),
            "float32" => Ok(Dtype::F32),
            other => Err(self.error(format!("{key} {other} is not bfloat16, float16 or float32"))),
        }
    }

    /// The shape of the weight, from that of `qdata`, whose elements have `values` values each.
    pub(super) fn shape(&self, values: usize) -> Result<Shape> {
        let qdata = self.require("qdata")?;
        let (matrices, rows, cols) = match qdata.entry.shape[..] {
            [rows, cols] => (1, rows, cols),
            [matrices, rows, cols] => (matrices, rows, cols),
            ref shape => {
                return Err(qdata.error(format!("shape {shape:?} is neither a matrix nor a stack")).into());
            }
        };
        Ok(Shape { matrices, rows, cols: cols.saturating_mul(values) })
    }

    /// The block of `block_size`, a list with one number for each dimension of the weight. An empty
    /// list is the whole tensor.
    pub(super) fn block(&self, shape: Shape, stacked: bool) -> Result<Block> {
        let list = self.attribute("block_size").and_then(Value::as_array);
        let numbers: Option<Vec<usize>> = list
            .and_then(|list| list.iter().map(|n| n.as_u64().and_then(|n| usize::try_from(n).ok())).collect());
        let Some(numbers) = numbers else {
            return Err(self.error("its metadata has no list of numbers for block_size"));
        };
        let (deep, [high, wide]) = match (&numbers[..], stacked) {
            (&[], _) => (shape.matrices, [shape.rows, shape.cols]),
            (&[high, wide], false) => (1, [high, wide]),
            (&[deep, high, wide], true) => (deep, [high, wide]),
            _ => return Err(self.error(format!("block_size {numbers:?} does not go with {shape}"))),
        };
        if deep != 1 {
            return Err(
                self.error(format!("block_size {numbers:?}: one scale for {deep} matrices is not read"))
            );
        }
        Ok(match (high == shape.rows, wide == shape.cols) {
            (_, true) if high == 1 => Block::Channel,
            (true, true) => Block::Tensor,
            (_, false) if high == 1 => Block::Group(wide),
            _ => Block::Tile { rows: high, cols: wide },
        })
    }
}
