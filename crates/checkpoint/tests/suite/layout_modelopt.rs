//! ModelOpt: files of its own, read with and without their configurations, bytes by hand, and files that lie.

use crate::digests::{assert_digests, assert_said_again, decoded, folders, tensors};
use crate::model::{Tensor, plan, testdata, write_llama, write_model};
use lowbit_blocks::{Block, FP8, FP8_CHANNEL, Format, INT8, MXFP4, MXFP8, NVFP4, ScaleKind, Shape};
use lowbit_calib::Activations;
use lowbit_checkpoint::layout::{
    self, COMPRESSED_TENSORS, Cache, CacheNumber, ExtraKind, Holds, Layout, Linear, MODELOPT, Quantized,
    QuantizedModule, Reading, Scheme,
};
use lowbit_checkpoint::safetensors::Dtype;
use lowbit_checkpoint::{Checkpoint, ConvertJob};
use serde_json::{Map, Value, json};
use std::path::Path;

#[test]
fn what_modelopt_writes_decodes_to_what_it_decodes() {
    let folders = folders("modelopt-");
    for folder in &folders {
        let (_, reading) = assert_digests(folder);
        assert_eq!(reading.layout.name(), "modelopt");
    }
    assert!(folders.len() >= 20, "{folders:?}");
}

#[test]
fn what_it_says_of_modules_is_said_again() {
    // Rows of a stack that became one scale for each expert are called what nothing else is, and are not written.
    for folder in folders("modelopt-").iter().filter(|folder| !folder.ends_with("modelopt-llama4-fp8-pcpt")) {
        assert!(assert_said_again(folder));
    }
}

#[test]
fn tensors_tell_what_they_are_where_no_configuration_does() {
    for folder in folders("modelopt-") {
        let checkpoint = Checkpoint::open(&folder).unwrap();
        let was = layout::read(&checkpoint).unwrap().unwrap();
        let mut config = checkpoint.config().unwrap().clone();
        let own = config.remove("quantization_config").unwrap();
        // Without both, and with the one in config.json alone.
        for own in [None, Some(own)] {
            // That activations are quantized without a scale of their own is said by the name alone.
            let silent = ["modelopt-w4a8-mxfp4-fp8", "modelopt-llama4-fp8-pcpt"];
            if own.is_none() && silent.iter().any(|name| folder.ends_with(name)) {
                continue;
            }
            let (dir, has_own) = (tempfile::tempdir().unwrap(), own.is_some());
            config.extend(own.map(|own| ("quantization_config".to_owned(), own)));
            write_model(dir.path(), config.clone().into(), tensors(&checkpoint));
            let again = Checkpoint::open(dir.path()).unwrap();
            let reading = layout::read(&again).unwrap().unwrap();
            assert_eq!(reading.layout.name(), "modelopt", "{}", folder.display());
            for (stored, was) in reading.linears.iter().zip(&was.linears) {
                assert_eq!(format!("{stored:?}"), format!("{was:?}"), "{} {has_own}", folder.display());
            }
            assert_eq!(reading.linears.len(), was.linears.len());
        }
    }
}

