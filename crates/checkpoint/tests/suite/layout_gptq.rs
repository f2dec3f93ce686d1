//! GPTQ: files of GPTQModel and AutoRound, bytes by hand, what is written, and files that lie.

use crate::digests::{assert_digests, decoded, digest, folders};
use crate::model::{
    Tensor, austen, error, llama, llama_config, plan, testdata, weights, write_llama, write_model,
};
use half::{bf16, f16};
use lowbit_blocks::{Dtype as Float, Format, ScaleKind};
use lowbit_calib::Activations;
use lowbit_checkpoint::layout::{self, Holds, Layout, Packing, Quantized, QuantizedModule, Scheme};
use lowbit_checkpoint::safetensors::Dtype;
use lowbit_checkpoint::{Checkpoint, ConvertJob};
use serde_json::{Value, json};
use std::path::Path;

#[test]
fn what_gptqmodel_writes_decodes_to_what_it_decodes() {
    let folders = folders("gptq-");
    for folder in &folders {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let (checkpoint, reading) = assert_digests(folder);
        let want = match &name {
            name if name.contains("-v2-w") && !name.contains("holds") => "gptq-v2",
            name if name.contains("planar") => "gptq-p",
            _ => "gptq",
        };
        assert_eq!(reading.layout.name(), want, "{name}");
        for stored in &reading.linears {
            if name.contains("v1-holds-v2") {
                // Read by the values: the constant is that of version 2.
                let zeros = stored.parts.iter().find(|part| part.name.ends_with(".qzeros")).unwrap();
                let Holds::Repeated(words) = &zeros.holds else { panic!("{name}: {zeros:?}") };
                assert!([0xaa, 0x88, 0x80, 0x24].contains(&words[0]), "{name}: {words:?}");
            }
            assert_eq!(stored.groups.is_some(), name.contains("act-order"), "{name}");
            assert_eq!(stored.perm(&checkpoint).unwrap().is_some(), name.contains("act-order"), "{name}");
        }
    }
    assert!(folders.len() >= 30, "{}", folders.len());
}

#[test]
fn what_autoround_writes_decodes_to_what_it_decodes() {
    let folders = folders("autoround-");
    for folder in &folders {
        let name = folder.file_name().unwrap().to_str().unwrap();
        if name == "autoround-gptq-asym" {
            continue;
        }
        let (_, reading) = assert_digests(folder);
        let want = if name.contains("llmc") { "compressed-tensors" } else { "auto-round" };
        assert_eq!(reading.layout.name(), want, "{name}");
    }
    assert!(folders.len() >= 14, "{}", folders.len());
    let (_, reading) = assert_digests(&testdata("layouts/zoo/autoround-w4g128"));
    for stored in &reading.linears {
        assert_eq!(stored.format, Format::named("int4-g128").unwrap().with_scale(ScaleKind::F16));
        assert!(stored.parts.iter().any(|p| p.holds == Holds::Repeated(vec![0x77; 4])));
        // Left out by AutoRound, where it says nothing.
        assert!(!stored.parts.iter().any(|p| p.holds == Holds::Groups));
    }
}

#[test]
fn zero_points_of_0_that_autoround_wrote_as_version_1_are_what_was_meant() {
    // AutoRound subtracts from words and adds to fields, so that it misreads its own file; these are the same weights, packed without that.
    let (dir, made) = (tempfile::tempdir().unwrap(), testdata("layouts/made"));
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(made.join("autoround-gptq-asym").join(file), dir.path().join(file)).unwrap();
    }
    for same in ["autoround-awq-asym", "autoround-gptqmodel-asym"] {
        std::fs::copy(made.join(same).join("values.json"), dir.path().join("values.json")).unwrap();
        assert_digests(dir.path());
    }
}

