//! Formats with super-blocks in the plain layout: quantized, verified, read back, dequantized, converted.

use crate::model::{contents, plan, weights, write_model};
use half::bf16;
use lowbit_blocks::{Format, Q2_K, Q3_K, Q4_K, Q6_K, Shape, Values};
use lowbit_calib::Recipe;
use lowbit_checkpoint::layout::{self, COMPRESSED_TENSORS, PLAIN};
use lowbit_checkpoint::safetensors::Dtype;
use lowbit_checkpoint::verify::{VerifyOptions, verify};
use lowbit_checkpoint::{Checkpoint, ConvertJob, DequantizeJob};
use serde_json::json;
use std::path::Path;
use tempfile::{TempDir, tempdir};

const LINEARS: [(&str, usize, usize); 2] = [("self_attn.q_proj", 40, 256), ("mlp.down_proj", 33, 768)];

/// A Llama whose rows hold super-blocks of 256.
fn source() -> TempDir {
    let dir = tempdir().unwrap();
    let mut tensors =
        vec![weights("model.embed_tokens.weight", &[8, 256]), weights("model.norm.weight", &[256])];
    for (name, rows, cols) in LINEARS {
        tensors.push(weights(&format!("model.layers.0.{name}.weight"), &[rows, cols]));
    }
    let config = json!({"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 256, "dtype": "bfloat16"});
    write_model(dir.path(), config, tensors);
    dir
}

fn quantized(source: &Path, format: Format) -> TempDir {
    let out = tempdir().unwrap();
    plan(source, out.path(), |job| (job.format, job.layout) = (format, PLAIN)).run(&()).unwrap();
    out
}

#[test]
fn super_blocks_live_in_the_plain_layout() {
    let source = source();
    let original = Checkpoint::open(source.path()).unwrap();
    for format in [Q4_K, Q2_K, Q3_K, Q6_K] {
        let dir = quantized(source.path(), format);
        let written = Checkpoint::open(dir.path()).unwrap();
        let reading = layout::read(&written).unwrap().unwrap();
        assert_eq!(reading.linears.len(), LINEARS.len(), "{format}");
        for (name, rows, cols) in LINEARS {
            let weight = format!("model.layers.0.{name}.weight");
            let stored = reading.linears.iter().find(|stored| stored.linear.weight == weight).unwrap();
            assert_eq!(stored.format, format);
            let bytes = original.tensor(&weight).unwrap().read_all().unwrap();
            let values: Vec<bf16> = bytes.as_chunks().0.iter().copied().map(bf16::from_le_bytes).collect();
            let shape = Shape::matrix(rows, cols);
            let want = Recipe::new(format).unwrap().quantize(shape, Values::Bf16(&values)).unwrap();
            assert_eq!(stored.read(&written).unwrap().weight, want, "{format} {name}");
            // The scales of a row are bytes; so many say the bits per weight that they should.
            let scales = written.tensor(&format!("{weight}.scales")).unwrap();
            assert_eq!(scales.entry.dtype, Dtype::U8);
            assert_eq!(scales.entry.shape, [rows, format.scales_len(shape) / rows]);
        }
        let verified = verify(dir.path(), &VerifyOptions::default(), &()).unwrap();
        assert!(verified.findings.is_empty(), "{format}: {:?}", verified.findings);
    }
}

#[test]
fn q4_k_is_dequantized_and_converted() {
    let source = source();
    let dir = quantized(source.path(), Q4_K);
    let written = Checkpoint::open(dir.path()).unwrap();
    let linear = &layout::read(&written).unwrap().unwrap().linears[0];
    let values = linear.read(&written).unwrap().weight.to_f32_vec();
    // To numbers.
    let plain = tempdir().unwrap();
    DequantizeJob::new(dir.path(), plain.path(), lowbit_blocks::Dtype::F32).plan().unwrap().run(&()).unwrap();
    let numbers = Checkpoint::open(plain.path()).unwrap();
    let bytes = numbers.tensor(&linear.linear.weight).unwrap().read_all().unwrap();
    let read: Vec<u32> = bytes.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b)).collect();
    assert_eq!(read, values.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
    // From plain to plain: the same bytes.
    let again = tempdir().unwrap();
    let report = ConvertJob::new(dir.path(), again.path(), PLAIN).plan().unwrap().run(&()).unwrap();
    assert!(report.conversions.iter().all(|c| c.how == "exact" && c.exact), "{:?}", report.conversions);
    let weights = Path::new("model.safetensors");
    assert_eq!(contents(dir.path())[weights], contents(again.path())[weights]);
    // Into the groups with biases that it is, and into what another tool has, which is not exact.
    let biased = tempdir().unwrap();
    let mut job = ConvertJob::new(dir.path(), biased.path(), PLAIN);
    job.format = Format::named("uint4-g32-bias").map(|f| f.with_scale(lowbit_blocks::ScaleKind::F32));
    let report = job.plan().unwrap().run(&()).unwrap();
    assert!(report.conversions.iter().all(|c| c.exact), "{:?}", report.conversions);
    let other = tempdir().unwrap();
    let job = ConvertJob::new(dir.path(), other.path(), COMPRESSED_TENSORS);
    let report = job.plan().unwrap().run(&()).unwrap();
    assert!(report.conversions.iter().all(|c| !c.exact), "{:?}", report.conversions);
}
