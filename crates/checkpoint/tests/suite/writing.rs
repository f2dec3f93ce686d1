//! What a run writes: the same bytes whatever the threads and the SIMD level, sharded as asked, with everything else of the directory.

use crate::model::{
    austen, contents, error, in_dtype, llama, llama_config, plan, weights, write_file, write_in_order,
    write_llama, write_model,
};
use lowbit_blocks::Format;
use lowbit_checkpoint::index::Index;
use lowbit_checkpoint::safetensors::Dtype;
use lowbit_checkpoint::{Checkpoint, Phase, Progress, Step, layout};
use lowbit_kernels::Kernels;
use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;

/// A tensor of several tiles in every format.
fn write_wide(dir: &std::path::Path) {
    let mut tensors = llama();
    tensors.push(weights("model.layers.0.mlp.gate_proj.weight", &[2560, 1024]));
    tensors.push(weights("model.layers.0.mlp.up_proj.weight", &[2304, 1024]));
    write_model(dir, llama_config(), tensors);
}

#[test]
fn bytes_do_not_depend_on_threads_or_kernels() {
    let dir = tempfile::tempdir().unwrap();
    write_wide(dir.path());
    for (format, layout) in [
        ("nvfp4", layout::COMPRESSED_TENSORS),
        ("int4-g128-asym", layout::COMPRESSED_TENSORS),
        ("int4-g64", layout::MODELOPT),
        ("fp8-block", layout::MODELOPT),
        ("int8-tensor", layout::PLAIN),
        ("nf4", layout::PLAIN),
    ] {
        let write = |jobs: usize, kernels: Kernels| {
            let out = tempfile::tempdir().unwrap();
            let plan = plan(dir.path(), out.path(), |job| {
                (job.format, job.layout) = (Format::named(format).unwrap(), layout);
                (job.settings.jobs, job.settings.kernels) = (jobs, kernels);
            });
            plan.run(&()).unwrap();
            contents(out.path())
        };
        let one = write(1, Kernels::reference());
        for jobs in [2, 7] {
            assert!(write(jobs, Kernels::best()) == one, "{format} with {jobs} jobs");
        }
        for kernels in Kernels::available() {
            assert!(write(2, kernels) == one, "{format} with {}", kernels.name());
        }
    }
}

#[test]
fn tiles_are_the_whole_tensor_cut() {
    // Everything that is packed across rows, in a tensor of several tiles: read back, it is what one tile would be.
    let dir = tempfile::tempdir().unwrap();
    write_wide(dir.path());
    let name = "model.layers.0.mlp.gate_proj.weight";
    for (format, layout) in [
        ("int4-g128-asym", layout::COMPRESSED_TENSORS),
        ("int4-g64", layout::MODELOPT),
        ("fp8-block", layout::PLAIN),
    ] {
        let out = tempfile::tempdir().unwrap();
        let format = Format::named(format).unwrap();
        plan(dir.path(), out.path(), |job| (job.format, job.layout) = (format, layout)).run(&()).unwrap();
        let written = Checkpoint::open(out.path()).unwrap();
        let reading = layout::read(&written).unwrap().unwrap();
        let stored = reading.linears.iter().find(|l| l.linear.weight == name).unwrap();
        let whole = stored.read(&written).unwrap().weight;
        let source = Checkpoint::open(dir.path()).unwrap().tensor(name).unwrap().read_all().unwrap();
        let values: Vec<_> = source.as_chunks().0.iter().copied().map(half::bf16::from_le_bytes).collect();
        let recipe =
            lowbit_calib::recipes::recipe(layout.producer, &format, lowbit_blocks::Dtype::Bf16, false)
                .unwrap();
        let want = recipe.quantize(whole.shape(), values.as_slice()).unwrap();
        assert!(whole == want, "{format}");
        // Any rows can be read on their own.
        let quantum = stored.quantum();
        let rows = stored.rows(&written, 0, quantum..5 * quantum).unwrap();
        assert!(rows == whole.rows(0, quantum..5 * quantum).into_owned(), "{format}");
    }
}