#[test]
fn autorounds_label_on_tensors_of_compressed_tensors_is_translated() {
    for (name, q) in [
        (
            "autoround-llmc-mxfp4",
            json!({"bits": 4, "data_type": "mx_fp", "act_bits": 4, "act_data_type": "mx_fp_rceil"}),
        ),
        ("autoround-llmc-mxfp8", json!({"bits": 8, "data_type": "mx_fp"})),
        ("autoround-llmc-w4", json!({"bits": 4, "data_type": "int"})),
        // What differs is in extra_config: by name, and by an expression.
        (
            "autoround-llmc-w4",
            json!({"bits": 8, "extra_config": {"model.layers.0.mlp.down_proj": {"bits": 4}, ".*k_proj$": {"bits": 4}}}),
        ),
    ] {
        let from = testdata(&format!("layouts/made/{name}"));
        let dir = tempfile::tempdir().unwrap();
        for file in ["model.safetensors", "values.json"] {
            std::fs::copy(from.join(file), dir.path().join(file)).unwrap();
        }
        let mut config = json!({"dtype": "bfloat16"});
        config["quantization_config"] = q;
        config["quantization_config"]["quant_method"] = json!("auto-round");
        config["quantization_config"]["packing_format"] = json!("auto_round:llm_compressor");
        config["quantization_config"]["group_size"] = json!(32);
        std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        let (_, reading) = assert_digests(dir.path());
        assert_eq!(reading.layout.name(), "auto-round");
        let dynamic = reading.linears.iter().all(|stored| stored.activations == Activations::Dynamic);
        assert_eq!(dynamic, config["quantization_config"].get("act_bits").is_some(), "{name}");
    }
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn halves(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect()
}

fn config(changes: &Value) -> Value {
    let mut q = json!({"quant_method": "gptq", "bits": 4, "group_size": 8, "sym": true, "desc_act": true});
    changes.as_object().unwrap().iter().for_each(|(key, value)| q[key] = value.clone());
    json!({"dtype": "float16", "quantization_config": q})
}

/// Eight rows of sixteen columns, two groups of eight that take turns.
fn by_hand(zeros: u32) -> Vec<Tensor> {
    let codes: Vec<u32> = [[0x7654_3210; 8], [0xfedc_ba98; 8]].concat();
    let scales = [[1.0; 8], [2.0; 8]].concat();
    let groups: Vec<u32> = (0..16).map(|column| column % 2).collect();
    let tensor =
        |suffix: &str, dtype, shape: &[usize], bytes| (format!("a.{suffix}"), dtype, shape.to_vec(), bytes);
    vec![
        tensor("qweight", Dtype::I32, &[2, 8], words(&codes)),
        tensor("qzeros", Dtype::I32, &[2, 1], words(&[zeros; 2])),
        tensor("scales", Dtype::F16, &[2, 8], halves(&scales)),
        tensor("g_idx", Dtype::I32, &[16], words(&groups)),
    ]
}

fn first_row(config: &Value, tensors: Vec<Tensor>) -> (Vec<f32>, String) {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), config.clone(), tensors);
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let reading = layout::read(&checkpoint).unwrap().unwrap();
    let [stored] = &reading.linears[..] else { panic!("{reading:?}") };
    (decoded(&checkpoint, stored)[..16].to_vec(), stored.format.name())
}

#[test]
fn columns_take_their_groups_by_g_idx_and_zero_points_are_less_one() {
    // Column k has code k; odd columns have scale 2.
    let around =
        |zero: f32| (0..16).map(|k| (k as f32 - zero) * if k % 2 == 0 { 1.0 } else { 2.0 }).collect();
    let one = config(&json!({}));
    assert_eq!(first_row(&one, by_hand(0x7777_7777)), (around(8.0), "int4-g8".into()));
    // The configuration says symmetric and version 1, the values say version 2.
    assert_eq!(first_row(&one, by_hand(0x8888_8888)), (around(8.0), "int4-g8".into()));
    let asymmetric = config(&json!({"sym": false}));
    assert_eq!(first_row(&asymmetric, by_hand(0x8888_8888)), (around(9.0), "int4-g8-asym".into()));
    let two = config(&json!({"checkpoint_format": "gptq_v2", "sym": false}));
    assert_eq!(first_row(&two, by_hand(0x8888_8888)), (around(8.0), "int4-g8".into()));
    assert_eq!(first_row(&two, by_hand(0x1111_1110)).0, around(0.0));
    // A zero point of 0 borrowed from the field above it, where tools subtract from whole words.
    let borrowed = 0x1111_1110_u32.wrapping_sub(0x1111_1111);
    assert_eq!(first_row(&asymmetric, by_hand(borrowed)).0, around(0.0));
}