fn tensor(name: &str, dtype: Dtype, shape: &[usize], bytes: Vec<u8>) -> Tensor {
    (name.into(), dtype, shape.to_vec(), bytes)
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// A checkpoint of these tensors under this configuration, read.
fn read(dir: &Path, quantization: Value, all: Vec<Tensor>) -> Result<(Checkpoint, Reading), String> {
    let mut quantization = quantization;
    quantization["quant_method"] = "modelopt".into();
    write_model(dir, json!({"quantization_config": quantization, "dtype": "bfloat16"}), all);
    let checkpoint = Checkpoint::open(dir).unwrap();
    let reading = layout::read(&checkpoint).map_err(|e| e.to_string())?.unwrap();
    Ok((checkpoint, reading))
}

#[test]
fn int4_with_a_second_stage_is_read_as_its_first_and_keeps_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let all = vec![
        // Rows 1, 2, -1, -2 and 3, 4, 5, 6.
        tensor("a.weight", Dtype::U8, &[1, 4], vec![0x31, 0x42, 0x5f, 0x6e]),
        tensor("a.weight_scale", Dtype::F32, &[2, 2], floats(&[1.0, 2.0, 0.5, 4.0])),
        tensor("a.weight_scale_2", Dtype::F32, &[], floats(&[24.0 / 448.0])),
        tensor("a.input_scale", Dtype::F32, &[], floats(&[0.25])),
        tensor("a.pre_quant_scale", Dtype::BF16, &[4], [0x80, 0x3f].repeat(4)),
    ];
    let algorithm = json!({"quant_algo": "W4A8_AWQ"});
    let (checkpoint, reading) = read(dir.path(), algorithm, all).unwrap();
    let stored = &reading.linears[0];
    assert_eq!(decoded(&checkpoint, stored), [1.0, 2.0, -2.0, -4.0, 1.5, 2.0, 20.0, 24.0]);
    assert_eq!((stored.activations, stored.extras[0].kind), (Activations::Static, ExtraKind::SecondStage));
    let linear = stored.read(&checkpoint).unwrap();
    assert_eq!((linear.input_scale, linear.pre_quant_scale.as_deref()), (Some(0.25), Some(&[1.0; 4][..])));

    // Written, the second stage is worked out of the first.
    let parts = MODELOPT.parts(&stored.linear, &stored.format, Activations::Static).unwrap();
    let made = parts.iter().find(|part| part.name == "a.weight_scale_2").unwrap();
    let Holds::Made(make) = made.holds else { panic!("{made:?}") };
    assert_eq!(make(&stored.linear, &linear, made), floats(&[24.0 / 448.0]));
    assert_eq!(MODELOPT.parts(&stored.linear, &stored.format, Activations::None).unwrap().len(), 2);
}

#[test]
fn stacks_pair_rows_within_their_matrices() {
    let dir = tempfile::tempdir().unwrap();
    let all = vec![
        tensor("a.weight", Dtype::U8, &[2, 1, 2], vec![0x31, 0x42, 0xf7, 0x08]),
        tensor("a.weight_scale", Dtype::F32, &[2, 2, 1], floats(&[1.0, 2.0, 3.0, 4.0])),
    ];
    let (checkpoint, reading) = read(dir.path(), json!({"quant_algo": "W4A16_AWQ"}), all).unwrap();
    let stored = &reading.linears[0];
    assert_eq!(stored.shape(), Shape { matrices: 2, rows: 2, cols: 2 });
    assert_eq!(decoded(&checkpoint, stored), [1.0, 2.0, 6.0, 8.0, 21.0, -24.0, -4.0, 0.0]);
}

#[test]
fn low_rank_factors_and_longer_blocks_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let linear = |module: &str| {
        vec![
            tensor(&format!("{module}.weight"), Dtype::U8, &[1, 16], vec![0x21; 16]),
            tensor(&format!("{module}.weight_scale"), Dtype::F8_E4M3, &[1, 1], vec![0x38]),
            tensor(&format!("{module}.weight_scale_2"), Dtype::F32, &[], floats(&[4.0])),
        ]
    };
    let mut all = [linear("a"), linear("b")].concat();
    all.push(tensor("a.weight_quantizer._svdquant_lora_a", Dtype::BF16, &[1, 32], vec![0; 64]));
    all.push(tensor("a.weight_quantizer._svdquant_lora_b", Dtype::BF16, &[1, 1], vec![0; 2]));
    let layers = json!({
        "a": {"quant_algo": "NVFP4_SVD", "group_size": 32},
        "b": {"quant_algo": "W4A8_NVFP4_FP8", "group_size": 32},
    });
    let config = json!({"quant_algo": "MIXED_PRECISION", "quantized_layers": layers});
    let (checkpoint, reading) = read(dir.path(), config, all).unwrap();
    let kinds: Vec<_> = reading.linears[0].extras.iter().map(|extra| extra.kind).collect();
    assert_eq!(kinds, [ExtraKind::LowRank, ExtraKind::LowRank]);
    for stored in &reading.linears {
        assert_eq!(stored.format, NVFP4.with_block(Block::Group(32)));
        assert_eq!(decoded(&checkpoint, stored), [2.0, 4.0].repeat(16));
    }
}

