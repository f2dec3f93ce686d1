//! Checkpoints that lie: every fixture of every convention, with one thing in it changed at a time. An answer or an error, never a panic, and no more memory than the files
//! account for.
//!
//! Numbers and words of the configuration are replaced by absurd ones, shapes of tensors are turned, flattened and refolded, and dtypes take the names of others of the same width.

use crate::model::testdata;
use lowbit_checkpoint::safetensors::{Dtype, TensorFile, header_bytes};
use lowbit_checkpoint::{Checkpoint, inspect, layout};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The folders with a checkpoint in them, `zoo/NAME` and `made/NAME`.
fn fixtures() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for group in ["zoo", "made"] {
        let entries = fs::read_dir(testdata("layouts").join(group)).unwrap();
        folders.extend(
            entries.map(|entry| entry.unwrap().path()).filter(|path| path.join("config.json").exists()),
        );
    }
    folders.sort();
    folders
}

/// Reads all that can be read; panics are the caller's to catch.
fn read_all(dir: &Path) {
    let Ok(checkpoint) = Checkpoint::open(dir) else { return };
    if let Ok(Some(reading)) = layout::read(&checkpoint) {
        for stored in &reading.linears {
            if let Ok(linear) = stored.read(&checkpoint) {
                assert_eq!(Some(linear.weight.to_f32_vec().len()), linear.weight.shape().len());
            }
        }
    }
    let _ = inspect(dir);
}

/// Every value in the tree but objects and lists, by its path.
fn leaves(value: &Value, path: String, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, v)| {
            leaves(v, format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), out)
        }),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, v)| leaves(v, format!("{path}/{at}"), out))
        }
        _ => out.push(path),
    }
}

/// A copy of a fixture to change, with its configuration.
fn copy_of(fixture: &Path) -> (TempDir, Value) {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture).unwrap().map(Result::unwrap) {
        if entry.file_name() != "values.json" {
            fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
        }
    }
    let config = serde_json::from_slice(&fs::read(fixture.join("config.json")).unwrap()).unwrap();
    (dir, config)
}

#[test]
fn configurations_may_say_anything() {
    let mut cases = 0;
    for fixture in fixtures() {
        let (dir, config) = copy_of(&fixture);
        let at = ["/quantization_config", "/quantization", "/text_config/quantization_config"];
        let mut paths = Vec::new();
        for at in at {
            if let Some(value) = config.pointer(at) {
                leaves(value, at.to_owned(), &mut paths);
            }
        }
        for path in paths {
            for absurd in [
                json!(0),
                json!(-1),
                json!(7),
                json!(u64::MAX),
                json!(1e300),
                json!("re:("),
                json!([1, 2]),
                json!(null),
            ] {
                let mut changed = config.clone();
                *changed.pointer_mut(&path).unwrap() = absurd.clone();
                fs::write(dir.path().join("config.json"), changed.to_string()).unwrap();
                let survived = catch_unwind(|| read_all(dir.path()));
                assert!(survived.is_ok(), "{}: {path} = {absurd}", fixture.display());
                cases += 1;
            }
        }
    }
    assert!(cases > 1000, "{cases}");
}

/// Other shapes with the same number of elements.
fn reshaped(shape: &[usize]) -> Vec<Vec<usize>> {
    let all: usize = shape.iter().product();
    let mut reversed = shape.to_vec();
    reversed.reverse();
    let mut shapes =
        vec![reversed, vec![all], vec![1, all], vec![all, 1], vec![1, 1, all], [&[1], shape].concat()];
    if all.is_multiple_of(2) {
        shapes.push(vec![all / 2, 2]);
    }
    shapes
}

/// Other types of the same width.
fn retyped(dtype: Dtype) -> &'static [Dtype] {
    match dtype.bitsize() {
        8 => &[Dtype::U8, Dtype::I8, Dtype::F8_E4M3, Dtype::F8_E8M0, Dtype::BOOL],
        16 => &[Dtype::F16, Dtype::BF16, Dtype::I16],
        32 => &[Dtype::F32, Dtype::I32, Dtype::U32],
        64 => &[Dtype::I64, Dtype::F64],
        _ => &[],
    }
}

#[test]
fn headers_may_say_anything() {
    let mut cases = 0;
    for fixture in fixtures() {
        let (dir, _) = copy_of(&fixture);
        let path = dir.path().join("model.safetensors");
        let Ok(file) = TensorFile::open(&path) else { continue };
        let bytes = fs::read(&path).unwrap();
        let data = &bytes[file.header().entries.first().map_or(bytes.len(), |e| e.begin as usize)..];
        let metadata: BTreeMap<_, _> = file.header().metadata.clone();
        let entries = file.header().entries.clone();
        let write = |changed: usize, dtype: Dtype, shape: &[usize], name: &str| {
            let list = entries.iter().enumerate().map(|(at, e)| {
                let (dtype, shape, name) = if at == changed {
                    (dtype, shape.to_vec(), name.to_owned())
                } else {
                    (e.dtype, e.shape.clone(), e.name.clone())
                };
                (name, dtype, shape, e.len())
            });
            let (mut head, _) = header_bytes(&metadata, list);
            head.extend_from_slice(data);
            fs::write(&path, head).unwrap();
        };
        for (at, entry) in entries.iter().enumerate() {
            let shapes = reshaped(&entry.shape).into_iter().map(|shape| (entry.dtype, shape));
            let types = retyped(entry.dtype).iter().map(|dtype| (*dtype, entry.shape.clone()));
            for (dtype, shape) in shapes.chain(types) {
                write(at, dtype, &shape, &entry.name);
                let survived = catch_unwind(|| read_all(dir.path()));
                assert!(survived.is_ok(), "{}: {} as {dtype} {shape:?}", fixture.display(), entry.name);
                cases += 1;
            }
            // A part that is missing, and an unknown one in its place.
            write(at, entry.dtype, &entry.shape, "something.else");
            assert!(
                catch_unwind(|| read_all(dir.path())).is_ok(),
                "{}: no {}",
                fixture.display(),
                entry.name
            );
        }
    }
    assert!(cases > 1000, "{cases}");
}

#[test]
fn contents_may_be_anything() {
    for fixture in fixtures() {
        let (dir, _) = copy_of(&fixture);
        let path = dir.path().join("model.safetensors");
        let Ok(file) = TensorFile::open(&path) else { continue };
        let bytes = fs::read(&path).unwrap();
        // Whole tensors of zeros, of ones, and of the largest and the least integers.
        for entry in &file.header().entries {
            for fill in [0x00, 0xff, 0x7f, 0x80] {
                let mut changed = bytes.clone();
                changed[entry.begin as usize..entry.end as usize].fill(fill);
                fs::write(&path, &changed).unwrap();
                let survived = catch_unwind(|| read_all(dir.path()));
                assert!(survived.is_ok(), "{}: {} full of {fill:#x}", fixture.display(), entry.name);
            }
        }
    }
}