#[test]
fn the_configuration_may_lie_in_either_file_of_its_own() {
    let names = [
        ("quantize_config.json", json!({"bits": 4, "group_size": 8, "desc_act": true})),
        ("quant_config.json", json!({"quant_method": "gptq", "w_bit": 4, "q_group_size": 8})),
    ];
    for (file, text) in names {
        let dir = tempfile::tempdir().unwrap();
        write_model(dir.path(), json!({}), by_hand(0x7777_7777));
        let open = || layout::read(&Checkpoint::open(dir.path()).unwrap());
        let error = open().unwrap_err().to_string();
        assert!(error.contains("gptq or awq"), "{error}");
        std::fs::write(dir.path().join(file), text.to_string()).unwrap();
        assert_eq!(open().unwrap().unwrap().linears[0].format.name(), "int4-g8", "{file}");
        std::fs::write(dir.path().join(file), "[1]").unwrap();
        assert!(open().unwrap_err().to_string().contains(&format!("{file}: not a JSON object")));
    }
}

#[test]
fn files_that_lie_are_refused() {
    let refused = |config: Value, tensors: Vec<Tensor>, want: &str| {
        let dir = tempfile::tempdir().unwrap();
        write_model(dir.path(), config, tensors);
        let read = Checkpoint::open(dir.path()).map_err(layout::Error::from).and_then(|checkpoint| {
            let reading = layout::read(&checkpoint)?.unwrap();
            reading.linears.iter().try_for_each(|stored| stored.read(&checkpoint).map(drop))
        });
        let error = read.unwrap_err().to_string();
        assert!(error.contains(want), "{error}, not {want}");
    };
    for (changes, want) in [
        (json!({"bits": 9}), "config.json: quantization_config: bits of a is 9"),
        (json!({"bits": null}), "bits of a is absent"),
        (json!({"bits": 5}), "5 bits in planes only"),
        (json!({"bits": 8}), "a.qweight"),
        (json!({"group_size": "all"}), "group_size of a is \"all\""),
        (json!({"group_size": 4}), "a.qzeros"),
        (json!({"group_size": 0, "sym": false}), "a.qzeros"),
        (
            json!({"checkpoint_format": "marlin"}),
            "quantized with gptq in the format marlin, which is not read",
        ),
        (json!({"checkpoint_format": "gptq_p"}), "8 rows of 16: planes are of 32 codes"),
        (json!({"dynamic": {"-:a": {}}}), "the configuration says that it is not quantized"),
        (json!({"dynamic": {"+:(": {}}}), "pattern `re:(`"),
        (json!({"group_size": 16}), "a.qzeros"),
    ] {
        refused(config(&changes), by_hand(0x7777_7777), want);
    }
    let change = |at: usize, change: &dyn Fn(&mut Tensor)| {
        let mut tensors = by_hand(0x7777_7777);
        change(&mut tensors[at]);
        tensors
    };
    let far = |tensor: &mut Tensor| tensor.3[0] = 2;
    refused(config(&json!({})), change(3, &far), "column 0 is in group 2; there are 2 groups of 8");
    let full = |tensor: &mut Tensor| tensor.3[4] = 0;
    refused(config(&json!({})), change(3, &full), "group 0 has more than its 8 columns, column 14 first");
    let floats = |tensor: &mut Tensor| (tensor.1, tensor.2) = (Dtype::F16, vec![32]);
    refused(config(&json!({})), change(3, &floats), "a.g_idx");
    let long = |tensor: &mut Tensor| tensor.2 = vec![1, 16];
    refused(config(&json!({})), change(0, &long), "a.qweight");
    let flat = |tensor: &mut Tensor| tensor.2 = vec![16];
    refused(config(&json!({})), change(0, &flat), "shape [16] is not a matrix");
    let none = |tensor: &mut Tensor| (tensor.2, tensor.3) = (vec![1 << 40, 0], Vec::new());
    refused(config(&json!({})), change(0, &none), "is not a matrix");
    let bytes = |tensor: &mut Tensor| (tensor.1, tensor.2) = (Dtype::I8, vec![2, 16]);
    refused(config(&json!({})), change(2, &bytes), "is I8, not F16");
    for missing in 0..3 {
        let mut tensors = by_hand(0x7777_7777);
        let name = tensors.remove(missing).0;
        if missing > 0 {
            refused(config(&json!({})), tensors, &format!("there is no tensor `{name}`"));
        }
    }
}

