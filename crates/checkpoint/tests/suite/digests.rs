//! Checkpoints of other tools, held to what each tool decodes from them: `values.json` in `testdata/layouts`.

use crate::model::{Tensor, testdata};
use half::{bf16, f16};
use lowbit_blocks::Shape;
use lowbit_checkpoint::Checkpoint;
use lowbit_checkpoint::layout::{self, Quantized, QuantizedModule, Reading, Scheme, Stored};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The values of a linear, matrix after matrix, columns in the order of the input.
pub(crate) fn decoded(checkpoint: &Checkpoint, stored: &Stored) -> Vec<f32> {
    let Shape { matrices, rows, cols } = stored.shape();
    let perm = stored.perm(checkpoint).unwrap();
    let mut values = Vec::new();
    for matrix in 0..matrices {
        let tensor = stored.rows(checkpoint, matrix, 0..rows).unwrap();
        let mut part = vec![0.0; rows * cols];
        stored.formula.dequantize_rows(&tensor, 0..rows, &mut part);
        if let Some(perm) = &perm {
            for row in part.chunks_exact_mut(cols) {
                let sorted = row.to_vec();
                perm.iter().zip(sorted).for_each(|(&column, value)| row[column as usize] = value);
            }
        }
        values.extend(part);
    }
    values
}

/// The digest of values rounded to a type of torch.
pub(crate) fn digest(values: &[f32], dtype: &str) -> String {
    let mut hash = Sha256::new();
    for value in values {
        match dtype {
            "float32" => hash.update(value.to_le_bytes()),
            "float16" => hash.update(f16::from_f32(*value).to_le_bytes()),
            // Which NaN it is says nothing; the digests have what torch's vectors write.
            "bfloat16" if value.is_nan() => hash.update([0xff; 2]),
            "bfloat16" => hash.update(bf16::from_f32(*value).to_le_bytes()),
            other => panic!("values are {other}"),
        }
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The folders below `testdata/layouts` whose names begin so.
pub(crate) fn folders(prefix: &str) -> Vec<PathBuf> {
    let parts = ["layouts/zoo", "layouts/made"].map(|part| std::fs::read_dir(testdata(part)).unwrap());
    let folders = parts.into_iter().flatten().map(|folder| folder.unwrap().path());
    let named = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(prefix);
    let mut folders: Vec<_> = folders.filter(named).collect();
    folders.sort();
    assert!(!folders.is_empty(), "no folder begins with {prefix}");
    folders
}

/// Reads a folder and holds every weight that its tool decoded to the digest.
pub(crate) fn assert_digests(folder: &Path) -> (Checkpoint, Reading) {
    let checkpoint = Checkpoint::open(folder).unwrap();
    let reading = layout::read(&checkpoint).unwrap().unwrap();
    let values: Value = serde_json::from_slice(&std::fs::read(folder.join("values.json")).unwrap()).unwrap();
    let values = values.as_object().unwrap();
    let name = folder.display();
    let names: Vec<_> = reading.linears.iter().map(|l| l.linear.weight.clone()).collect();
    for (weight, want) in values {
        let stored = reading.linears.iter().find(|l| l.linear.weight == *weight);
        let stored = stored.unwrap_or_else(|| panic!("{name}: {weight} is not among {names:?}"));
        let mut values = decoded(&checkpoint, stored);
        // ModelOpt rounds scales to the type that it decodes to; what it decodes in f32 is the file's.
        let want = want.get("also").unwrap_or(want);
        let text = |key: &str| want[key].as_str().unwrap();
        if text("how").contains("NVFP4QTensor") {
            // Its table has no negative zero.
            values.iter_mut().filter(|value| **value == 0.0).for_each(|value| *value = 0.0);
        }
        let head = &values[..values.len().min(4)];
        assert_eq!(
            digest(&values, text("dtype")),
            text("sha256"),
            "{name} {weight}: {head:?}, {}",
            want["head"]
        );
    }
    assert_eq!(names.len(), values.len(), "{name}: {names:?}");
    (checkpoint, reading)
}

/// Checkpoints elsewhere, written by this library and decoded by other tools (`testdata/scripts/load_layouts.py`).
#[test]
#[ignore = "needs LOWBIT_DECODED: directories with a values.json, with colons between"]
fn decoded_by_their_tools() {
    let folders = std::env::var("LOWBIT_DECODED").unwrap();
    for folder in folders.split(':') {
        let (_, reading) = assert_digests(Path::new(folder));
        assert!(!reading.linears.is_empty(), "{folder}: {}", reading.layout.name());
    }
}

/// All tensors of a checkpoint.
pub(crate) fn tensors(checkpoint: &Checkpoint) -> Vec<Tensor> {
    let tensor = |t: lowbit_checkpoint::Tensor<'_>| {
        (t.entry.name.clone(), t.entry.dtype, t.entry.shape.clone(), t.read_all().unwrap())
    };
    checkpoint.tensors().map(tensor).collect()
}

/// Writes the configuration of a folder again, from what was read of it, and reads the same tensors with it: it must say the same. `false` for a folder
/// without quantized linears.
pub(crate) fn assert_said_again(folder: &Path) -> bool {
    let checkpoint = Checkpoint::open(folder).unwrap();
    let reading = layout::read(&checkpoint).unwrap().unwrap();
    let mut config = checkpoint.config().unwrap().clone();
    let source = config.remove("quantization_config").unwrap();
    let module = |stored: &Stored| QuantizedModule {
        name: stored.linear.module.clone(),
        scheme: Scheme { format: stored.format, activations: stored.activations },
        permuted: stored.linear.permuted,
        smoothed: stored.pre_quant_scale.is_some(),
    };
    let modules: Vec<_> = reading.linears.iter().map(module).collect();
    if modules.is_empty() {
        return false;
    }
    // What the source said must not be needed, but for what only it can say.
    for source in [source.as_object(), None] {
        let quantized = Quantized {
            modules: &modules,
            kept: &[],
            embeddings: &[],
            cache: false,
            dtype: lowbit_blocks::Dtype::Bf16,
            source,
        };
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in reading.layout.configure(&quantized, &config) {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        std::fs::copy(folder.join("model.safetensors"), dir.path().join("model.safetensors")).unwrap();
        let again = Checkpoint::open(dir.path()).unwrap();
        let again = layout::read(&again).unwrap().unwrap();
        assert_eq!(again.layout.name(), reading.layout.name());
        for (stored, was) in again.linears.iter().zip(&reading.linears) {
            assert_eq!(format!("{stored:?}"), format!("{was:?}"), "{}", folder.display());
        }
        assert_eq!(again.linears.len(), reading.linears.len());
    }
    true
}
