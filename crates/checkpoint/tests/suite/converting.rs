//! Quantized checkpoints brought into other layouts, and back; and their plain weights.

use crate::model::{contents, plan, write_llama};
use lowbit_blocks::{Dtype, FORMATS, FP8_BLOCK, Format, INT8, MXFP4, NVFP4};
use lowbit_checkpoint::layout::{self, COMPRESSED_TENSORS, LAYOUTS, Layout, MODELOPT, PLAIN};
use lowbit_checkpoint::{Checkpoint, Conversion, ConvertJob, DequantizeJob, Report};
use std::path::Path;
use tempfile::{TempDir, tempdir};

/// The small Llama quantized.
fn quantized(format: Format, layout: &'static dyn Layout) -> TempDir {
    let (source, out) = (tempdir().unwrap(), tempdir().unwrap());
    write_llama(source.path());
    plan(source.path(), out.path(), |job| (job.format, job.layout) = (format, layout)).run(&()).unwrap();
    out
}

/// A job between two directories.
fn job(from: &Path, to: &Path, layout: &'static dyn Layout, format: Option<Format>) -> ConvertJob {
    let mut job = ConvertJob::new(from, to, layout);
    job.settings.jobs = 2;
    job.format = format;
    job
}

fn convert(from: &Path, layout: &'static dyn Layout, format: Option<Format>) -> (TempDir, Report) {
    let out = tempdir().unwrap();
    let report = job(from, out.path(), layout, format).plan().unwrap().run(&()).unwrap();
    (out, report)
}

/// All that a linear decodes to, by module, as bits.
fn decoded(dir: &Path) -> Vec<(String, Vec<u32>)> {
    let checkpoint = Checkpoint::open(dir).unwrap();
    let reading = layout::read(&checkpoint).unwrap().unwrap();
    let of = |stored: &layout::Stored| {
        let values = stored.read(&checkpoint).unwrap().effective_weight();
        (stored.linear.module.clone(), values.iter().map(|v| v.to_bits()).collect())
    };
    reading.linears.iter().map(of).collect()
}

#[test]
fn whatever_a_layout_carries_goes_to_plain_and_comes_back_to_the_same_bytes() {
    let mut pairs = 0;
    for &layout in LAYOUTS.iter().filter(|l| l.name() != PLAIN.name()) {
        for (_, format) in FORMATS.iter().filter(|(_, format)| !layout.carries(format).is_empty()) {
            let context = format!("{format} in {}", layout.name());
            let first = quantized(*format, layout);
            let (plain, report) = convert(first.path(), PLAIN, None);
            assert!(report.conversions.iter().all(|c| c.how == "exact" && c.exact), "{context}: {report:?}");
            assert_eq!(decoded(first.path()), decoded(plain.path()), "{context}");
            let (back, report) = convert(plain.path(), layout, None);
            assert!(report.conversions.iter().all(|c| c.exact), "{context}: {:?}", report.conversions);
            let (was, is) = (contents(first.path()), contents(back.path()));
            let weights = Path::new("model.safetensors");
            assert_eq!(was[weights], is[weights], "{context}");
            pairs += 1;
        }
    }
    assert!(pairs > 20, "{pairs}");
}

#[test]
fn nvfp4_keeps_codes_and_block_scales_and_rounds_the_reciprocal_of_its_tensor_scale() {
    let modelopt = quantized(NVFP4, MODELOPT);
    let (ct, report) = convert(modelopt.path(), COMPRESSED_TENSORS, None);
    assert_eq!(report.conversions.len(), 3);
    for Conversion { how, from, to, .. } in &report.conversions {
        assert!(how == "exact" || how.starts_with("exact codes, tensor scale rounded by"), "{how}");
        assert_eq!((from.as_str(), to.as_str()), ("nvfp4", "nvfp4"));
    }
    let read = |dir: &Path| {
        let checkpoint = Checkpoint::open(dir).unwrap();
        let linears = layout::read(&checkpoint).unwrap().unwrap().linears;
        linears.iter().map(|l| l.read(&checkpoint).unwrap().weight).collect::<Vec<_>>()
    };
    for (a, b) in read(modelopt.path()).iter().zip(read(ct.path())) {
        assert_eq!((a.codes(), a.scales()), (b.codes(), b.scales()));
        let (lowbit_blocks::TensorScale::Multiply(times), lowbit_blocks::TensorScale::Divide(by)) =
            (a.tensor_scale(), b.tensor_scale())
        else {
            panic!("ModelOpt multiplies, compressed-tensors divides")
        };
        assert_eq!(by[0], 1.0 / times[0]);
    }
}