#[test]
fn zero_points_of_0_are_refused_by_version_1_only() {
    let dir = tempfile::tempdir().unwrap();
    // Positive weights: the smallest is 0 of the range.
    let mut up = weights("model.layers.0.mlp.up_proj.weight", &[32, 64]);
    for value in up.3.as_chunks_mut().0 {
        *value = bf16::from_f32(bf16::from_le_bytes(*value).to_f32().abs()).to_le_bytes();
    }
    write_model(dir.path(), llama_config(), [llama(), vec![up]].concat());
    let out = tempfile::tempdir().unwrap();
    let format = Format::named("int4-g32-asym").unwrap();
    let said = error(dir.path(), out.path(), |job| (job.format, job.layout) = (format, layout::GPTQ));
    assert!(
        said.contains("model.layers.0.mlp.up_proj.weight") && said.contains("64 of 64 zero points are 0"),
        "{said}"
    );
    let out = tempfile::tempdir().unwrap();
    plan(dir.path(), out.path(), |job| (job.format, job.layout) = (format, layout::GPTQ_V2))
        .run(&())
        .unwrap();
    // A conversion is refused before anything is written.
    let to = tempfile::tempdir().unwrap();
    let refused = ConvertJob::new(out.path(), to.path(), layout::GPTQ).plan().unwrap_err().to_string();
    assert!(refused.contains("zero points are 0, which version 1 of GPTQ cannot say"), "{refused}");
}

#[test]
fn what_is_written_is_what_gptqmodel_loads() {
    // What `testdata/scripts/load_gptq.py` prints of the same checkpoints, loaded by GPTQModel 7.7.
    for (layout, format, want) in [
        (layout::GPTQ, "int4-g128", "e0cf622a1b639e25926cb2eac2c76334966ed83afc452a2070a4db5d3f60c2a6"),
        (layout::GPTQ, "int8-g32-asym", "61214f86d0b6a5e8f3b165cf38d2c8ce0edf60d69492febf7fa7bd6630daccb1"),
        (layout::GPTQ_V2, "int2-g32", "08d976ff41c88bd07800a7a7e2225c352903ddcc4af455064f797d88f1a38b80"),
        (
            layout::GPTQ_V2,
            "int3-g64-asym",
            "3f727186c489badb8a7ec520bb3b715752971b7a866d27c96b7118398abb6add",
        ),
        (layout::AWQ, "int4-g64-asym", "9450abd8c9693453172c2c5d86285fc0135ad7bce21d1159b173a57879a4cd63"),
    ] {
        let out = tempfile::tempdir().unwrap();
        let format = Format::named(format).unwrap();
        plan(&austen(), out.path(), |job| (job.format, job.layout) = (format, layout)).run(&()).unwrap();
        let checkpoint = Checkpoint::open(out.path()).unwrap();
        let reading = layout::read(&checkpoint).unwrap().unwrap();
        assert_eq!(reading.linears.len(), 21);
        let values: Vec<f32> =
            reading.linears.iter().flat_map(|stored| decoded(&checkpoint, stored)).collect();
        assert_eq!(digest(&values, "float16"), want, "{format} in {}", layout.name());
    }
}

/// The tensors of a directory: name, shape, bytes.
fn tensors(dir: &Path) -> Vec<(String, Vec<usize>, Vec<u8>)> {
    let checkpoint = Checkpoint::open(dir).unwrap();
    let of = |t: lowbit_checkpoint::Tensor<'_>| {
        (t.entry.name.clone(), t.entry.shape.clone(), t.read_all().unwrap())
    };
    checkpoint.tensors().map(of).collect()
}

