//! Writes headers. Every offset is known before the first byte of data is written.
//!
//! Tensors are in the format's own order: by dtype from the widest alignment down (U64, I64, F64,
//! C64, F32, … U8, F6, F4, BOOL), then by name. The header is padded to 8 bytes, so this order
//! aligns every tensor naturally. The JSON is written here and not by the `safetensors` crate,
//! whose `__metadata__` is a hash map with another order on each run. The bytes are the same
//! otherwise.

use super::HEADER_LIMIT;
use crate::{Dtype, Entry, HeaderWriter, Metadata, MetadataValue, NewTensor};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// The order of tensors in a file: dtype descending, then name.
///
/// ```
/// use lowbit_container::safetensors::{Dtype, order};
/// let mut names = [("b", Dtype::U8), ("a", Dtype::U8), ("c", Dtype::F32)];
/// names.sort_by(|x, y| order((x.1, x.0), (y.1, y.0)));
/// assert_eq!(names.map(|n| n.0), ["c", "a", "b"]);
/// ```
pub fn order(a: (Dtype, &str), b: (Dtype, &str)) -> Ordering {
    b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1))
}

/// The bytes of a file before its data: length, JSON header, padding. `tensors` yields name, dtype,
/// shape and length in bytes, in file order. The returned entries have offsets from the start of
/// the file.
pub fn header_bytes(
    metadata: &BTreeMap<String, String>,
    tensors: impl IntoIterator<Item = (String, Dtype, Vec<usize>, u64)>,
) -> (Vec<u8>, Vec<Entry>) {
    let mut json = String::from("{");
    if !metadata.is_empty() {
        json.push_str("\"__metadata__\":");
        json.push_str(&serde_json::json!(metadata).to_string());
    }
    let (mut entries, mut at) = (Vec::new(), 0);
    for (name, dtype, shape, len) in tensors {
        if json.len() > 1 {
            json.push(',');
        }
        json.push_str(&serde_json::Value::from(name.as_str()).to_string());
        json.push_str(&format!(
            ":{{\"dtype\":\"{dtype}\",\"shape\":{},\"data_offsets\":[{at},{}]}}",
            serde_json::json!(shape),
            at + len
        ));
        entries.push(Entry { name, dtype, shape, begin: at, end: at + len });
        at += len;
    }
    json.push('}');
    let padded = json.len().next_multiple_of(8);
    let mut bytes = (padded as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(json.as_bytes());
    bytes.resize(8 + padded, b' ');
    for entry in &mut entries {
        entry.begin += bytes.len() as u64;
        entry.end += bytes.len() as u64;
    }
    (bytes, entries)
}

/// The safetensors format, as a header writer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Safetensors;

impl HeaderWriter for Safetensors {
    fn order(&self, a: &NewTensor, b: &NewTensor) -> Ordering {
        order((a.dtype, &a.name), (b.dtype, &b.name))
    }

    fn header(&self, metadata: &Metadata, tensors: &[NewTensor]) -> Result<(Vec<u8>, Vec<Entry>), String> {
        let text = |(key, value): (&str, &MetadataValue)| match value {
            MetadataValue::String(text) => Ok((key.to_owned(), text.clone())),
            other => Err(format!("metadata `{key}` is {other:?}; safetensors has texts only")),
        };
        let metadata = metadata.iter().map(text).collect::<Result<BTreeMap<_, _>, _>>()?;
        let sized = |tensor: &NewTensor| {
            if tensor.dtype.to_safetensors().is_none() {
                return Err(format!("tensor `{}`: safetensors has no type {}", tensor.name, tensor.dtype));
            }
            let len =
                tensor.dtype.bytes(&tensor.shape).map_err(|e| format!("tensor `{}`: {e}", tensor.name))?;
            Ok((tensor.name.clone(), tensor.dtype, tensor.shape.clone(), len))
        };
        let tensors = tensors.iter().map(sized).collect::<Result<Vec<_>, _>>()?;
        Ok(header_bytes(&metadata, tensors))
    }

    fn header_limit(&self) -> u64 {
        8 + HEADER_LIMIT
    }
}
