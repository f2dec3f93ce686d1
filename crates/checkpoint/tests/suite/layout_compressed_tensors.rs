//! compressed-tensors: files of its own, of every version, configurations written again, bytes by hand, and files that lie.

use crate::digests::{assert_digests, assert_said_again, decoded, folders, tensors};
use crate::model::{Tensor, testdata, weights, write_model};
use lowbit_blocks::{Block, FP8_CHANNEL, Format, MXFP4, NVFP4, ScaleKind};
use lowbit_calib::Activations;
use lowbit_checkpoint::layout::{
    self, COMPRESSED_TENSORS, Cache, CacheNumber, ExtraKind, Quantized, QuantizedModule, Scheme,
};
use lowbit_checkpoint::safetensors::Dtype;
use lowbit_checkpoint::{Checkpoint, inspect, inspect_tensor};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

fn made(name: &str) -> PathBuf {
    testdata("layouts/made").join(name)
}

fn config(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap()
}

/// What reading says of a folder with other tensors or another configuration.
fn read_changed(
    folder: &Path,
    change: impl FnOnce(&mut Value, &mut Vec<Tensor>),
) -> Result<Vec<String>, String> {
    let (mut config, mut all) = (config(folder), tensors(&Checkpoint::open(folder).unwrap()));
    change(&mut config, &mut all);
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), config, all);
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let reading = layout::read(&checkpoint).map_err(|e| e.to_string())?.unwrap();
    let mut said = Vec::new();
    for stored in &reading.linears {
        stored.read(&checkpoint).map_err(|e| e.to_string())?;
        said.push(format!("{} {:?}", stored.format, stored.activations));
    }
    Ok(said)
}

fn tensor<'a>(all: &'a mut [Tensor], end: &str) -> &'a mut Tensor {
    all.iter_mut().find(|t| t.0.ends_with(end)).unwrap()
}

#[test]
fn what_it_writes_decodes_to_what_it_decodes() {
    let is_sparse = |f: &Path| f.ends_with("ct-sparse-24-bitmask") || f.ends_with("ct-sparse-bitmask");
    let folders: Vec<_> = folders("ct-").into_iter().filter(|f| !is_sparse(f)).collect();
    for folder in &folders {
        let (_, reading) = assert_digests(folder);
        assert_eq!(reading.layout.name(), "compressed-tensors", "{}", folder.display());
    }
    assert!(folders.len() >= 74, "{}", folders.len());
}

#[test]
fn what_it_says_of_modules_is_said_again() {
    let mut count = 0;
    // What is packed as before 0.18 is not what a new configuration says.
    for folder in folders("ct-").into_iter().filter(|f| !f.to_string_lossy().contains("ct-padded")) {
        count += usize::from(assert_said_again(&folder));
    }
    assert!(count >= 62, "{count}");
}

