//! `model.safetensors.index.json`: the shard of each tensor.
//!
//! ```json
//! {"metadata": {"total_size": 988097824}, "weight_map": {"model.norm.weight": "model-00002-of-00002.safetensors"}}
//! ```
//!
//! `total_size` is the sum of the tensors' bytes, without headers. The file is written as
//! transformers writes it: keys sorted, indented by two, a newline at the end.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Name of the index file in a checkpoint directory.
pub const INDEX: &str = "model.safetensors.index.json";

/// The index of a sharded checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// `total_size`, and any other entries of the producer.
    #[serde(default)]
    pub metadata: BTreeMap<String, serde_json::Value>,
    /// Tensor name → shard file name.
    pub weight_map: BTreeMap<String, String>,
}

impl Index {
    /// The index of these tensors. `total_size` is in bytes.
    pub fn new(weight_map: BTreeMap<String, String>, total_size: u64) -> Self {
        Self { metadata: BTreeMap::from([("total_size".into(), total_size.into())]), weight_map }
    }

    /// Reads an index file.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::File`] if the file is not JSON, has no `weight_map`, or has a
    /// shard name that is not a plain file name.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
        let index: Self =
            serde_json::from_slice(&text).map_err(|e| Error::file(path, format!("not an index: {e}")))?;
        for (tensor, shard) in &index.weight_map {
            // A shard name with a path could make this tool read, and others write, outside of the
            // directory.
            if shard.is_empty() || shard == "." || shard == ".." || shard.contains(['/', '\\', '\0']) {
                return Err(Error::file(
                    path,
                    format!("tensor `{tensor}` is in `{shard}`, which is not a file name"),
                ));
            }
        }
        Ok(index)
    }

    /// The distinct shard names, in name order.
    pub fn shards(&self) -> BTreeSet<&str> {
        self.weight_map.values().map(String::as_str).collect()
    }

    /// The bytes of the index file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }
}