#[test]
fn scales_of_tiles_have_two_axes_or_four() {
    for shape in [&[2, 1, 1, 1][..], &[2, 1]] {
        let dir = tempfile::tempdir().unwrap();
        let all = vec![
            tensor("a.weight", Dtype::F8_E4M3, &[129, 2], vec![0x38; 258]),
            tensor("a.weight_scale", Dtype::F32, shape, floats(&[2.0, 3.0])),
        ];
        let (checkpoint, reading) = read(dir.path(), json!({"quant_algo": "FP8_PB_WO"}), all).unwrap();
        let values = decoded(&checkpoint, &reading.linears[0]);
        assert_eq!((values[255], values[256]), (2.0, 3.0));
    }
}

#[test]
fn several_algorithms_are_listed_layer_by_layer() {
    let module = |name: &str, format, activations, smoothed| QuantizedModule {
        name: name.into(),
        scheme: Scheme { format, activations },
        permuted: false,
        smoothed,
    };
    let int4 = Format::int(4, Block::Group(64)).with_scale(ScaleKind::F32);
    let nvfp4_32 = NVFP4.with_block(Block::Group(32));
    let modules = [
        module("m.a", FP8, Activations::Static, false),
        module("m.b", FP8, Activations::Static, false),
        module("m.c", NVFP4, Activations::Static, false),
        module("m.d", NVFP4, Activations::Static, true),
        module("m.e", nvfp4_32, Activations::Static, false),
        module("m.f", int4, Activations::None, false),
        module("m.g", int4, Activations::Static, true),
        module("m.h", INT8, Activations::Static, true),
        module("m.i", MXFP4, Activations::Static, false),
        module("m.j", MXFP4, Activations::None, false),
        module("m.k", MXFP8, Activations::Dynamic, false),
        module("m.l", FP8_CHANNEL, Activations::Dynamic, false),
        module("m.m", nvfp4_32, Activations::None, false),
    ];
    let kept = ["lm_head".to_owned()];
    let dtype = lowbit_blocks::Dtype::Bf16;
    let source = json!({"quant_method": "modelopt", "kv_cache_scheme": "NVFP4_AFFINE"});
    let quantized = Quantized {
        modules: &modules,
        kept: &kept,
        embeddings: &[],
        cache: true,
        dtype,
        source: source.as_object(),
    };
    let files = MODELOPT.configure(&quantized, &Map::new());
    let [side, config] = [0, 1].map(|at| serde_json::from_slice::<Value>(&files[at].1).unwrap());
    let (side, config) = (&side["quantization"], &config["quantization_config"]);
    assert_eq!(
        (&side["quant_algo"], &side["kv_cache_quant_algo"]),
        (&json!("MIXED_PRECISION"), &json!("NVFP4_AFFINE"))
    );
    assert!(side.get("exclude_modules").is_none() && config["ignore"] == json!([]));
    assert_eq!(side["quantized_layers"], config["quantized_layers"]);
    assert_eq!(config["kv_cache_scheme"], "NVFP4_AFFINE");
    let name = |module: &str| side["quantized_layers"][module]["quant_algo"].as_str().unwrap();
    let names: Vec<_> = modules.iter().map(|module| name(&module.name)).collect();
    let want = [
        "FP8",
        "FP8",
        "NVFP4",
        "NVFP4_AWQ",
        "W4A8_NVFP4_FP8",
        "W4A16_AWQ",
        "W4A8_AWQ",
        "W8A8_SQ_PER_CHANNEL",
        "W4A8_MXFP4_FP8",
        "mxfp4",
        "MXFP8",
        "FP8_PER_CHANNEL_PER_TOKEN",
        "W4A16_NVFP4",
    ];
    assert_eq!(names, want);
    assert_eq!(
        side["quantized_layers"]["m.g"],
        json!({"quant_algo": "W4A8_AWQ", "group_size": 64, "has_zero_point": false, "pre_quant_scale": true})
    );
    let fp8 = json!({"dynamic": false, "num_bits": 8, "type": "float"});
    let group = json!({"input_activations": fp8, "weights": fp8, "targets": ["m.a", "m.b"]});
    assert_eq!(config["config_groups"]["group_0"], group);
    assert_eq!(config["config_groups"]["group_8"], json!({"quant_algo": "mxfp4", "targets": ["m.j"]}));

    // One of them is stated once; FP8 caches in the words of config.json.
    let fp8_cache =
        json!({"quant_method": "compressed-tensors", "kv_cache_scheme": {"num_bits": 8, "type": "float"}});
    let quantized = Quantized { modules: &modules[..2], source: fp8_cache.as_object(), ..quantized };
    let files = MODELOPT.configure(&quantized, &Map::new());
    let text = String::from_utf8(files[0].1.clone()).unwrap();
    let want = "\"quantization\": {\n        \"quant_algo\": \"FP8\",\n        \"kv_cache_quant_algo\": \"FP8\",\n        \"exclude_modules\": [\n            \"lm_head\"\n        ]";
    assert!(text.contains(want), "{text}");
    let config: Value = serde_json::from_slice(&files[1].1).unwrap();
    assert_eq!(config["quantization_config"]["kv_cache_scheme"], fp8);
    assert_eq!(config["quantization_config"]["config_groups"]["group_0"]["targets"], json!(["Linear"]));
}