#[test]
fn floats_without_their_zeros_are_weights_of_the_model() {
    let folder = made("ct-sparse-24-bitmask");
    let report = inspect_tensor(&folder, "model.layers.0.mlp.down_proj").unwrap();
    assert_eq!(report.shape, [1, 64, 96]);
    assert!(report.zeros >= 64 * 48 && report.zeros < 64 * 96, "{}", report.zeros);
    assert_eq!(report.non_finite, 0);
    let names: Vec<_> = inspect(&folder).unwrap().linears.into_iter().map(|l| l.module).collect();
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn what_belongs_to_a_linear_besides_is_kept() {
    let read = |name: &str| {
        let checkpoint = Checkpoint::open(made(name)).unwrap();
        let stored = layout::read(&checkpoint).unwrap().unwrap().linears.remove(0);
        (stored.read(&checkpoint).unwrap(), stored)
    };
    let (_, stored) = read("ct-w8a8-static");
    assert_eq!((stored.activations, stored.extras[0].kind), (Activations::Static, ExtraKind::InputZeroPoint));
    assert_eq!(stored.input_scale.as_ref().map(|(_, reciprocal)| *reciprocal), Some(false));
    let (linear, stored) = read("ct-nvfp4");
    let checkpoint = Checkpoint::open(made("ct-nvfp4")).unwrap();
    let bytes = checkpoint.tensor(&stored.input_scale.unwrap().0).unwrap().read_all().unwrap();
    let global = f32::from_le_bytes(bytes.try_into().unwrap());
    assert_eq!((stored.activations, linear.input_scale), (Activations::Static, Some(1.0 / global)));
    let (linear, stored) = read("ct-g_idx-asym");
    assert!(stored.linear.permuted && linear.perm.is_some() && stored.extras.is_empty());
    assert_eq!(read("ct-sparse-24-bitmask-fp8").1.companions().count(), 2);

    // Transforms that run with the model, by the names of their groups.
    let dir = tempfile::tempdir().unwrap();
    let mut all = tensors(&Checkpoint::open(made("ct-transform")).unwrap());
    all.push(weights("model.layers.0.mlp.down_proj.R4_input.weight", &[32, 32]));
    all.push(weights("model.layers.0.mlp.down_proj.R5_input.weight", &[32, 32]));
    write_model(dir.path(), config(&made("ct-transform")), all);
    let stored = layout::read(&Checkpoint::open(dir.path()).unwrap()).unwrap().unwrap().linears.remove(0);
    let extras: Vec<_> = stored.extras.iter().map(|e| (e.tensor.as_str(), e.kind)).collect();
    assert_eq!(extras, [("model.layers.0.mlp.down_proj.R4_input.weight", ExtraKind::Transform)]);
}

#[test]
fn an_order_of_columns_that_is_none_is_no_order() {
    let folder = made("ct-g_idx-sym");
    let same = |order: Box<dyn Fn(i32) -> i32>| {
        let dir = tempfile::tempdir().unwrap();
        let mut all = tensors(&Checkpoint::open(&folder).unwrap());
        for index in all.iter_mut().filter(|t| t.0.ends_with("weight_g_idx")) {
            index.3 = (0..index.2[0] as i32).flat_map(|c| order(c).to_le_bytes()).collect();
        }
        write_model(dir.path(), config(&folder), all);
        let checkpoint = Checkpoint::open(dir.path()).unwrap();
        let stored = layout::read(&checkpoint).unwrap().unwrap().linears.remove(0);
        assert_eq!((stored.linear.permuted, stored.extras[0].kind), (false, ExtraKind::Marker));
        decoded(&checkpoint, &stored)
    };
    assert_eq!(same(Box::new(|c| c / 32)), same(Box::new(|_| -1)));
}

#[test]
fn several_schemes_are_groups_whose_modules_are_named() {
    let module = |name: &str, format, activations, permuted| QuantizedModule {
        name: name.into(),
        scheme: Scheme { format, activations },
        permuted,
        smoothed: false,
    };
    let int4 = Format::int(4, Block::Group(32)).with_scale(ScaleKind::Bf16);
    let modules = [
        module("model.a", NVFP4, Activations::Static, false),
        module("model.b", MXFP4, Activations::None, false),
        module("model.c", MXFP4, Activations::None, false),
        module("model.d", int4, Activations::None, false),
        module("model.e", int4, Activations::None, true),
        module("model.f", int4, Activations::Dynamic, false),
        module("model.g", FP8_CHANNEL, Activations::Dynamic, false),
    ];
    let kept = ["lm_head".to_owned()];
    let dtype = lowbit_blocks::Dtype::Bf16;
    let quantized =
        Quantized { modules: &modules, kept: &kept, embeddings: &[], cache: true, dtype, source: None };
    let files = COMPRESSED_TENSORS.configure(&quantized, &Map::new());
    let config: Value = serde_json::from_slice(&files[0].1).unwrap();
    let config = &config["quantization_config"];
    let of = |group: &str| {
        let group = &config["config_groups"][group];
        (
            group["format"].as_str().unwrap(),
            group["targets"].clone(),
            group["input_activations"]["dynamic"].clone(),
        )
    };
    assert_eq!(config["format"], "mixed-precision");
    assert_eq!(of("group_0"), ("mxfp4-pack-quantized", json!(["Linear"]), Value::Null));
    assert_eq!(of("group_1"), ("nvfp4-pack-quantized", json!(["model.a"]), json!("local")));
    assert_eq!(of("group_2"), ("pack-quantized", json!(["model.d"]), Value::Null));
    assert_eq!(of("group_3"), ("pack-quantized", json!(["model.e"]), Value::Null));
    assert_eq!(config["config_groups"]["group_3"]["weights"]["actorder"], "group");
    assert_eq!(of("group_4"), ("int-quantized", json!(["model.f"]), json!(true)));
    assert_eq!(of("group_5"), ("float-quantized", json!(["model.g"]), json!(true)));
    assert_eq!(
        (&config["kv_cache_scheme"]["type"], &config["kv_cache_scheme"]["strategy"]),
        (&json!("float"), &json!("tensor"))
    );
    assert_eq!(config["ignore"], json!(["lm_head"]));

    // Of several formats under one compression the checkpoint has that compression.
    let quantized = Quantized { modules: &modules[3..5], cache: false, ..quantized };
    let files = COMPRESSED_TENSORS.configure(&quantized, &Map::new());
    let config: Value = serde_json::from_slice(&files[0].1).unwrap();
    assert_eq!(config["quantization_config"]["format"], "pack-quantized");
    assert_eq!(config["quantization_config"]["kv_cache_scheme"], Value::Null);
}

#[test]
fn caches_have_names_at_the_attention_module() {
    let name = |number| COMPRESSED_TENSORS.cache("a.attn", number).map(|(name, _)| name);
    assert_eq!(name(CacheNumber::Scale(Cache::Key)).as_deref(), Some("a.attn.k_scale"));
    assert_eq!(name(CacheNumber::Scale(Cache::Query)).as_deref(), Some("a.attn.q_scale"));
    assert_eq!(name(CacheNumber::Bias(Cache::Value)), None);
}

#[test]
fn targets_that_are_names_without_dots_and_classes_besides_linear_are_told_apart() {
    let folder = made("ct-mixed-two");
    let changed = read_changed(&folder, |config, all| {
        let groups = &mut config["quantization_config"]["config_groups"];
        groups["group_0"]["targets"] = json!(["k_proj"]);
        // In the alphabet before "Linear", and nothing here is an embedding.
        groups["group_1"]["targets"] = json!(["Linear"]);
        groups["group_2"] = groups["group_0"].clone();
        groups["group_2"]["targets"] = json!(["Embedding"]);
        for tensor in all.iter_mut() {
            tensor.0 = tensor.0.replace("model.layers.0.self_attn.k_proj", "k_proj");
        }
    });
    assert_eq!(changed.unwrap(), ["int4-g32 None", "fp8-channel Dynamic"]);
}

#[test]
fn files_that_lie_are_errors() {
    type Change = Box<dyn FnOnce(&mut Value, &mut Vec<Tensor>)>;
    let args = |key: &'static str, value: Value| -> Change {
        Box::new(move |config, _| {
            config["quantization_config"]["config_groups"]["group_0"]["weights"][key] = value;
        })
    };
    let numbers = |end: &'static str, numbers: &'static [i64]| -> Change {
        Box::new(move |_, all| {
            let tensor = tensor(all, end);
            tensor.3 = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
            tensor.2 = vec![numbers.len()];
        })
    };
    let dtype =
        |end: &'static str, dtype: Dtype| -> Change { Box::new(move |_, all| tensor(all, end).1 = dtype) };
    let gone = |end: &'static str| -> Change { Box::new(move |_, all| all.retain(|t| !t.0.ends_with(end))) };
    let order = |value: i32| -> Change {
        Box::new(move |_, all| {
            tensor(all, "down_proj.weight_g_idx").3[..4].copy_from_slice(&value.to_le_bytes())
        })
    };
    let cases: Vec<(&str, Change, &str)> = vec![
        ("ct-w3-asym-group", args("num_bits", json!(0)), "is no format that can be read"),
        ("ct-w3-asym-group", args("num_bits", json!(9)), "is no format that can be read"),
        ("ct-w3-asym-group", args("num_bits", json!(4)), "weight_packed"),
        ("ct-w3-asym-group", args("num_bits", json!(-3)), "weight_packed"),
        ("ct-w3-asym-group", args("group_size", json!(u64::MAX)), "divide"),
        ("ct-w3-asym-group", args("group_size", json!(7)), "do"),
        ("ct-w3-asym-group", args("group_size", json!(16)), "weight_scale"),
        ("ct-w3-asym-group", args("strategy", json!("token")), "is no format that can be read"),
        ("ct-w3-asym-group", gone("down_proj.weight_zero_point"), "weight_zero_point"),
        ("ct-w3-asym-group", gone("down_proj.weight_shape"), "weight_shape"),
        ("ct-w3-asym-group", gone("down_proj.weight_scale"), "weight_scale"),
        (
            "ct-w3-asym-group",
            gone("down_proj.weight_packed"),
            "there is no model.layers.0.mlp.down_proj.weight_packed",
        ),
        ("ct-w3-asym-group", numbers("down_proj.weight_shape", &[64, -96]), "-96 is not a number of values"),
        ("ct-w3-asym-group", numbers("down_proj.weight_shape", &[64, 1 << 62]), "weight_packed"),
        ("ct-w3-asym-group", numbers("down_proj.weight_shape", &[i64::MAX, 96]), "weight_packed"),
        (
            "ct-w3-asym-group",
            numbers("down_proj.weight_shape", &[2, 32, 96]),
            "but the words beside it are [64, 9]",
        ),
        ("ct-w3-asym-group", numbers("down_proj.weight_shape", &[64]), "not two or three I64"),
        ("ct-w3-asym-group", dtype("down_proj.weight_shape", Dtype::U64), "not two or three I64"),
        ("ct-w3-asym-group", dtype("down_proj.weight_packed", Dtype::F32), "is F32 [64, 9]"),
        ("ct-w4-sym-group", args("symmetric", json!(false)), "weight_zero_point"),
        ("ct-w8a8-static", args("num_bits", json!(4)), ", no code of 4 bits"),
        ("ct-w8a8-asym", args("num_bits", json!(7)), ", no code of 7 bits"),
        ("ct-g_idx-sym", order(3), "g_idx"),
        ("ct-g_idx-sym", order(i32::MAX), "g_idx"),
        ("ct-g_idx-sym", order(-5), "g_idx"),
        ("ct-g_idx-sym", dtype("down_proj.weight_g_idx", Dtype::F32), "g_idx"),
        ("ct-fp8-block", args("block_structure", json!("0x128")), ""),
        ("ct-fp8-block", args("block_structure", json!([128])), "is no format that can be read"),
        ("ct-fp8-block", args("block_structure", json!([64, 128])), "weight_scale"),
        ("ct-nvfp4a16", gone("down_proj.weight_global_scale"), "weight_global_scale"),
        ("ct-experts-asym", numbers("weight_shape", &[3, 48, 65]), "divide"),
        (
            "ct-sparse-bitmask",
            numbers("down_proj.shape", &[24, 1 << 61]),
            "rows of 2305843009213693952 bits were said",
        ),
        ("ct-sparse-bitmask", numbers("down_proj.shape", &[24]), "is not that of two numbers"),
        ("ct-sparse-bitmask", dtype("down_proj.row_offsets", Dtype::U64), "not I64 [24]"),
        ("ct-sparse-24-bitmask", dtype("down_proj.bitmask", Dtype::I8), "bits were said"),
        (
            "ct-sparse-24-bitmask-fp8",
            Box::new(|_, all| tensor(all, "down_proj.bitmask").3.fill(0xff)),
            "rows from 0 on need 6144",
        ),
        ("ct-sparse-24-bitmask-fp8", args("num_bits", json!(4)), "is no format that can be read"),
        (
            "ct-w4-sym-group",
            Box::new(|config, _| config["quantization_config"]["format"] = json!("marlin-24")),
            "marlin-24: 2:4 sparse INT4",
        ),
        (
            "ct-w4-sym-group",
            Box::new(|config, _| {
                config["quantization_config"]["config_groups"] = json!({"W4A16": ["Linear"]})
            }),
            "the name of a preset",
        ),
    ];
    for (at, (name, change, want)) in cases.into_iter().enumerate() {
        let error = read_changed(&made(name), change).expect_err(&format!("case {at}: {name}: {want}"));
        assert!(error.contains(want) && !error.contains('\n'), "case {at}: {name}: {error}");
    }
}