#[test]
fn mxfp4_becomes_nvfp4_and_fp8_tiles_without_a_loss() {
    let mxfp4 = quantized(MXFP4, MODELOPT);
    for format in [NVFP4, FP8_BLOCK] {
        let (out, report) = convert(mxfp4.path(), COMPRESSED_TENSORS, Some(format));
        assert!(report.conversions.iter().all(|c| c.exact), "{format}: {:?}", report.conversions);
        assert_eq!(decoded(mxfp4.path()), decoded(out.path()), "{format}");
    }
    // q and k share their tensor scale, as engines that fuse them want it.
    let (out, _) = convert(mxfp4.path(), COMPRESSED_TENSORS, Some(NVFP4));
    let checkpoint = Checkpoint::open(out.path()).unwrap();
    let scale = |name: &str| {
        let name = format!("model.layers.0.self_attn.{name}.weight_global_scale");
        checkpoint.tensor(&name).unwrap().read_all().unwrap()
    };
    assert_eq!(scale("q_proj"), scale("k_proj"));
}

#[test]
fn what_has_no_image_is_requantized_and_says_what_it_lost() {
    let int8 = quantized(INT8, COMPRESSED_TENSORS);
    let (out, report) = convert(int8.path(), MODELOPT, Some(MXFP4));
    for line in &report.conversions {
        assert!(
            line.how.starts_with("requantized: int8 into mxfp4: no code of e2m1 is ") && !line.exact,
            "{}",
            line.how
        );
        let sqnr = line.sqnr_db.unwrap();
        assert!((15.0..25.0).contains(&sqnr), "{sqnr} dB");
    }
    let checkpoint = Checkpoint::open(out.path()).unwrap();
    assert_eq!(layout::read(&checkpoint).unwrap().unwrap().linears[0].format, MXFP4);
}

#[test]
fn exact_only_refuses_the_rest_and_writes_nothing() {
    let int8 = quantized(INT8, COMPRESSED_TENSORS);
    let out = tempdir().unwrap();
    let mut job = job(int8.path(), out.path(), MODELOPT, Some(MXFP4));
    job.exact_only = true;
    let error = job.plan().expect_err("INT8 is more than MXFP4").to_string();
    assert!(
        error.contains("3 of 3 linears would not be exact, model.layers.0.mlp.down_proj first"),
        "{error}"
    );
    assert!(contents(out.path()).is_empty());
}

#[test]
fn plain_weights_are_what_the_linears_decode_to() {
    for (format, layout) in [(NVFP4, MODELOPT), (MXFP4, COMPRESSED_TENSORS), (FP8_BLOCK, PLAIN)] {
        let from = quantized(format, layout);
        for dtype in [Dtype::F32, Dtype::F16, Dtype::Bf16] {
            let out = tempdir().unwrap();
            let mut job = DequantizeJob::new(from.path(), out.path(), dtype);
            job.settings.jobs = 2;
            job.plan().unwrap().run(&()).unwrap();
            let checkpoint = Checkpoint::open(out.path()).unwrap();
            assert!(layout::read(&checkpoint).unwrap().is_none(), "nothing is quantized any more");
            for (module, want) in decoded(from.path()) {
                let bytes = checkpoint.tensor(&format!("{module}.weight")).unwrap().read_all().unwrap();
                let want: Vec<u8> = want
                    .into_iter()
                    .map(f32::from_bits)
                    .flat_map(|value| match dtype {
                        Dtype::F32 => value.to_le_bytes().to_vec(),
                        Dtype::F16 => half::f16::from_f32(value).to_le_bytes().to_vec(),
                        Dtype::Bf16 => half::bf16::from_f32(value).to_le_bytes().to_vec(),
                    })
                    .collect();
                assert_eq!(bytes, want, "{format} in {} as {dtype:?}: {module}", layout.name());
            }
        }
    }
}

#[test]
fn what_is_not_quantized_is_copied_and_the_configuration_speaks_of_the_new_layout() {
    let from = quantized(NVFP4, MODELOPT);
    let (out, _) = convert(from.path(), COMPRESSED_TENSORS, None);
    let (was, is) = (Checkpoint::open(from.path()).unwrap(), Checkpoint::open(out.path()).unwrap());
    for name in ["model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"] {
        let read = |c: &Checkpoint| c.tensor(name).unwrap().read_all().unwrap();
        assert_eq!(read(&was), read(&is), "{name}");
    }
    let config = &is.config().unwrap()["quantization_config"];
    assert_eq!(config["quant_method"], "compressed-tensors");
    assert_eq!(config["ignore"], serde_json::json!(["lm_head"]));
    assert!(!out.path().join("hf_quant_config.json").exists(), "it speaks of the old layout");
}