#[test]
fn from_one_version_to_another_and_through_awq_every_byte_comes_back() {
    for (name, through) in [
        ("v1-w2-asym", vec![layout::GPTQ_V2, layout::PLAIN, layout::GPTQ]),
        ("v1-w3-asym", vec![layout::GPTQ_V2, layout::PLAIN, layout::GPTQ]),
        ("v1-w8-asym", vec![layout::PLAIN, layout::GPTQ_V2, layout::GPTQ]),
        ("v1-w4-act-order", vec![layout::GPTQ_V2, layout::GPTQ]),
        ("v1-w4-asym", vec![layout::AWQ, layout::GPTQ_V2, layout::GPTQ]),
        ("v1-w4-sym", vec![layout::GPTQ_V2, layout::AWQ, layout::PLAIN, layout::GPTQ]),
        ("v2-w4-zero0", vec![layout::AWQ, layout::GPTQ_V2]),
        ("v2-w3-sym", vec![layout::GPTQ, layout::GPTQ_V2]),
        ("v1-holds-v2-w4", vec![layout::GPTQ_V2]),
    ] {
        let first = testdata(&format!("layouts/made/gptq-{name}"));
        let mut from = first.clone();
        let mut steps = Vec::new();
        for layout in through {
            let to = tempfile::tempdir().unwrap();
            let mut job = ConvertJob::new(&from, to.path(), layout);
            (job.settings.jobs, job.exact_only) = (1, true);
            let report = job.plan().unwrap().run(&()).unwrap();
            assert!(report.conversions.iter().all(|c| c.exact), "{name}: {:?}", report.conversions);
            from = to.path().to_owned();
            steps.push(to);
        }
        let (was, is) = (tensors(&first), tensors(&from));
        for (was, is) in was.iter().zip(&is) {
            assert_eq!((&was.0, &was.1), (&is.0, &is.1), "{name}");
            assert!(was.2 == is.2, "{name}: {}", was.0);
        }
        assert_eq!(was.len(), is.len(), "{name}");
    }
}

#[test]
fn linears_that_words_do_not_divide_are_left_to_the_user() {
    let dir = tempfile::tempdir().unwrap();
    let up = weights("model.layers.0.mlp.up_proj.weight", &[36, 64]);
    write_model(dir.path(), llama_config(), [llama(), vec![up]].concat());
    let out = tempfile::tempdir().unwrap();
    let format = Format::named("int4-g32").unwrap();
    let said = error(dir.path(), out.path(), |job| (job.format, job.layout) = (format, layout::GPTQ));
    assert!(said.contains("36 rows of 64: GPTQ packs 32 of each together; leave it out"), "{said}");
}

/// What `configure` says of these modules.
fn configured(layout: &Layout, modules: &[(&str, &str, bool)], kept: &[&str]) -> Value {
    let module = |(name, format, permuted): &(&str, &str, bool)| QuantizedModule {
        name: (*name).to_owned(),
        scheme: Scheme { format: Format::named(format).unwrap(), activations: Activations::None },
        permuted: *permuted,
        smoothed: false,
    };
    let modules: Vec<_> = modules.iter().map(module).collect();
    let kept: Vec<String> = kept.iter().map(|name| (*name).to_owned()).collect();
    let quantized = Quantized {
        modules: &modules,
        kept: &kept,
        embeddings: &[],
        cache: false,
        dtype: Float::Bf16,
        source: None,
    };
    let files = layout.configure(&quantized, llama_config().as_object().unwrap());
    let (name, config) = files.last().unwrap();
    assert_eq!(name, "config.json");
    let config: Value = serde_json::from_slice(config).unwrap();
    for (name, side) in &files[..files.len() - 1] {
        assert_eq!(name, "quantize_config.json");
        assert_eq!(serde_json::from_slice::<Value>(side).unwrap(), config["quantization_config"]);
    }
    config["quantization_config"].clone()
}

