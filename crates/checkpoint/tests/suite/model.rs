//! The models that tests quantize: a real one, and small ones made to measure.

use half::bf16;
use lowbit_checkpoint::safetensors::{Dtype, header_bytes, order};
use lowbit_checkpoint::{Job, Plan};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A file or folder of `testdata`.
pub(crate) fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name)
}

/// A real Llama of two million parameters, in BF16.
pub(crate) fn austen() -> PathBuf {
    testdata("austen-2m")
}

/// One tensor: name, dtype, shape, bytes.
pub(crate) type Tensor = (String, Dtype, Vec<usize>, Vec<u8>);

/// A tensor of bf16 values, roughly normal with deviation 0.02, a function of name and shape alone.
pub(crate) fn weights(name: &str, shape: &[usize]) -> Tensor {
    let mut state =
        name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    let values =
        (0..shape.iter().product()).map(|_| bf16::from_f32(0.04 * (uniform() + uniform() + uniform())));
    (name.to_owned(), Dtype::BF16, shape.to_vec(), values.flat_map(bf16::to_le_bytes).collect())
}

/// The same tensor with one value replaced.
pub(crate) fn with_value((name, dtype, shape, mut bytes): Tensor, index: usize, value: f32) -> Tensor {
    bytes[2 * index..2 * index + 2].copy_from_slice(&bf16::from_f32(value).to_le_bytes());
    (name, dtype, shape, bytes)
}

/// The same values as f32 or f16.
pub(crate) fn in_dtype((name, _, shape, bytes): Tensor, dtype: Dtype) -> Tensor {
    let values = bytes.as_chunks().0.iter().copied().map(|b| bf16::from_le_bytes(b).to_f32());
    let bytes = match dtype {
        Dtype::F32 => values.flat_map(f32::to_le_bytes).collect(),
        _ => values.flat_map(|v| half::f16::from_f32(v).to_le_bytes()).collect(),
    };
    (name, dtype, shape, bytes)
}

/// Writes one safetensors file.
pub(crate) fn write_file(path: &Path, mut tensors: Vec<Tensor>) {
    tensors.sort_by(|a, b| order((a.1, &a.0), (b.1, &b.0)));
    write_in_order(path, &tensors);
}

/// The same with the tensors in any order, in which they may lie where their type should not.
pub(crate) fn write_in_order(path: &Path, tensors: &[Tensor]) {
    let list = tensors.iter().map(|t| (t.0.clone(), t.1, t.2.clone(), t.3.len() as u64));
    let (mut bytes, _) = header_bytes(&BTreeMap::from([("format".into(), "pt".into())]), list);
    tensors.iter().for_each(|t| bytes.extend_from_slice(&t.3));
    fs::write(path, bytes).unwrap();
}

/// Writes a checkpoint of one file, with this `model_type` and whatever else the configuration has to say.
pub(crate) fn write_model(dir: &Path, config: Value, tensors: Vec<Tensor>) {
    fs::write(dir.join("config.json"), config.to_string()).unwrap();
    write_file(&dir.join("model.safetensors"), tensors);
}

/// A Llama of one layer whose sizes are the smallest that every format can take; with something in every linear.
pub(crate) fn write_llama(dir: &Path) {
    write_model(dir, llama_config(), llama());
}

/// Its configuration.
pub(crate) fn llama_config() -> Value {
    json!({"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 128, "dtype": "bfloat16"})
}

/// Its tensors.
pub(crate) fn llama() -> Vec<Tensor> {
    let mut tensors =
        vec![weights("model.embed_tokens.weight", &[64, 128]), weights("lm_head.weight", &[64, 128])];
    for norm in ["model.norm", "model.layers.0.input_layernorm"] {
        tensors.push(weights(&format!("{norm}.weight"), &[128]));
    }
    for (name, rows, cols) in
        [("self_attn.q_proj", 128, 128), ("self_attn.k_proj", 64, 128), ("mlp.down_proj", 128, 256)]
    {
        tensors.push(weights(&format!("model.layers.0.{name}.weight"), &[rows, cols]));
    }
    tensors
}

/// The plan of a job that a test has changed.
pub(crate) fn plan(source: &Path, out: &Path, change: impl FnOnce(&mut Job)) -> Plan {
    let mut job = Job::new(source, out);
    job.settings.jobs = 2;
    change(&mut job);
    job.plan().unwrap()
}

/// What planning or running a job says when it fails.
pub(crate) fn error(source: &Path, out: &Path, change: impl FnOnce(&mut Job)) -> String {
    let mut job = Job::new(source, out);
    job.settings.jobs = 2;
    change(&mut job);
    let error = job.plan().and_then(|plan| plan.run(&())).expect_err("the job must fail").to_string();
    assert!(!error.contains('\n'), "not one line: {error}");
    error
}

/// Every file below a directory, with its bytes.
pub(crate) fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(contents(&path).into_iter().map(|(name, bytes)| (path.join(name), bytes)));
        } else {
            files.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    files
        .into_iter()
        .map(|(path, bytes)| (path.strip_prefix(dir).unwrap_or(&path).to_owned(), bytes))
        .collect()
}