#[test]
fn weights_of_every_float_type_are_quantized() {
    let dir = tempfile::tempdir().unwrap();
    let name = |part: &str| format!("model.layers.0.{part}.weight");
    let f32s = in_dtype(weights(&name("mlp.a_proj"), &[64, 128]), Dtype::F32);
    let f16s = in_dtype(weights(&name("mlp.b_proj"), &[64, 128]), Dtype::F16);
    // One byte in front of everything: no value is aligned in the file.
    let odd = ("a".to_owned(), Dtype::BOOL, vec![1], vec![1]);
    let tensors: Vec<_> = [odd, f32s.clone(), f16s.clone()].into_iter().chain(llama()).collect();
    write_model(dir.path(), llama_config(), vec![]);
    write_in_order(&dir.path().join("model.safetensors"), &tensors);
    for (format, layout) in [
        ("nvfp4", layout::COMPRESSED_TENSORS),
        ("int8", layout::COMPRESSED_TENSORS),
        ("fp8-block", layout::MODELOPT),
    ] {
        let out = tempfile::tempdir().unwrap();
        let format = Format::named(format).unwrap();
        plan(dir.path(), out.path(), |job| (job.format, job.layout) = (format, layout)).run(&()).unwrap();
        let written = Checkpoint::open(out.path()).unwrap();
        let reading = layout::read(&written).unwrap().unwrap();
        let got = |name: &str| {
            reading.linears.iter().find(|l| l.linear.weight == name).unwrap().read(&written).unwrap().weight
        };
        let recipe = |dtype| lowbit_calib::recipes::recipe(layout.producer, &format, dtype, false).unwrap();
        let shape = lowbit_blocks::Shape::matrix(64, 128);
        let values: Vec<f32> = f32s.3.as_chunks().0.iter().copied().map(f32::from_le_bytes).collect();
        assert_eq!(
            got(&f32s.0),
            recipe(lowbit_blocks::Dtype::F32).quantize(shape, values.as_slice()).unwrap(),
            "{format}"
        );
        let values: Vec<half::f16> =
            f16s.3.as_chunks().0.iter().copied().map(half::f16::from_le_bytes).collect();
        assert_eq!(
            got(&f16s.0),
            recipe(lowbit_blocks::Dtype::F16).quantize(shape, values.as_slice()).unwrap(),
            "{format}"
        );
    }
}

#[test]
fn shards_hold_at_most_what_was_asked_and_keep_linears_together() {
    let whole = tempfile::tempdir().unwrap();
    plan(&austen(), whole.path(), |_| {}).run(&()).unwrap();
    let single = Checkpoint::open(whole.path()).unwrap();
    assert!(!whole.path().join("model.safetensors.index.json").exists());

    let out = tempfile::tempdir().unwrap();
    let limit = 600_000;
    plan(&austen(), out.path(), |job| job.settings.max_shard_size = limit).run(&()).unwrap();
    let sharded = Checkpoint::open(out.path()).unwrap();
    let names: Vec<_> = sharded
        .files()
        .iter()
        .map(|f| f.path().file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, (1..=3).map(|n| format!("model-0000{n}-of-00003.safetensors")).collect::<Vec<_>>());
    for file in sharded.files() {
        let entries = file.entries();
        assert!(entries.iter().map(|e| e.len()).sum::<u64>() <= limit, "{}", file.path().display());
        assert_eq!(file.metadata().text("format"), Some("pt"));
        let modules: BTreeSet<_> =
            entries.iter().filter_map(|e| e.name.strip_suffix(".weight_packed")).collect();
        let scales: BTreeSet<_> =
            entries.iter().filter_map(|e| e.name.strip_suffix(".weight_scale")).collect();
        assert_eq!(modules, scales);
    }
    let index = Index::read(&out.path().join("model.safetensors.index.json")).unwrap();
    assert_eq!(index.metadata["total_size"], single.total_size());
    assert_eq!(index.weight_map.len(), single.tensors().len());
    for tensor in single.tensors() {
        let other = sharded.tensor(&tensor.entry.name).unwrap();
        assert_eq!(other.read_all().unwrap(), tensor.read_all().unwrap(), "{}", tensor.entry.name);
    }
}

