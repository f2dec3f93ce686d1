//! The header of a safetensors file: parsed, and validated before any tensor is read.
//!
//! The rules are those of safetensors 0.8. The JSON has at most 100,000,000 bytes. Names are
//! unique. Tensors cover the data from its first byte to the end of the file, without holes or
//! overlaps. A tensor's byte range has the length of its dtype and shape, in whole bytes.

use crate::{Dtype, Entry, Error, Result};
use ::safetensors::tensor::{Metadata, TensorInfo};
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// The length of the longest header that readers of the format accept, in bytes.
pub const HEADER_LIMIT: u64 = 100_000_000;

/// A validated header: byte ranges lie inside the file and do not overlap.
#[derive(Clone, Debug, Default)]
pub struct Header {
    /// The tensors, in the order of their bytes.
    pub entries: Vec<Entry>,
    /// The `__metadata__` strings.
    pub metadata: BTreeMap<String, String>,
}

impl Header {
    /// Parses a header from its JSON bytes.
    ///
    /// `file_len` is the length of the whole file, and `file` names it in errors.
    ///
    /// # Errors
    /// [`Error::File`] or [`Error::Tensor`] for the first rule that the header breaks.
    pub fn parse(file: &Path, json: &[u8], file_len: u64) -> Result<Self> {
        let start = 8 + json.len() as u64;
        let text = std::str::from_utf8(json)
            .map_err(|e| Error::file(file, format!("header is not UTF-8 at byte {}", 8 + e.valid_up_to())))?;
        let mut json = serde_json::Deserializer::from_str(text);
        let parsed = json
            .deserialize_map(Listing)
            .and_then(|parsed| json.end().map(|()| parsed))
            .map_err(|e| Error::file(file, format!("header is not valid: {e}")))?;
        let Parsed { metadata, mut tensors } = parsed;
        tensors.sort_by(|a, b| a.1.data_offsets.cmp(&b.1.data_offsets).then_with(|| a.0.cmp(&b.0)));
        check(file, &tensors, file_len.saturating_sub(start))?;
        let entry = |(name, info): &(String, TensorInfo)| {
            let unknown = || Error::tensor(file, name, format!("{} is a type that is not read", info.dtype));
            Ok(Entry {
                name: name.clone(),
                dtype: Dtype::from_safetensors(info.dtype).ok_or_else(unknown)?,
                shape: info.shape.clone(),
                begin: start + info.data_offsets.0 as u64,
                end: start + info.data_offsets.1 as u64,
            })
        };
        let entries = tensors.iter().map(entry).collect::<Result<_>>()?;
        // The format's own crate validates last: whatever it refuses is refused here.
        Metadata::new(None, tensors).map_err(|e| Error::file(file, e.to_string()))?;
        Ok(Self { entries, metadata })
    }
}

/// Checks each rule of the format; errors name the tensor and the numbers. `data_len` is the length
/// of the file after its header, in bytes.
fn check(file: &Path, tensors: &[(String, TensorInfo)], data_len: u64) -> Result<()> {
    let (mut before, mut at) = (None::<&str>, 0usize);
    for (name, info) in tensors {
        let fail = |reason: String| Err(Error::tensor(file, name, reason));
        let (begin, end) = info.data_offsets;
        let bits = info.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let Some(bits) = bits.and_then(|n| n.checked_mul(info.dtype.bitsize())) else {
            return fail(format!("shape {:?} of {} overflows 64 bits", info.shape, info.dtype));
        };
        if bits % 8 != 0 {
            return fail(format!("shape {:?} of {} is {bits} bits, not whole bytes", info.shape, info.dtype));
        }
        if end < begin {
            return fail(format!("data offsets [{begin}, {end}) run backwards"));
        }
        if end - begin != bits / 8 {
            let (have, want) = (end - begin, bits / 8);
            return fail(format!(
                "shape {:?} of {} needs {want} bytes, data offsets [{begin}, {end}) hold {have}",
                info.shape, info.dtype
            ));
        }
        if begin != at {
            let place = before.map_or("the data starts".into(), |b| format!("tensor `{b}` before it ends"));
            let kind = if begin < at { "overlap" } else { "hole" };
            return fail(format!(
                "begins at byte {begin} but {place} at byte {at}: {kind} of {} bytes",
                begin.abs_diff(at)
            ));
        }
        if end as u64 > data_len {
            return fail(format!(
                "ends at byte {end} of the data, but the file holds only {data_len} bytes of it"
            ));
        }
        (before, at) = (Some(name.as_str()), end);
    }
    match data_len - at as u64 {
        0 => Ok(()),
        left => Err(Error::file(
            file,
            format!("{left} bytes after the last tensor, which ends at byte {at} of the data"),
        )),
    }
}

/// The contents of the JSON object, in file order.
struct Parsed {
    metadata: BTreeMap<String, String>,
    tensors: Vec<(String, TensorInfo)>,
}

/// Collects the entries one by one, so that errors can name the tensor and duplicates are detected.
struct Listing;

impl<'de> Visitor<'de> for Listing {
    type Value = Parsed;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Parsed, A::Error> {
        let mut parsed = Parsed { metadata: BTreeMap::new(), tensors: Vec::new() };
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format_args!("`{name}` appears twice")));
            }
            let within = |e: A::Error| A::Error::custom(format_args!("`{name}`: {e}"));
            if name == "__metadata__" {
                parsed.metadata = map.next_value().map_err(within)?;
            } else {
                let info = map.next_value().map_err(within)?;
                parsed.tensors.push((name, info));
            }
        }
        Ok(parsed)
    }
}
