//! The part of the GGUF container that an importance matrix needs: keys and values, and f32
//! tensors.
//!
//! ```text
//! "GGUF"  u32 version (2, 3)  u64 tensors  u64 pairs
//! pair    string key, u32 type, value              string: u64 length, bytes        array: u32 type, u64 length, values
//! tensor  string name, u32 dimensions, u64 each (the fastest first), u32 type, u64 offset into the data
//! data    from the next multiple of general.alignment (32) on, each tensor at such a multiple
//! ```
//!
//! Source: ggml `docs/gguf.md`. Every length is checked against the bytes that are left before it
//! is used or allocated.

use super::cursor::Cursor;
use crate::Result;
use std::collections::BTreeMap;

/// The first bytes of a file.
pub(super) const MAGIC: &[u8; 4] = b"GGUF";
const VERSION: u32 = 3;
const ALIGNMENT: usize = 32;
/// No producer uses a larger alignment.
const ALIGNMENT_LIMIT: u32 = 1 << 20;
const DIMENSIONS: u32 = 4;
/// Bytes of the shortest pair and the shortest tensor entry; counts are checked against them.
const PAIR: usize = 13;
const TENSOR: usize = 24;

const U32: u32 = 4;
const STRING: u32 = 8;
const ARRAY: u32 = 9;
const F32: u32 = 0;

/// A value of a supported type; other types are skipped.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Value {
    U32(u32),
    Text(String),
    Texts(Vec<String>),
}

/// The contents of a GGUF file.
#[derive(Debug, Default)]
pub(super) struct Gguf {
    pub(super) pairs: BTreeMap<String, Value>,
    /// Dimensions (fastest first) and values.
    pub(super) tensors: BTreeMap<String, (Vec<u64>, Vec<f32>)>,
}

/// Size in bytes of each scalar type.
fn scalar_bytes(kind: u32) -> Option<usize> {
    [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8].get(kind as usize).copied().filter(|n| *n > 0)
}

impl Gguf {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self> {
        cursor.take(MAGIC.len(), "the magic")?;
        let version = cursor.u32("the version")?;
        if !(2..=VERSION).contains(&version) {
            return Err(
                cursor.fail(format!("GGUF version {version}; 2 and 3 are read, in little-endian order"))
            );
        }
        let tensors = cursor.count(TENSOR, "tensors")?;
        let pairs = cursor.count(PAIR, "pairs")?;
        let mut gguf = Self::default();
        for _ in 0..pairs {
            let key = cursor.text("a key")?;
            let value = value(cursor, &key)?;
            if let Some(value) = value
                && gguf.pairs.insert(key.clone(), value).is_some()
            {
                return Err(cursor.fail(format!("key `{key}` comes twice")));
            }
        }
        let alignment = match gguf.pairs.get("general.alignment") {
            None => ALIGNMENT,
            Some(Value::U32(n)) if n.is_power_of_two() && *n <= ALIGNMENT_LIMIT => *n as usize,
            Some(other) => return Err(cursor.fail(format!("an alignment of {other:?}"))),
        };
        let mut infos = Vec::new();
        for _ in 0..tensors {
            infos.push(info(cursor)?);
        }
        let data = cursor.aligned_rest(alignment)?;
        // Tensors may overlap in the file, and each is copied. Their total length must not exceed
        // the data.
        let mut room = data.len() as u64;
        for (name, dims, kind, offset) in infos {
            if kind != F32 {
                continue;
            }
            let len = dims.iter().try_fold(4u64, |n, d| n.checked_mul(*d));
            let end = len.and_then(|len| len.checked_add(offset));
            let bytes =
                end.filter(|end| *end <= data.len() as u64).map(|end| &data[offset as usize..end as usize]);
            let Some(bytes) = bytes else {
                let have = data.len();
                return Err(cursor.fail(format!(
                    "tensor `{name}` of {dims:?} at byte {offset} is not inside {have} bytes of data"
                )));
            };
            let Some(rest) = room.checked_sub(bytes.len() as u64) else {
                return Err(cursor.fail(format!("tensor `{name}` at byte {offset} overlaps others")));
            };
            room = rest;
            let values = bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            if gguf.tensors.insert(name.clone(), (dims, values)).is_some() {
                return Err(cursor.fail(format!("tensor `{name}` comes twice")));
            }
        }
        Ok(gguf)
    }

    /// The bytes of the file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let text = |out: &mut Vec<u8>, text: &str| {
            out.extend((text.len() as u64).to_le_bytes());
            out.extend(text.as_bytes());
        };
        out.extend(VERSION.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.pairs.len() as u64).to_le_bytes());
        for (key, value) in &self.pairs {
            text(&mut out, key);
            match value {
                Value::U32(n) => [U32, *n].iter().for_each(|n| out.extend(n.to_le_bytes())),
                Value::Text(s) => {
                    out.extend(STRING.to_le_bytes());
                    text(&mut out, s);
                }
                Value::Texts(all) => {
                    [ARRAY, STRING].iter().for_each(|n| out.extend(n.to_le_bytes()));
                    out.extend((all.len() as u64).to_le_bytes());
                    all.iter().for_each(|s| text(&mut out, s));
                }
            }
        }
        let mut offset = 0;
        for (name, (dims, values)) in &self.tensors {
            text(&mut out, name);
            out.extend((dims.len() as u32).to_le_bytes());
            dims.iter().for_each(|d| out.extend(d.to_le_bytes()));
            out.extend(F32.to_le_bytes());
            out.extend((offset as u64).to_le_bytes());
            offset += (4 * values.len()).next_multiple_of(ALIGNMENT);
        }
        for (_, values) in self.tensors.values() {
            out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
            out.extend(values.iter().flat_map(|x| x.to_le_bytes()));
        }
        out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
        out
    }
}

/// The value of a key; `None` if its type is not needed, after skipping it.
fn value(cursor: &mut Cursor<'_>, key: &str) -> Result<Option<Value>> {
    match cursor.u32("a type")? {
        U32 => Ok(Some(Value::U32(cursor.u32("a number")?))),
        STRING => Ok(Some(Value::Text(cursor.text("a value")?))),
        ARRAY => {
            let kind = cursor.u32("a type")?;
            if kind == STRING {
                let n = cursor.count(8, "strings")?;
                return (0..n)
                    .map(|_| cursor.text("a string"))
                    .collect::<Result<_>>()
                    .map(|all| Some(Value::Texts(all)));
            }
            let Some(bytes) = scalar_bytes(kind) else {
                return Err(cursor.fail(format!("key `{key}` is an array of type {kind}")));
            };
            let n = cursor.count(bytes, "numbers")?;
            cursor.take(n * bytes, "an array").map(|_| None)
        }
        kind => match scalar_bytes(kind) {
            Some(bytes) => cursor.take(bytes, "a number").map(|_| None),
            None => Err(cursor.fail(format!("key `{key}` is of type {kind}"))),
        },
    }
}

/// Reads a tensor entry: name, dimensions, type and offset.
fn info(cursor: &mut Cursor<'_>) -> Result<(String, Vec<u64>, u32, u64)> {
    let name = cursor.text("a tensor's name")?;
    let dimensions = cursor.u32("dimensions")?;
    if dimensions > DIMENSIONS {
        return Err(cursor.fail(format!("tensor `{name}` has {dimensions} dimensions")));
    }
    let dims = (0..dimensions).map(|_| cursor.u64("a dimension")).collect::<Result<_>>()?;
    Ok((name, dims, cursor.u32("a type")?, cursor.u64("an offset")?))
}
