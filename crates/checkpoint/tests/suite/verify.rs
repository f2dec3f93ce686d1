//! Verifying: nothing is found in what is good, exactly one thing where one thing was broken, and no file makes it panic.

use crate::layouts::formats;
use crate::model::{Tensor, plan, testdata, weights, write_model};
use crate::verify_faults::FAULTS;
use lowbit_blocks::Format;
use lowbit_calib::Activations;
use lowbit_checkpoint::arch::Orientation;
use lowbit_checkpoint::index::{INDEX, Index};
use lowbit_checkpoint::layout::{self, LAYOUTS, Layout};
use lowbit_checkpoint::safetensors::{Dtype, TensorFile, header_bytes, order};
use lowbit_checkpoint::verify::{CHECKS, Severity, Verification, VerifyOptions};
use lowbit_checkpoint::{Checkpoint, verify};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A good checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Base {
    /// Not quantized.
    Original,
    /// compressed-tensors.
    Nvfp4,
    Mxfp8,
    Fp8Block,
    Int4,
    Int4Asym,
    /// NVFP4 in many small shards.
    Sharded,
    ModelOptNvfp4,
    ModelOptInt4,
    /// NVFP4 of ModelOpt with scales of inputs and caches, and a factor of columns.
    Calibrated,
    /// INT4 with zero points in our own layout.
    Plain,
    /// NVFP4 in our own layout.
    Plain4,
    /// Symmetric GPTQ of 4 bits, v1, groups of 64.
    Gptq,
}

const BASES: &[(Base, &str, &Layout)] = &[
    (Base::Nvfp4, "nvfp4", layout::COMPRESSED_TENSORS),
    (Base::Mxfp8, "mxfp8", layout::COMPRESSED_TENSORS),
    (Base::Fp8Block, "fp8-block", layout::COMPRESSED_TENSORS),
    (Base::Int4, "int4-g128", layout::COMPRESSED_TENSORS),
    (Base::Int4Asym, "int4-g128-asym", layout::COMPRESSED_TENSORS),
    (Base::Sharded, "nvfp4", layout::COMPRESSED_TENSORS),
    (Base::ModelOptNvfp4, "nvfp4", layout::MODELOPT),
    (Base::ModelOptInt4, "int4-g128", layout::MODELOPT),
    (Base::Calibrated, "nvfp4", layout::MODELOPT),
    (Base::Plain, "int4-g128-asym", layout::PLAIN),
    (Base::Plain4, "nvfp4", layout::PLAIN),
];

/// A Llama whose first layer is dense and whose second has three experts; every format can take it.
fn write_original(dir: &Path) {
    let mut tensors =
        vec![weights("model.embed_tokens.weight", &[64, 128]), weights("lm_head.weight", &[64, 128])];
    for norm in ["model.norm", "model.layers.0.input_layernorm", "model.layers.1.input_layernorm"] {
        tensors.push(weights(&format!("{norm}.weight"), &[128]));
    }
    let attention = [("q_proj", 128), ("k_proj", 64), ("v_proj", 64), ("o_proj", 128)];
    for (name, rows) in attention {
        tensors.push(weights(&format!("model.layers.0.self_attn.{name}.weight"), &[rows, 128]));
    }
    let mlp = [("gate_proj", 256, 128), ("up_proj", 256, 128), ("down_proj", 128, 256)];
    for (parent, (name, rows, cols)) in
        (0..3).flat_map(|e| mlp.map(|linear| (format!("model.layers.1.mlp.experts.{e}"), linear)))
    {
        tensors.push(weights(&format!("{parent}.{name}.weight"), &[rows, cols]));
    }
    tensors.push(weights("model.layers.1.mlp.gate.weight", &[3, 128]));
    let config = json!({
        "model_type": "mixtral", "architectures": ["MixtralForCausalLM"], "hidden_size": 128, "dtype": "bfloat16",
    });
    write_model(dir, config, tensors);
}

