//! Files of importance matrices, in the GGUF form and the older binary form.
//!
//! ```text
//! blk.0.attn_q.weight.in_sum2     F32 [channels, matrices]       sum_t x_tc^2              importance = in_sum2 / counts
//! blk.0.attn_q.weight.counts      F32 [1, matrices]              tokens; of each expert its own
//! general.type = "imatrix", imatrix.datasets, imatrix.chunk_count, imatrix.chunk_size
//! ```
//!
//! Source: llama.cpp `tools/imatrix`. A file without the GGUF magic is in the older form.

use super::cursor::Cursor;
use super::gguf::{Gguf, MAGIC, Value};
use super::imatrix::{Imatrix, ImatrixEntry};
use super::legacy;
use crate::{Error, Result};
use std::fs;
use std::path::Path;

const TYPE: &str = "general.type";
const DATASETS: &str = "imatrix.datasets";
const CHUNK_COUNT: &str = "imatrix.chunk_count";
const CHUNK_SIZE: &str = "imatrix.chunk_size";
const SUMS: &str = ".in_sum2";
const COUNTS: &str = ".counts";

impl Imatrix {
    /// Reads a file of either form.
    ///
    /// # Errors
    /// [`Error::Io`](lowbit_container::Error::Io) if it cannot be read, otherwise as
    /// [`parse`](Self::parse).
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::parse(path, &fs::read(path).map_err(|e| Error::io("read", path, e))?)
    }

    /// Parses the bytes of a file of either form; `file` is its name in errors.
    ///
    /// # Errors
    /// [`Error::File`](lowbit_container::Error::File) if it is truncated or inconsistent, or if a
    /// sum is negative, NaN or infinite.
    pub fn parse(file: &Path, bytes: &[u8]) -> Result<Self> {
        let mut cursor = Cursor::new(file, bytes);
        if !bytes.starts_with(MAGIC) {
            return legacy::parse(&mut cursor);
        }
        let mut gguf = Gguf::parse(&mut cursor)?;
        let fail = |reason: String| Error::file(file, reason);
        if gguf.pairs.get(TYPE) != Some(&Value::Text("imatrix".into())) {
            return Err(fail(format!("{TYPE} is {:?}, not imatrix", gguf.pairs.get(TYPE))));
        }
        let number = |key: &str| match gguf.pairs.get(key) {
            Some(Value::U32(n)) => *n,
            _ => 0,
        };
        let (chunk_count, chunk_size) = (number(CHUNK_COUNT), number(CHUNK_SIZE));
        let datasets = match gguf.pairs.remove(DATASETS) {
            Some(Value::Texts(names)) => names,
            _ => Vec::new(),
        };
        let mut matrix = Self::default();
        (matrix.datasets, matrix.chunk_count, matrix.chunk_size) = (datasets, chunk_count, chunk_size);
        let names: Vec<String> =
            gguf.tensors.keys().filter_map(|name| Some(name.strip_suffix(SUMS)?.to_owned())).collect();
        for name in names {
            let mut take = |suffix: &str| {
                let tensor = gguf.tensors.remove(&format!("{name}{suffix}"));
                tensor.ok_or_else(|| fail(format!("there is no tensor `{name}{suffix}` of f32")))
            };
            let ((_, sums), (_, counts)) = (take(SUMS)?, take(COUNTS)?);
            let entry = ImatrixEntry::new(sums, counts).map_err(|e| fail(format!("`{name}`: {e}")))?;
            matrix.put(name, entry);
        }
        Ok(matrix)
    }

    /// The bytes of a file in the GGUF form.
    pub fn to_gguf(&self) -> Vec<u8> {
        let mut gguf = Gguf::default();
        gguf.pairs.insert(TYPE.into(), Value::Text("imatrix".into()));
        gguf.pairs.insert(DATASETS.into(), Value::Texts(self.datasets.clone()));
        gguf.pairs.insert(CHUNK_COUNT.into(), Value::U32(self.chunk_count));
        gguf.pairs.insert(CHUNK_SIZE.into(), Value::U32(self.chunk_size));
        for (name, entry) in self.entries() {
            let matrices = entry.counts().len() as u64;
            let sums = (vec![entry.channels() as u64, matrices], entry.sums().to_vec());
            gguf.tensors.insert(format!("{name}{SUMS}"), sums);
            gguf.tensors.insert(format!("{name}{COUNTS}"), (vec![1, matrices], entry.counts().to_vec()));
        }
        gguf.to_bytes()
    }

    /// The bytes of a file in the older form, which stores means, and one count for all experts.
    pub fn to_legacy(&self) -> Vec<u8> {
        legacy::to_bytes(self)
    }
}