#[test]
fn plans_say_every_byte_before_it_is_written() {
    let out = tempfile::tempdir().unwrap();
    let plan = plan(&austen(), out.path(), |job| job.settings.max_shard_size = 700_000);
    let summary = plan.summary();
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0, "a plan writes nothing");
    assert_eq!((summary.linears, summary.copied, summary.scheme.as_str()), (21, 8, "NVFP4A16"));
    assert_eq!(summary.weights, 1_769_472);
    // 4 bits of code, 8 bits of scale for 16, 32 bits of tensor scale for each of 21 matrices.
    assert_eq!(summary.bits_per_weight, 4.5 + 32.0 * 21.0 / 1_769_472.0);
    plan.run(&()).unwrap();
    let written = Checkpoint::open(out.path()).unwrap();
    assert_eq!(written.tensors().len(), summary.tensors.len());
    assert_eq!(written.total_size(), summary.output_bytes);
    for planned in &summary.tensors {
        let tensor = written.tensor(&planned.name).unwrap();
        assert_eq!(
            (tensor.entry.begin, tensor.entry.len()),
            (planned.begin, planned.bytes),
            "{}",
            planned.name
        );
        assert_eq!(tensor.entry.shape, planned.shape);
        assert!(tensor.file.path().ends_with(&planned.file));
    }
    let text = summary.to_string();
    assert!(
        text.starts_with("nvfp4 in compressed-tensors (NVFP4A16): 21 linears quantized, 8 tensors copied\n"),
        "{text}"
    );
    assert!(text.contains("model.embed_tokens.weight BF16 [1024, 256]  copied: embedding\n"));
    assert!(serde_json::to_value(&summary).unwrap()["tensors"][0]["begin"].is_u64());
}

#[test]
fn our_headers_are_those_of_the_format_crate() {
    let out = tempfile::tempdir().unwrap();
    plan(&austen(), out.path(), |_| {}).run(&()).unwrap();
    let bytes = fs::read(out.path().join("model.safetensors")).unwrap();
    let read = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let again =
        safetensors::serialize(read.iter(), Some([("format".to_owned(), "pt".to_owned())].into())).unwrap();
    assert!(again == bytes);
}

#[test]
fn other_files_are_copied_and_other_weights_are_not() {
    let dir = tempfile::tempdir().unwrap();
    write_llama(dir.path());
    fs::create_dir_all(dir.path().join("1_Pooling")).unwrap();
    fs::create_dir_all(dir.path().join(".cache")).unwrap();
    for (name, text) in
        [("tokenizer.json", "{}"), ("1_Pooling/config.json", "[]"), (".cache/x", "x"), ("empty.txt", "")]
    {
        fs::write(dir.path().join(name), text).unwrap();
    }
    fs::write(dir.path().join("pytorch_model.bin"), "weights").unwrap();
    write_file(&dir.path().join("adapter.safetensors"), vec![weights("a", &[1])]);
    let out = tempfile::tempdir().unwrap();
    let report = plan(dir.path(), out.path(), |_| {}).run(&()).unwrap();
    let names: Vec<_> = contents(out.path()).into_keys().map(|p| p.to_string_lossy().into_owned()).collect();
    assert_eq!(
        names,
        ["1_Pooling/config.json", "config.json", "empty.txt", "model.safetensors", "tokenizer.json"]
    );
    assert_eq!(report.warnings.len(), 2, "{:?}", report.warnings);
    assert!(report.warnings[0].starts_with("adapter.safetensors holds weights"));
}