/// A GPTQ checkpoint by hand: the codes do not matter, the tensors around them do.
fn write_gptq(dir: &Path) {
    let mut tensors =
        vec![weights("model.embed_tokens.weight", &[64, 128]), weights("model.norm.weight", &[128])];
    for name in ["q_proj", "k_proj", "v_proj", "o_proj"] {
        let module = format!("model.layers.0.self_attn.{name}");
        let codes = (0..16 * 64 * 4).map(|i| (i * 167 + 13) as u8).collect();
        let scales = (0..2 * 64).flat_map(|i| half::f16::from_f32(0.001 + 1e-5 * i as f32).to_le_bytes());
        let groups = (0..128).flat_map(|i| (i / 64_i32).to_le_bytes());
        tensors.push((format!("{module}.qweight"), Dtype::I32, vec![16, 64], codes));
        tensors.push((format!("{module}.qzeros"), Dtype::I32, vec![2, 8], vec![0x77; 2 * 8 * 4]));
        tensors.push((format!("{module}.scales"), Dtype::F16, vec![2, 64], scales.collect()));
        tensors.push((format!("{module}.g_idx"), Dtype::I32, vec![128], groups.collect()));
    }
    let about = json!({
        "quant_method": "gptq", "bits": 4, "group_size": 64, "sym": true, "desc_act": false, "checkpoint_format": "gptq",
    });
    write_model(
        dir,
        json!({"model_type": "llama", "dtype": "float16", "quantization_config": about}),
        tensors,
    );
}

/// Writes a good checkpoint and what it was made from.
fn write_base(base: Base, dir: &Path, original: &Path) {
    write_original(original);
    match BASES.iter().find(|row| row.0 == base) {
        None if base == Base::Gptq => write_gptq(dir),
        None => write_original(dir),
        Some(&(_, format, layout)) => {
            let plan = plan(original, dir, |job| {
                (job.format, job.layout) = (Format::named(format).unwrap(), layout);
                if base == Base::Sharded {
                    job.settings.max_shard_size = 20_000;
                }
            });
            plan.run(&()).unwrap();
        }
    }
    if base == Base::Calibrated {
        edit(dir, calibrate);
    }
}

/// Scales of every input, of one cache, and factors of one layer's columns.
fn calibrate(tensors: &mut Vec<Tensor>) {
    let number = |name: String| (name, Dtype::F32, vec![], 0.01f32.to_le_bytes().to_vec());
    let modules: Vec<String> =
        tensors.iter().filter_map(|t| t.0.strip_suffix(".weight_scale").map(ToOwned::to_owned)).collect();
    for module in &modules {
        tensors.push(number(format!("{module}.input_scale")));
        for cache in ["k", "v"] {
            if module.ends_with(&format!("{cache}_proj")) {
                tensors.push(number(format!("{module}.{cache}_scale")));
            }
        }
    }
    let ones = half::bf16::ONE.to_le_bytes().repeat(128);
    tensors.push(("model.layers.0.self_attn.o_proj.pre_quant_scale".into(), Dtype::BF16, vec![128], ones));
}

/// Changes the tensors of the only file.
pub(crate) fn edit(dir: &Path, change: impl FnOnce(&mut Vec<Tensor>)) {
    edit_in(&dir.join("model.safetensors"), change);
}

/// Changes the tensors of one file.
pub(crate) fn edit_in(path: &Path, change: impl FnOnce(&mut Vec<Tensor>)) {
    let file = TensorFile::open(path).unwrap();
    let read = |e: &lowbit_checkpoint::safetensors::Entry| {
        let mut bytes = vec![0; e.len() as usize];
        file.read(e, 0, &mut bytes).unwrap();
        (e.name.clone(), e.dtype, e.shape.clone(), bytes)
    };
    let mut tensors: Vec<Tensor> = file.header().entries.iter().map(read).collect();
    change(&mut tensors);
    tensors.sort_by(|a, b| order((a.1, &a.0), (b.1, &b.0)));
    let list = tensors.iter().map(|t| (t.0.clone(), t.1, t.2.clone(), t.3.len() as u64));
    let (mut bytes, _) = header_bytes(&file.header().metadata, list);
    tensors.iter().for_each(|t| bytes.extend_from_slice(&t.3));
    fs::write(path, bytes).unwrap();
}

/// Changes one tensor of the only file.
pub(crate) fn tensor(dir: &Path, name: &str, change: impl FnOnce(&mut Tensor)) {
    edit(dir, |tensors| change(tensors.iter_mut().find(|t| t.0 == name).expect(name)));
}

