//! Quantized checkpoints brought into other layouts, and back; and their plain weights.

use crate::model::{austen, contents, plan, write_file, write_llama};
use lowbit_blocks::{Dtype, FORMATS, FP8_BLOCK, Format, INT8, MXFP4, NVFP4};
use lowbit_calib::Activations;
use lowbit_checkpoint::arch::Orientation;
use lowbit_checkpoint::layout::{self, COMPRESSED_TENSORS, LAYOUTS, Layout, MODELOPT, PLAIN};
use lowbit_checkpoint::safetensors::TensorFile;
use lowbit_checkpoint::{Checkpoint, Conversion, ConvertJob, DequantizeJob, Progress, Report, Step};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::{TempDir, tempdir};

/// The small Llama quantized.
fn quantized(format: Format, layout: &'static Layout) -> TempDir {
    let (source, out) = (tempdir().unwrap(), tempdir().unwrap());
    write_llama(source.path());
    plan(source.path(), out.path(), |job| (job.format, job.layout) = (format, layout)).run(&()).unwrap();
    out
}

/// A job between two directories.
fn job(from: &Path, to: &Path, layout: &'static Layout, format: Option<Format>) -> ConvertJob {
    let mut job = ConvertJob::new(from, to, layout);
    job.settings.jobs = 2;
    job.format = format;
    job
}

fn convert(from: &Path, layout: &'static Layout, format: Option<Format>) -> (TempDir, Report) {
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
    for &layout in LAYOUTS
        .iter()
        .filter(|l| l.name() != PLAIN.name() && !l.rounds_scales && !l.needs_stacks(Orientation::OutIn))
    {
        // What needs static scales of inputs is no matter of weights alone.
        let quantizes = |format: &Format| {
            layout.carries(format).first().is_some_and(|way| way.activations != Activations::Static)
        };
        for (_, format) in FORMATS.iter().filter(|(_, format)| quantizes(format)) {
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
fn plain_weights_of_a_stack_of_experts_are_a_stack() {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/layouts/made");
    for name in ["ct-experts-sym", "ct-experts-asym"] {
        let out = tempdir().unwrap();
        DequantizeJob::new(made.join(name), out.path(), Dtype::F32).plan().unwrap().run(&()).unwrap();
        let checkpoint = Checkpoint::open(out.path()).unwrap();
        let experts = checkpoint.tensor("model.layers.0.mlp.experts.gate_up_proj.weight").unwrap();
        assert_eq!(experts.entry.shape, [3, 48, 64], "{name}");
        assert_eq!(experts.read_all().unwrap().len(), 3 * 48 * 64 * 4, "{name}");
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

/// Says stop after so many tiles.
struct Impatient(AtomicUsize);

impl Progress for Impatient {
    fn step(&self, _: Step<'_>) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }

    fn cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }
}

#[test]
fn an_interrupted_conversion_goes_on_to_the_same_bytes() {
    let source = tempdir().unwrap();
    plan(&austen(), source.path(), |job| job.layout = MODELOPT).run(&()).unwrap();
    // Requantized, so that scales are looked at first; every tile goes into the journal.
    let job = |out: &Path, resume| {
        let mut job = job(source.path(), out, COMPRESSED_TENSORS, Some(FP8_BLOCK));
        (job.settings.jobs, job.settings.resume, job.settings.journal_bytes) = (1, resume, 1);
        job
    };
    let (whole, parts) = (tempdir().unwrap(), tempdir().unwrap());
    job(whole.path(), false).plan().unwrap().run(&()).unwrap();
    let stop = Impatient(AtomicUsize::new(9));
    let error = job(parts.path(), false).plan().unwrap().run(&stop).expect_err("it was cancelled");
    assert!(error.to_string().starts_with("cancelled after "), "{error}");
    assert!(!parts.path().join("config.json").exists());
    let report = job(parts.path(), true).plan().unwrap().run(&()).unwrap();
    assert_eq!(report.resumed_tiles, 9);
    assert!(contents(parts.path()) == contents(whole.path()));
    // What was done before is not measured again, and no figure is made up for it.
    let measured = report.conversions.iter().filter(|line| line.sqnr_db.is_some()).count();
    assert!((1..21).contains(&measured), "{measured}");
}

#[test]
fn codes_and_scales_may_lie_in_different_shards() {
    let whole = quantized(NVFP4, MODELOPT);
    let split = tempdir().unwrap();
    let file = TensorFile::open(whole.path().join("model.safetensors")).unwrap();
    let mut shards = [Vec::new(), Vec::new()];
    for entry in &file.header().entries {
        let mut bytes = vec![0; entry.len() as usize];
        file.read(entry, 0, &mut bytes).unwrap();
        let scale = usize::from(entry.name.ends_with("_scale") || entry.name.ends_with("_scale_2"));
        shards[scale].push((entry.name.clone(), entry.dtype, entry.shape.clone(), bytes));
    }
    let mut map = serde_json::Map::new();
    for (at, tensors) in shards.into_iter().enumerate() {
        let name = format!("model-{:05}-of-00002.safetensors", at + 1);
        tensors.iter().for_each(|tensor| _ = map.insert(tensor.0.clone(), name.clone().into()));
        write_file(&split.path().join(name), tensors);
    }
    let index = serde_json::json!({"metadata": {"total_size": 0}, "weight_map": map});
    std::fs::write(split.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    std::fs::copy(whole.path().join("config.json"), split.path().join("config.json")).unwrap();
    let (a, _) = convert(whole.path(), COMPRESSED_TENSORS, None);
    let (b, _) = convert(split.path(), COMPRESSED_TENSORS, None);
    assert!(contents(a.path()) == contents(b.path()));
}