#[test]
fn caches_have_names_at_the_projections() {
    let name = |number| MODELOPT.cache("a.attn", number).map(|(name, _)| name);
    assert_eq!(name(CacheNumber::Scale(Cache::Key)).as_deref(), Some("a.attn.k_proj.k_scale"));
    assert_eq!(name(CacheNumber::Bias(Cache::Value)).as_deref(), Some("a.attn.v_proj.v_bias"));
    assert_eq!(name(CacheNumber::Scale(Cache::Query)), None);
}

#[test]
fn files_that_lie_are_errors() {
    let weight = |dtype, shape: &[usize], len: usize| tensor("a.weight", dtype, shape, vec![0; len]);
    let scale = |dtype, shape: &[usize], len: usize| tensor("a.weight_scale", dtype, shape, vec![0; len]);
    let fp8 = || weight(Dtype::F8_E4M3, &[2, 32], 64);
    let int4 = || weight(Dtype::U8, &[2, 32], 64);
    let cases: Vec<(Value, Vec<Tensor>, &str)> = vec![
        (json!({"quant_algo": "FP8"}), vec![fp8(), scale(Dtype::F32, &[2], 8)], "F32 [2]"),
        (json!({"quant_algo": "FP8"}), vec![scale(Dtype::F32, &[], 4)], "a.weight"),
        (
            json!({"quant_algo": "FP8"}),
            vec![weight(Dtype::F8_E4M3, &[64], 64), scale(Dtype::F32, &[], 4)],
            "is not a matrix",
        ),
        (json!({"quant_algo": "W8A16"}), vec![fp8(), scale(Dtype::F32, &[2], 8)], "F8_E4M3"),
        (json!({"quant_algo": "NVFP4"}), vec![int4(), scale(Dtype::F8_E4M3, &[2, 4], 8)], "weight_scale_2"),
        (json!({"quant_algo": "W4A16_AWQ"}), vec![int4(), scale(Dtype::F32, &[4, 64], 1024)], "block"),
        (
            json!({"quant_algo": "W4A16_AWQ", "group_size": 16}),
            vec![int4(), scale(Dtype::F32, &[4, 1], 16)],
            "weight_scale",
        ),
        (
            json!({"quant_algo": "W4A16_AWQ", "group_size": u64::MAX}),
            vec![int4(), scale(Dtype::F32, &[4, 1], 16)],
            "divide",
        ),
        (json!({"quant_algo": "W9A9"}), vec![fp8(), scale(Dtype::F32, &[], 4)], "modelopt W9A9"),
        (
            json!({}),
            vec![fp8(), scale(Dtype::I8, &[2], 2)],
            "no algorithm of ModelOpt has tensors like these",
        ),
    ];
    for (at, (config, all, want)) in cases.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let error = read(dir.path(), config, all).expect_err(&format!("case {at}: {want}"));
        assert!(error.contains(want) && !error.contains('\n'), "case {at}: {error}");
    }
    // Names alone that are something else are left to others.
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), json!({}), vec![fp8(), scale(Dtype::BF16, &[2, 1], 4)]);
    assert!(layout::read(&Checkpoint::open(dir.path()).unwrap()).unwrap().is_none());
}