fn edit_json(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

/// Changes `config.json`.
pub(crate) fn config(dir: &Path, change: impl FnOnce(&mut Value)) {
    edit_json(&dir.join("config.json"), change);
}

/// Changes `quantization` in `hf_quant_config.json`.
pub(crate) fn side(dir: &Path, change: impl FnOnce(&mut Value)) {
    edit_json(&dir.join("hf_quant_config.json"), |c| change(&mut c["quantization"]));
}

/// Changes the map of the index.
pub(crate) fn index(dir: &Path, change: impl FnOnce(&mut BTreeMap<String, String>)) {
    let mut index = Index::read(&dir.join(INDEX)).unwrap();
    change(&mut index.weight_map);
    fs::write(dir.join(INDEX), index.to_bytes()).unwrap();
}

/// The file that has this tensor.
pub(crate) fn shard_of(dir: &Path, name: &str) -> PathBuf {
    Checkpoint::open(dir).unwrap().tensor(name).unwrap().file.path().to_owned()
}

fn look(dir: &Path, against: Option<&Path>) -> Verification {
    let mut options = VerifyOptions::default();
    options.jobs = 2;
    options.against = against.map(Path::to_owned);
    verify(dir, &options, &()).unwrap()
}

/// The codes that are found; a convention that is not read may be told besides of files that no writer of ours made.
fn codes(found: &Verification, base: Base) -> BTreeSet<&'static str> {
    let codes = found.findings.iter().map(|f| f.code);
    codes.filter(|code| base != Base::Gptq || *code != "LB-C10").collect()
}