#[test]
fn files_that_would_take_the_place_of_unfinished_ones_are_not_copied() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_llama(dir.path());
    for name in
        ["model.safetensors.partial", "config.json.partial", "tokenizer.json.partial", "tokenizer.json"]
    {
        fs::write(dir.path().join(name), name).unwrap();
    }
    let want = ["config.json.partial", "model.safetensors.partial", "tokenizer.json.partial"];
    let mut want: Vec<_> =
        want.iter().map(|name| format!("{name} is an unfinished file and is not copied")).collect();
    #[cfg(unix)]
    for (name, to) in [("gone", "nowhere"), ("round", ".")] {
        std::os::unix::fs::symlink(to, dir.path().join(name)).unwrap();
        let what = if name == "gone" { "nothing" } else { "a directory" };
        want.push(format!("{name} is a link to {what} and is not copied"));
    }
    let report = plan(dir.path(), out.path(), |_| {}).run(&()).unwrap();
    want.sort();
    assert_eq!(report.warnings, want);
    let names: Vec<_> = contents(out.path()).into_keys().map(|p| p.to_string_lossy().into_owned()).collect();
    assert_eq!(names, ["config.json", "model.safetensors", "tokenizer.json"]);
    Checkpoint::open(out.path()).unwrap();
}

#[test]
fn no_number_of_threads_is_too_many() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_llama(dir.path());
    plan(dir.path(), out.path(), |job| job.settings.jobs = usize::MAX).run(&()).unwrap();
}

#[test]
fn progress_adds_up_and_can_stop_the_run() {
    #[derive(Default)]
    struct Count(Mutex<Vec<(Phase, u64, u64)>>, u64);
    impl Progress for Count {
        fn step(&self, step: Step<'_>) {
            self.0.lock().unwrap().push((step.phase, step.done, step.total));
        }
        fn cancelled(&self) -> bool {
            self.0.lock().unwrap().last().is_some_and(|last| last.1 > self.1)
        }
    }
    let all = Count(Mutex::default(), u64::MAX);
    let out = tempfile::tempdir().unwrap();
    plan(&austen(), out.path(), |_| {}).run(&all).unwrap();
    let steps = all.0.into_inner().unwrap();
    let of = |phase| steps.iter().filter(move |s| s.0 == phase);
    // 21 linears are read twice, because NVFP4 looks at a tensor before it quantizes it.
    let bytes = 2 * 1_769_472 * 2 + (1024 * 256 + 7 * 256) * 2;
    assert!(of(Phase::Quantize).all(|s| s.2 == bytes));
    assert_eq!(of(Phase::Quantize).map(|s| s.1).max(), Some(bytes));
    assert_eq!(of(Phase::Finish).map(|s| (s.1, s.2)).max(), Some((6, 6)));

    let some = Count(Mutex::default(), bytes / 3);
    let out = tempfile::tempdir().unwrap();
    let error = plan(&austen(), out.path(), |job| job.settings.jobs = 1).run(&some).unwrap_err().to_string();
    assert!(error.starts_with("cancelled after ") && error.ends_with("can be resumed"), "{error}");
    assert!(!out.path().join("config.json").exists() && !out.path().join("model.safetensors").exists());
    let rest = Count(Mutex::default(), u64::MAX);
    let report = plan(&austen(), out.path(), |job| job.settings.resume = true).run(&rest).unwrap();
    assert!(report.resumed_tiles > 0);
}

#[test]
fn scale_rules_and_parity_exclude_each_other_and_must_fit() {
    let out = tempfile::tempdir().unwrap();
    let rule = |rule: &str, parity| {
        error(&austen(), out.path(), |job| {
            (job.scale_rule, job.parity) = (Some(rule.parse().unwrap()), parity)
        })
    };
    assert_eq!(rule("amax", true), "parity is the producer's own scale rule; leave one of the two out");
    assert!(rule("floor", false).starts_with("scale rule floor does not fit nvfp4, which takes amax"));
    let mse = tempfile::tempdir().unwrap();
    plan(&austen(), mse.path(), |job| job.scale_rule = Some("mse".parse().unwrap())).run(&()).unwrap();
    assert_ne!(fs::read(mse.path().join("model.safetensors")).unwrap(), Vec::<u8>::new());
}