#[test]
fn the_version_tells_where_the_width_of_words_does_not() {
    // Twenty codes of three bits are two words either way; 0.17 puts ten in each.
    let tensor =
        |name: &str, dtype, shape: &[usize], bytes| (format!("a.{name}"), dtype, shape.to_vec(), bytes);
    let words = [0b001_000_000_000_000_000_000_000_000_010_u32, 0b011];
    let all = || {
        vec![
            tensor(
                "weight_packed",
                Dtype::I32,
                &[1, 2],
                words.iter().flat_map(|w| w.to_le_bytes()).collect(),
            ),
            tensor("weight_scale", Dtype::F32, &[1, 1], 1f32.to_le_bytes().to_vec()),
            tensor(
                "weight_shape",
                Dtype::I64,
                &[2],
                [1i64, 20].iter().flat_map(|n| n.to_le_bytes()).collect(),
            ),
        ]
    };
    let value = |version: &str, column: usize| {
        let dir = tempfile::tempdir().unwrap();
        let args = json!({"num_bits": 3, "type": "int", "symmetric": true, "strategy": "channel"});
        let group = json!({"group_0": {"targets": ["Linear"], "weights": args}});
        write_model(
            dir.path(),
            json!({"quantization_config": {"quant_method": "compressed-tensors", "version": version, "config_groups": group}}),
            all(),
        );
        let checkpoint = Checkpoint::open(dir.path()).unwrap();
        let stored = layout::read(&checkpoint).unwrap().unwrap().linears.remove(0);
        decoded(&checkpoint, &stored)[column]
    };
    assert_eq!([value("0.17.1", 0), value("0.17.1", 9), value("0.17.1", 10)], [-2.0, -3.0, -1.0]);
    // Dense: the eleventh code has two bits of the first word and one of the second.
    assert_eq!([value("0.19.0", 0), value("0.19.0", 9), value("0.19.0", 10)], [-2.0, -3.0, 0.0]);
}