#[test]
fn scales_of_inputs_and_caches_go_to_compressed_tensors_and_come_back() {
    const K: &str = "model.layers.0.self_attn.k_proj";
    let convert = |from: &Path, to: &'static Layout| {
        let out = tempfile::tempdir().unwrap();
        let mut job = ConvertJob::new(from, out.path(), to);
        job.settings.jobs = 1;
        job.plan().unwrap().run(&()).unwrap();
        let config: Value =
            serde_json::from_slice(&std::fs::read(out.path().join("config.json")).unwrap()).unwrap();
        (Checkpoint::open(out.path()).unwrap(), config["quantization_config"].clone(), out)
    };
    let number = |checkpoint: &Checkpoint, name: &str| {
        let tensor = checkpoint.tensor(name).unwrap_or_else(|| panic!("there is no {name}"));
        assert_eq!(tensor.entry.dtype, Dtype::F32, "{name}");
        f32::from_le_bytes(tensor.read_all().unwrap().try_into().unwrap())
    };
    let nvfp4 = testdata("layouts/zoo/modelopt-nvfp4");
    let (ct, config, dir) = convert(&nvfp4, COMPRESSED_TENSORS);
    let scale = number(&Checkpoint::open(&nvfp4).unwrap(), &format!("{K}.input_scale"));
    assert_eq!(number(&ct, &format!("{K}.input_global_scale")), 1.0 / scale);
    assert_eq!(config["config_groups"]["group_0"]["input_activations"]["dynamic"], "local");
    let (back, config, _dir) = convert(dir.path(), MODELOPT);
    assert_eq!(number(&back, &format!("{K}.input_scale")), 1.0 / (1.0 / scale));
    assert_eq!(config["quant_algo"], "NVFP4");

    for (name, algorithm) in [("modelopt-fp8-kv", "FP8"), ("modelopt-nvfp4-kv", "NVFP4")] {
        let source = testdata("layouts/made").join(name);
        let (ct, config, dir) = convert(&source, COMPRESSED_TENSORS);
        let source = Checkpoint::open(&source).unwrap();
        for scale in ["k_scale", "v_scale"] {
            let tensor = ct.tensor(&format!("model.layers.0.self_attn.{scale}")).unwrap();
            assert_eq!(tensor.entry.shape, [1], "{name}");
            let was = format!("model.layers.0.self_attn.{}_proj.{scale}", &scale[..1]);
            let was = source.tensor(&was).unwrap().read_all().unwrap();
            // Narrower where nothing is lost by it, and never rounded.
            let is = tensor.read_all().unwrap();
            let halved = was[..2] == [0, 0];
            assert_eq!(is, if halved { &was[2..] } else { &was[..] }, "{name} {scale}");
        }
        assert_eq!(config["kv_cache_scheme"]["type"], "float", "{name}");
        let (back, config, _dir) = convert(dir.path(), MODELOPT);
        let scale = |of: &Checkpoint| of.tensor(&format!("{K}.k_scale")).unwrap().read_all().unwrap();
        assert_eq!(scale(&back), scale(&source), "{name}");
        assert!(back.tensor(&format!("{K}.k_scale")).is_some_and(|t| t.entry.shape.is_empty()), "{name}");
        assert_eq!(
            (&config["quant_algo"], &config["kv_cache_scheme"]["num_bits"]),
            (&json!(algorithm), &json!(8))
        );
    }

    // Without static scales there is no FP8 per tensor in ModelOpt.
    let (plain, fp8) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_llama(plain.path());
    plan(plain.path(), fp8.path(), |job| (job.format, job.layout) = (FP8, COMPRESSED_TENSORS))
        .run(&())
        .unwrap();
    let job = ConvertJob::new(fp8.path(), plain.path().join("out"), MODELOPT);
    assert!(job.plan().unwrap_err().to_string().contains("has no static scale of its input"));
}

#[test]
fn odd_numbers_do_not_pair() {
    let linear = Linear { module: "a".into(), shape: Shape::matrix(3, 32), ..Linear::default() };
    let int4 = Format::int(4, Block::Group(32));
    let refused = MODELOPT.parts(&linear, &int4, Activations::None).unwrap_err();
    assert_eq!(refused, "3 rows of 32: INT4 in ModelOpt pairs rows, both numbers must be even");
}
