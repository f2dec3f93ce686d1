//! Tiny models whose weights are made from their names, as `testdata/scripts/models.py` makes them.

use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A model of `testdata/models`, and what transformers says of it.
pub(crate) struct Tiny {
    pub(crate) config: Map<String, Value>,
    pub(crate) shapes: BTreeMap<String, Vec<usize>>,
    pub(crate) tokens: Vec<Vec<u32>>,
    /// Logits of the last positions of each sequence.
    pub(crate) logits: Vec<Vec<f32>>,
}

pub(crate) fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata")
}

impl Tiny {
    pub(crate) fn read(name: &str) -> Self {
        let text = std::fs::read_to_string(testdata().join("models").join(format!("{name}.json"))).unwrap();
        let case: Value = serde_json::from_str(&text).unwrap();
        let list = |key: &str| serde_json::from_value(case[key].clone()).unwrap();
        Self {
            config: case["config"].as_object().unwrap().clone(),
            shapes: serde_json::from_value(case["shapes"].clone()).unwrap(),
            tokens: serde_json::from_value(case["tokens"].clone()).unwrap(),
            logits: list("logits"),
        }
    }

    /// Every model.
    pub(crate) fn names() -> Vec<String> {
        let files = std::fs::read_dir(testdata().join("models")).unwrap();
        let mut names: Vec<String> =
            files.map(|f| f.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    /// Writes it as a model directory.
    pub(crate) fn write(&self) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        let gemma = self.config["model_type"].as_str().is_some_and(|kind| kind.starts_with("gemma"));
        let bytes: BTreeMap<_, Vec<u8>> = self
            .shapes
            .iter()
            .map(|(name, shape)| (name, values(name, shape.iter().product(), gemma)))
            .collect();
        let views = self.shapes.iter().map(|(name, shape)| {
            (name.clone(), TensorView::new(Dtype::F32, shape.clone(), &bytes[name]).unwrap())
        });
        safetensors::serialize_to_file(views, None, &dir.path().join("model.safetensors")).unwrap();
        std::fs::write(dir.path().join("config.json"), serde_json::to_vec(&self.config).unwrap()).unwrap();
        dir
    }
}

/// Values of a tensor, as bytes.
fn values(name: &str, count: usize, gemma: bool) -> Vec<u8> {
    let key =
        name.bytes().fold(2_166_136_261_u32, |key, byte| (key ^ u32::from(byte)).wrapping_mul(16_777_619));
    let one = if name.contains("norm") && !gemma { 1.0 } else { 0.0 };
    let value = |i: usize| {
        let mut h = (i as u32).wrapping_mul(2_654_435_761).wrapping_add(key);
        for _ in 0..2 {
            h = (h ^ (h >> 15)).wrapping_mul(2_246_822_519);
        }
        one + ((h >> 24) as f32 - 128.0) / 256.0
    };
    (0..count).flat_map(|i| value(i).to_le_bytes()).collect()
}