#[test]
fn what_differs_between_modules_is_dynamic() {
    let modules =
        [("m.0.a", "int4-g32", false), ("m.0.b", "int8-channel-asym", true), ("m.1.a", "int4-g32", false)];
    let config = configured(layout::GPTQ_V2, &modules, &["lm_head", "m.0.c"]);
    let dynamic = json!({
        r"-:^m\.0\.c$": {},
        r"+:^m\.0\.b$": {"bits": 8, "group_size": -1, "sym": false},
    });
    assert_eq!(config["dynamic"], dynamic);
    for (key, want) in [
        ("bits", json!(4)),
        ("group_size", json!(32)),
        ("sym", json!(true)),
        ("desc_act", json!(true)),
        ("lm_head", json!(false)),
        ("quant_method", json!("gptq")),
        ("checkpoint_format", json!("gptq_v2")),
        ("format", json!("gptq_v2")),
    ] {
        assert_eq!(config[key], want, "{key}");
    }
    assert!(configured(layout::GPTQ, &modules[..1], &["lm_head"]).get("dynamic").is_none());
}

#[test]
fn dynamic_rules_are_read_negative_ones_first() {
    // Two written checkpoints, linears of the one in the other: formats mixed by hand.
    let (dir, four, eight) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_llama(dir.path());
    for (out, format) in [(&four, "int4-g32"), (&eight, "int8-g64-asym")] {
        let format = Format::named(format).unwrap();
        plan(dir.path(), out.path(), |job| (job.format, job.layout) = (format, layout::GPTQ))
            .run(&())
            .unwrap();
    }
    let tensors = |dir: &Path, of: &str, not: bool| {
        let checkpoint = Checkpoint::open(dir).unwrap();
        let mine = checkpoint.tensors().filter(|t| t.entry.name.contains(of) != not);
        let copy = |t: lowbit_checkpoint::Tensor<'_>| {
            (t.entry.name.clone(), t.entry.dtype, t.entry.shape.clone(), t.read_all().unwrap())
        };
        mine.map(copy).collect::<Vec<Tensor>>()
    };
    let mixed = tempfile::tempdir().unwrap();
    let all = [tensors(four.path(), "down_proj", true), tensors(eight.path(), "down_proj", false)].concat();
    let rules = json!({
        r"+:.*down_proj": {"bits": 8, "group_size": 64, "sym": false},
        r"model\.layers\.0\.mlp": {"bits": 2},
        r"-:.*up_proj": {},
    });
    let mut config = config(&json!({"dynamic": rules, "group_size": 32}));
    config["dtype"] = json!("bfloat16");
    write_model(mixed.path(), config, all);
    let checkpoint = Checkpoint::open(mixed.path()).unwrap();
    let reading = layout::read(&checkpoint).unwrap().unwrap();
    let formats: Vec<_> = reading.linears.iter().map(|l| l.format.name()).collect();
    assert_eq!(formats, ["int8-g64-asym", "int4-g32", "int4-g32"]);
    for (stored, from) in reading.linears.iter().zip([&eight, &four, &four]) {
        let original = Checkpoint::open(from.path()).unwrap();
        let reading = layout::read(&original).unwrap().unwrap();
        let same = reading.linears.iter().find(|l| l.linear.module == stored.linear.module).unwrap();
        assert_eq!(stored.read(&checkpoint).unwrap(), same.read(&original).unwrap());
    }
}

#[test]
fn packings_are_those_of_the_tools() {
    // Zero points 8 in three bits of 4: db6db6db b6db6db6 6db6db6d as version 1, 24924924 49249249 92492492 as version 2.
    for (less_one, want) in [
        (true, [0xdb6d_b6db, 0xb6db_6db6, 0x6db6_db6d_u32]),
        (false, [0x2492_4924, 0x4924_9249, 0x9249_2492]),
    ] {
        let mut file = [0; 12];
        Packing::Columns { bits: 3, less_one }.pack(32, 1, &[4; 32], &mut file);
        assert_eq!(file.to_vec(), words(&want), "{less_one}");
    }
    // The codes i % 8 across: three words.
    let memory: Vec<u8> = [[0x88, 0xc6, 0xfa]; 4].concat();
    let mut file = [0; 12];
    Packing::Across { bits: 3, signed: false }.pack(1, 32, &memory, &mut file);
    assert_eq!(file.to_vec(), words(&[0x88fa_c688, 0xc688_fac6, 0xfac6_88fa]));
}
