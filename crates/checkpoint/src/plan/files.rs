//! Which file each output tensor goes to, and where in it.
//!
//! Units are dealt out in name order: a file is closed when the next unit would exceed the limit, so that codes and scales of a linear always lie
//! in one file. Within a file tensors stand in the format's own order.

use super::{Placed, Settings, Unit};
use crate::safetensors::{self, Dtype, Entry, HEADER_LIMIT};
use crate::{Error, Result, SINGLE};
use std::collections::BTreeMap;

/// One safetensors file to write.
#[derive(Clone, Debug)]
pub struct OutputFile {
    /// Its name.
    pub name: String,
    /// Its first bytes: length, JSON, padding.
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

    /// Bytes of its tensors.
    pub fn data_len(&self) -> u64 {
        self.entries.iter().map(Entry::len).sum()
    }
}

/// An output tensor on its way to a file: unit, part of the unit, and what the header says.
struct Output {
    unit: usize,
    part: usize,
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    len: u64,
}

/// Deals the units out to files and places their tensors.
///
/// # Errors
/// [`Error::Job`] if two outputs have one name, or a header would be longer than readers accept.
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
    let mut names = BTreeMap::new();
    let mut files = Vec::new();
    for (number, shard) in shards.into_iter().enumerate() {
        let name = match count {
            1 => SINGLE.to_owned(),
            _ => format!("model-{:05}-of-{count:05}.safetensors", number + 1),
        };
        let mut outputs: Vec<Output> = shard.iter().flat_map(|&unit| outputs(unit, &units[unit])).collect();
        outputs.sort_by(|a, b| safetensors::order((a.dtype, &a.name), (b.dtype, &b.name)));
        for output in &outputs {
            if let Some(other) = names.insert(output.name.clone(), units[output.unit].source().to_owned()) {
                let source = units[output.unit].source();
                return Err(Error::Job(format!(
                    "{other} and {source} would both be written as {}",
                    output.name
                )));
            }
        }
        let mut metadata = BTreeMap::from([(metadata.0.to_owned(), metadata.1.to_owned())]);
        metadata.extend(shard.iter().filter_map(|&unit| match &units[unit] {
            Unit::Quantized(unit) => unit.note.clone(),
            _ => None,
        }));
        let tensors = outputs.iter().map(|o| (o.name.clone(), o.dtype, o.shape.clone(), o.len));
        let (header, entries) = safetensors::header_bytes(&metadata, tensors);
        if header.len() as u64 - 8 > HEADER_LIMIT {
            let (len, tensors) = (header.len() - 8, outputs.len());
            return Err(Error::Job(format!(
                "{name} would have a header of {len} bytes for {tensors} tensors, the limit is {HEADER_LIMIT}; lower --max-shard-size"
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
    let one = |name: &str, dtype, shape| Output {
        unit: at,
        part: 0,
        name: name.to_owned(),
        dtype,
        shape,
        len: unit.output_len(),
    };
    match unit {
        Unit::Quantized(unit) => {
            let output = |(part, (p, _)): (usize, &(crate::layout::Part, Placed))| Output {
                unit: at,
                part,
                name: p.name.clone(),
                dtype: p.dtype,
                shape: p.shape.clone(),
                len: p.len(),
            };
            unit.parts.iter().enumerate().map(output).collect()
        }
        Unit::Decoded(unit) => {
            vec![one(&unit.linear.weight, dtype_of(unit.linear.dtype), unit.shape())]
        }
        Unit::Copied(unit) => vec![one(&unit.name, unit.dtype, unit.shape.clone())],
        Unit::Constant(unit) => vec![one(&unit.name, unit.dtype, unit.shape.clone())],
    }
}

/// The file's type for values of this type.
pub(super) const fn dtype_of(dtype: lowbit_blocks::Dtype) -> Dtype {
    match dtype {
        lowbit_blocks::Dtype::F32 => Dtype::F32,
        lowbit_blocks::Dtype::F16 => Dtype::F16,
        lowbit_blocks::Dtype::Bf16 => Dtype::BF16,
    }
}
