//! The file and the offset of each output tensor.
//!
//! Units are assigned in name order. A file is closed when the next unit would exceed the size
//! limit, so the codes and scales of a linear always lie in one file. Within a file, tensors are in
//! the order that the container prescribes.

use super::{Placed, Settings, Unit};
use crate::container::{Entry, HeaderWriter, Metadata, NewTensor};
use crate::safetensors::{Dtype, Safetensors};
use crate::{Error, Result, SINGLE};
use std::collections::BTreeMap;

/// One safetensors file to write.
#[derive(Clone, Debug)]
pub struct OutputFile {
    /// Its name.
    pub name: String,
    /// Its first bytes: the length of the JSON, the JSON, and padding.
    pub header: Vec<u8>,
    /// Its tensors with their byte ranges.
    pub entries: Vec<Entry>,
}

impl OutputFile {
    /// Length of the file in bytes.
    pub fn len(&self) -> u64 {
        self.header.len() as u64 + self.data_len()
    }

    /// Whether the file has no tensors.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Length of its tensors in bytes.
    pub fn data_len(&self) -> u64 {
        self.entries.iter().map(Entry::len).sum()
    }
}

/// An output tensor to place: the index of its unit, of its part in the unit, and its header entry.
struct Output {
    unit: usize,
    part: usize,
    tensor: NewTensor,
}

/// Assigns the units to files and places their tensors.
///
/// # Errors
/// [`Error::Job`] if two outputs have one name, or if a header is longer than readers accept.
pub(super) fn assign(
    settings: &Settings,
    metadata: (&str, &str),
    units: &mut [Unit],
) -> Result<Vec<OutputFile>> {
    let mut shards: Vec<Vec<usize>> = vec![Vec::new()];
    let mut filled = 0;
    for (at, unit) in units.iter().enumerate() {
        let len = unit.output_len();
        if filled > 0 && filled + len > settings.max_shard_size {
            shards.push(Vec::new());
            filled = 0;
        }
        filled += len;
        if let Some(shard) = shards.last_mut() {
            shard.push(at);
        }
    }
    let count = shards.len();
    let format: &dyn HeaderWriter = &Safetensors;
    let mut names = BTreeMap::new();
    let mut files = Vec::new();
    for (number, shard) in shards.into_iter().enumerate() {
        let name = match count {
            1 => SINGLE.to_owned(),
            _ => format!("model-{:05}-of-{count:05}.safetensors", number + 1),
        };
        let mut outputs: Vec<Output> = shard.iter().flat_map(|&unit| outputs(unit, &units[unit])).collect();
        outputs.sort_by(|a, b| format.order(&a.tensor, &b.tensor));
        for output in &outputs {
            let (name, source) = (&output.tensor.name, units[output.unit].source());
            if let Some(other) = names.insert(name.clone(), source.to_owned()) {
                return Err(Error::Job(format!("{other} and {source} would both be written as {name}")));
            }
        }
        let mut metadata = BTreeMap::from([(metadata.0.to_owned(), metadata.1.to_owned())]);
        metadata.extend(shard.iter().filter_map(|&unit| match &units[unit] {
            Unit::Quantized(unit) => unit.note.clone(),
            _ => None,
        }));
        let metadata: Metadata = metadata.into_iter().collect();
        let tensors: Vec<_> = outputs.iter().map(|output| output.tensor.clone()).collect();
        let header = format.header(&metadata, &tensors);
        let (header, entries) = header.map_err(|reason| Error::Job(format!("{name}: {reason}")))?;
        let (len, limit) = (header.len() as u64, format.header_limit());
        if len > limit {
            return Err(Error::Job(format!(
                "{name} would have a header of {len} bytes for {} tensors, the limit is {limit}; lower --max-shard-size",
                outputs.len()
            )));
        }
        for (output, entry) in outputs.iter().zip(&entries) {
            let place = Placed { file: number, begin: entry.begin };
            match &mut units[output.unit] {
                Unit::Quantized(unit) => unit.parts[output.part].1 = place,
                Unit::Decoded(unit) => unit.place = place,
                Unit::Copied(unit) => unit.place = place,
                Unit::Constant(unit) => unit.place = place,
            }
        }
        files.push(OutputFile { name, header, entries });
    }
    Ok(files)
}

fn outputs(at: usize, unit: &Unit) -> Vec<Output> {
    let one = |name: &str, dtype, shape| {
        vec![Output { unit: at, part: 0, tensor: NewTensor { name: name.to_owned(), dtype, shape } }]
    };
    match unit {
        Unit::Quantized(unit) => {
            let output = |(part, (p, _)): (usize, &(crate::layout::Part, Placed))| {
                let tensor = NewTensor { name: p.name.clone(), dtype: p.dtype, shape: p.shape.clone() };
                Output { unit: at, part, tensor }
            };
            unit.parts.iter().enumerate().map(output).collect()
        }
        Unit::Decoded(unit) => one(&unit.linear.weight, dtype_of(unit.linear.dtype), unit.shape()),
        Unit::Copied(unit) => one(&unit.name, unit.dtype, unit.shape.clone()),
        Unit::Constant(unit) => one(&unit.name, unit.dtype, unit.shape.clone()),
    }
}

/// The container's dtype for values of this type.
pub(super) const fn dtype_of(dtype: lowbit_blocks::Dtype) -> Dtype {
    match dtype {
        lowbit_blocks::Dtype::F32 => Dtype::F32,
        lowbit_blocks::Dtype::F16 => Dtype::F16,
        lowbit_blocks::Dtype::Bf16 => Dtype::BF16,
    }
}