fn copy(from: &Path, to: &Path) {
    for file in fs::read_dir(from).unwrap().flatten() {
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[test]
fn every_fault_is_found_and_nothing_else() {
    let mut bases: BTreeMap<Base, (tempfile::TempDir, tempfile::TempDir)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for fault in FAULTS {
        let (good, original) = bases.entry(fault.base).or_insert_with(|| {
            let (good, original) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            write_base(fault.base, good.path(), original.path());
            (good, original)
        });
        let against = fault.code.starts_with("LB-A").then_some(original.path());
        let before = look(good.path(), against);
        assert!(codes(&before, fault.base).is_empty(), "{:?}: {:#?}", fault.base, before.findings);
        let bad = tempfile::tempdir().unwrap();
        copy(good.path(), bad.path());
        (fault.plant)(bad.path());
        let found = look(bad.path(), against);
        let row = CHECKS.iter().find(|check| check.code == fault.code).unwrap();
        let severity = if found.errors > 0 { Severity::Error } else { Severity::Warning };
        let base = if fault.code == "LB-C10" { Base::Original } else { fault.base };
        if codes(&found, base) != BTreeSet::from([fault.code]) || severity != row.severity {
            let said: Vec<_> =
                found.findings.iter().map(|f| format!("{} {:?} {}", f.code, f.tensor, f.detail)).collect();
            wrong.push(format!("{} {}: {said:#?}", fault.code, fault.what));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), FAULTS.len(), wrong.join("\n"));
    assert!(FAULTS.len() >= 25);
}

#[test]
fn every_check_is_planted_once_at_least_and_codes_are_in_order() {
    let planted: BTreeSet<_> = FAULTS.iter().map(|fault| fault.code).collect();
    let known: BTreeSet<_> = CHECKS.iter().map(|check| check.code).collect();
    assert_eq!(planted, known);
    assert_eq!(known.len(), CHECKS.len(), "a code is there twice");
    let names: BTreeSet<_> = CHECKS.iter().map(|check| check.name).collect();
    assert_eq!(names.len(), CHECKS.len(), "a name is there twice");
}

#[test]
fn whatever_is_written_is_good_also_beside_its_original() {
    let original = tempfile::tempdir().unwrap();
    write_original(original.path());
    assert_eq!(look(original.path(), None).findings, []);
    let mut written = 0;
    for &layout in LAYOUTS.iter().filter(|layout| !layout.needs_stacks(Orientation::OutIn)) {
        for format in formats() {
            for way in layout.carries(&format).into_iter().filter(|w| w.activations != Activations::Static) {
                let out = tempfile::tempdir().unwrap();
                plan(original.path(), out.path(), |job| {
                    (job.format, job.layout, job.activations) = (format, layout, Some(way.activations));
                })
                .run(&())
                .unwrap();
                let found = look(out.path(), Some(original.path()));
                assert_eq!(found.findings, [], "{format} in {}", layout.name());
                assert!(found.linears == 13 && found.layout == Some(layout.name()));
                written += 1;
            }
        }
    }
    assert!(written > formats().len() + 25, "{written}");
}

#[test]
fn what_is_legal_is_not_told() {
    type Change = fn(&Path);
    const O: &str = "model.layers.0.self_attn.o_proj";
    let legal: [(&str, &str, &Layout, Change); 4] = [
        ("int4-g128", "a negative scale of an integer group", layout::COMPRESSED_TENSORS, |dir| {
            tensor(dir, &format!("{O}.weight_scale"), |t| t.3[1] ^= 0x80);
        }),
        ("nvfp4", "a zero scale over zeros", layout::COMPRESSED_TENSORS, |dir| {
            tensor(dir, &format!("{O}.weight_packed"), |t| {
                t.3[..8].copy_from_slice(&[0, 8, 0x80, 0x88, 0, 0, 0, 0])
            });
            tensor(dir, &format!("{O}.weight_scale"), |t| t.3[0] = 0);
        }),
        ("nf4", "an absmax of zero over any codes", layout::PLAIN, |dir| {
            tensor(dir, &format!("{O}.weight.scales"), |t| t.3[..4].fill(0));
        }),
        ("fp8", "a scale of exactly one", layout::PLAIN, |dir| {
            tensor(dir, &format!("{O}.weight.scales"), |t| t.3[..4].copy_from_slice(&1f32.to_le_bytes()));
        }),
    ];
    let original = tempfile::tempdir().unwrap();
    write_original(original.path());
    for (format, what, layout, change) in legal {
        let out = tempfile::tempdir().unwrap();
        let format = Format::named(format).unwrap();
        plan(original.path(), out.path(), |job| (job.format, job.layout) = (format, layout))
            .run(&())
            .unwrap();
        change(out.path());
        assert_eq!(look(out.path(), None).findings, [], "{what}");
    }
}

#[test]
fn of_checkpoints_that_other_tools_made_only_what_is_true_is_told() {
    let (mut readable, mut untrue) = (0, Vec::new());
    for folder in ["zoo", "made"] {
        for entry in fs::read_dir(testdata("layouts").join(folder)).unwrap().flatten() {
            let (dir, name) = (entry.path(), entry.file_name().into_string().unwrap());
            let want: &[&str] = match name.as_str() {
                // Made so: v2 zeros under the name of v1, and two formats in one fused layer.
                _ if name.starts_with("gptq-v1-holds-v2") => &["LB-Z02"],
                "ct-mixed" => &["LB-M02"],
                // These tools divide a row of zeros by its scale of zero, and store what comes out.
                "torchao-float8-dynamic"
                | "torchao-float8-row"
                | "quanto-qfloat8"
                | "quanto-qfloat8-e5m2" => &["LB-S03", "LB-V02"],
                // Made with every exponent that a byte can say.
                "gpt-oss" => &["LB-S06"],
                _ => &[],
            };
            let reads = Checkpoint::open(&dir).is_ok_and(|checkpoint| layout::read(&checkpoint).is_ok());
            readable += usize::from(reads);
            // Layers of forms that are not read are told to be just that.
            let unread = ["LB-C10", "LB-C02", "LB-T03", "LB-T07", "LB-T08"];
            let found = look(&dir, None);
            let codes: BTreeSet<&str> = found.findings.iter().map(|f| f.code).collect();
            let left: Vec<&str> = codes
                .into_iter()
                .filter(|code| reads || want.contains(code) || !unread.contains(code))
                .collect();
            if left != want {
                untrue.push(format!("{name}: {:#?}", found.findings));
            }
        }
    }
    assert!(untrue.is_empty(), "{}", untrue.join("\n"));
    assert!(readable > 60, "{readable}");
}

#[test]
fn a_finding_says_where_how_much_and_what_to_do() {
    let (dir, original) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_base(Base::Nvfp4, dir.path(), original.path());
    let name = "model.layers.0.self_attn.o_proj.weight_scale";
    tensor(dir.path(), name, |t| t.3[8 * 3 + 2..][..2].fill(0x7f));
    let found = serde_json::to_value(look(dir.path(), None)).unwrap();
    assert_eq!(
        (&found["errors"], &found["warnings"], &found["layout"]),
        (&json!(1), &json!(0), &json!("compressed-tensors"))
    );
    let finding = &found["findings"][0];
    let check = CHECKS.iter().find(|check| check.code == "LB-S01").unwrap();
    let want = json!({
        "code": "LB-S01",
        "name": "scale-nan",
        "severity": "error",
        "file": "model.safetensors",
        "tensor": name,
        "detail": "2 scales are NaN, first at block 2 of row 3 (NaN)",
        "numbers": {"count": 2, "first": 26, "of": 1024},
        "explanation": check.explanation,
        "fix": check.fix,
    });
    assert_eq!(*finding, want);
}

#[test]
fn results_do_not_depend_on_threads() {
    let (dir, original) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_base(Base::Fp8Block, dir.path(), original.path());
    edit(dir.path(), |tensors| {
        tensors.iter_mut().for_each(|t| t.3.iter_mut().step_by(97).for_each(|b| *b = 0xff))
    });
    let with = |jobs| {
        let mut options = VerifyOptions::default();
        options.jobs = jobs;
        verify(dir.path(), &options, &()).unwrap().findings
    };
    assert!(with(1).len() > 10);
    assert_eq!(with(1), with(7));
}

#[test]
fn no_file_makes_it_panic() {
    let mut state = 1u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let (dir, original) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let names = ["model.safetensors", "config.json", "hf_quant_config.json"];
    for base in [Base::Nvfp4, Base::Int4Asym, Base::ModelOptInt4, Base::Plain, Base::Gptq] {
        let good = tempfile::tempdir().unwrap();
        write_base(base, good.path(), original.path());
        for round in 0..60 {
            copy(good.path(), dir.path());
            let path = dir.path().join(names[round % 3]);
            let Ok(mut bytes) = fs::read(&path) else { continue };
            match round % 4 {
                0 => bytes.truncate(random(bytes.len())),
                // The header is where a byte does most.
                1 => (0..3).for_each(|_| {
                    let at = random(bytes.len().min(4000));
                    bytes[at] = random(256) as u8;
                }),
                2 => (0..100).for_each(|_| {
                    let at = random(bytes.len());
                    bytes[at] = random(256) as u8;
                }),
                // Digits of shapes, offsets and options.
                _ => bytes.iter_mut().take(20_000).filter(|b| b.is_ascii_digit()).for_each(|b| {
                    if random(40) == 0 {
                        *b = b'0' + random(10) as u8;
                    }
                }),
            }
            fs::write(&path, bytes).unwrap();
            let mut options = VerifyOptions::default();
            options.jobs = 1;
            options.against = (round % 5 == 0).then(|| original.path().to_owned());
            // An answer of either kind will do.
            let _ = verify(dir.path(), &options, &());
        }
        for file in fs::read_dir(dir.path()).unwrap().flatten() {
            fs::remove_file(file.path()).unwrap();
        }
    }
}

/// The table of `docs/checkpoints.md`.
fn table() -> String {
    let rows = CHECKS.iter().map(|check| {
        let severity = if check.severity == Severity::Error { "error" } else { "warning" };
        format!("| {} | {} | {severity} | {} | {} |\n", check.code, check.name, check.explanation, check.fix)
    });
    "| code | name | severity | what it means | what to do |\n|---|---|---|---|---|\n".to_owned()
        + &rows.collect::<String>()
}

#[test]
fn every_code_is_documented() {
    let path = testdata("../docs/checkpoints.md");
    let text = fs::read_to_string(&path).unwrap();
    let start = text.find("## What verify finds").expect("the section");
    let begin = start + text[start..].find("| code |").expect("the table");
    let end = begin + text[begin..].find("\n\n").map_or(text.len() - begin, |at| at + 1);
    if std::env::var_os("LOWBIT_WRITE_DOCS").is_some() {
        fs::write(&path, format!("{}{}{}", &text[..begin], table(), &text[end..])).unwrap();
        return;
    }
    assert_eq!(text[begin..end], table(), "LOWBIT_WRITE_DOCS=1 writes it");
}
