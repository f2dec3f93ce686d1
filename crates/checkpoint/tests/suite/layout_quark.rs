//! AMD Quark: files of its own, bytes by hand, and configurations that lie.

use crate::digests::{assert_digests, decoded, folders};
use crate::model::{Tensor, write_model};
use lowbit_calib::Activations;
use lowbit_checkpoint::layout::{self, ExtraKind, Reading};
use lowbit_checkpoint::safetensors::Dtype;
use lowbit_checkpoint::{Checkpoint, Result, inspect};
use serde_json::{Value, json};

#[test]
fn what_quark_writes_decodes_to_what_it_decodes() {
    let folders = folders("quark-");
    for folder in &folders {
        let (_, reading) = assert_digests(folder);
        assert_eq!(reading.layout.name(), "quark");
        let roles = inspect(folder).unwrap().tensors;
        let unknown: Vec<_> = roles.iter().filter(|t| t.role == "not a weight matrix").collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", folder.display());
        let weights_only = folder.to_str().unwrap().ends_with("int4");
        let want = if weights_only { Activations::None } else { Activations::Dynamic };
        assert!(reading.linears.iter().all(|stored| stored.activations == want));
    }
    assert!(folders.len() >= 6, "{folders:?}");
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn config(weight: Value) -> Value {
    json!({"quantization_config": {
        "quant_method": "quark",
        "export": {"weight_format": "real_quantized", "pack_method": "reorder"},
        "global_quant_config": {"weight": weight, "input_tensors": null},
        "layer_quant_config": {},
        "exclude": ["lm_head", "re:.*gate$"],
    }})
}

fn int8(scheme: &str) -> Value {
    json!({"dtype": "int8", "qscheme": scheme, "group_size": 2, "symmetric": true, "is_dynamic": false})
}

/// Codes 1 2 3 | 4 5 6 under scales of rows.
fn rows() -> Vec<Tensor> {
    vec![
        ("a.weight".into(), Dtype::I8, vec![2, 3], vec![1, 2, 3, 4, 5, 6]),
        ("a.weight_scale".into(), Dtype::F32, vec![2], floats(&[1.0, 2.0])),
        ("a.weight_zero_point".into(), Dtype::I8, vec![2], vec![0, 0]),
    ]
}

fn read(config: Value, tensors: Vec<Tensor>) -> Result<(tempfile::TempDir, Checkpoint, Reading)> {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), config, tensors);
    let checkpoint = Checkpoint::open(dir.path())?;
    let reading = layout::read(&checkpoint)?.expect("it is Quark's");
    Ok((dir, checkpoint, reading))
}

fn values(config: Value, tensors: Vec<Tensor>) -> Vec<f32> {
    let (_dir, checkpoint, reading) = read(config, tensors).unwrap();
    decoded(&checkpoint, &reading.linears[0])
}

#[test]
fn integers_lie_in_rows_and_in_groups_turned() {
    assert_eq!(values(config(int8("per_channel")), rows()), [1.0, 2.0, 3.0, 8.0, 10.0, 12.0]);
    let turned = vec![
        // [K, N] and [K/g, N]
        ("a.weight".into(), Dtype::I8, vec![4, 2], vec![1, 2, 3, 4, 5, 6, 7, 8]),
        ("a.weight_scale".into(), Dtype::F32, vec![2, 2], floats(&[1.0, 2.0, 4.0, 8.0])),
        ("a.weight_zero_point".into(), Dtype::I8, vec![2, 2], vec![0; 4]),
    ];
    assert_eq!(values(config(int8("per_group")), turned), [1.0, 3.0, 20.0, 28.0, 4.0, 8.0, 48.0, 64.0]);
    let mut unsigned = rows();
    (unsigned[0].1, unsigned[2].1, unsigned[2].3) = (Dtype::U8, Dtype::U8, vec![1, 5]);
    let mut about = int8("per_channel");
    about["dtype"] = "uint8".into();
    assert_eq!(values(config(about), unsigned), [0.0, 1.0, 2.0, -2.0, 0.0, 2.0]);
}

/// Column k of the first eight rows is a word with rows 0 2 4 6 1 3 5 7 from the lowest nibble on.
fn words(zeros: [u8; 4]) -> Vec<Tensor> {
    vec![
        ("a.weight".into(), Dtype::I32, vec![2, 1], vec![0x20, 0x64, 0x31, 0x75, 0x88, 0x88, 0x88, 0x98]),
        ("a.weight_scale".into(), Dtype::F32, vec![1, 8], floats(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0])),
        ("a.weight_zero_point".into(), Dtype::I32, vec![1, 1], zeros.to_vec()),
    ]
}

#[test]
fn four_bits_lie_in_the_words_of_awq_signed_or_not() {
    let about = |dtype: &str| config(json!({"dtype": dtype, "qscheme": "per_group", "group_size": 2}));
    // Signed codes as they are: row n has n and, of 8, -8; the last row 7 and -7, twice.
    let signed = values(about("int4"), words([0; 4]));
    let rows = |last: [f32; 2], middle: f32, first: f32| {
        (0..7).flat_map(|n| [n as f32 - first, middle]).chain(last).collect::<Vec<_>>()
    };
    assert_eq!(signed, rows([14.0, -14.0], -8.0, 0.0));
    // Unsigned with zero points in the middle: symmetric.
    let (_dir, checkpoint, reading) = read(about("uint4"), words([0x88; 4])).unwrap();
    assert_eq!(decoded(&checkpoint, &reading.linears[0]), rows([-2.0, 2.0], 0.0, 8.0));
    assert_eq!(reading.linears[0].format.name(), "int4-g2");
    // And elsewhere: the last row has 1 where the others have 8.
    let (_dir, checkpoint, reading) = read(about("uint4"), words([0x88, 0x88, 0x88, 0x18])).unwrap();
    assert_eq!(decoded(&checkpoint, &reading.linears[0]), rows([12.0, 16.0], 0.0, 8.0));
    assert_eq!(reading.linears[0].format.name(), "int4-g2-asym");
}

#[test]
fn nvfp4_is_two_specifications_and_two_levels() {
    let two = json!([
        {"dtype": "fp4", "qscheme": "per_group", "group_size": 4, "is_dynamic": false},
        {"dtype": "fp8_e4m3", "qscheme": "per_tensor", "is_dynamic": false},
    ]);
    let tensors = vec![
        ("a.k_proj.weight".into(), Dtype::U8, vec![1, 4], vec![0x21, 0x43, 0x65, 0x97]),
        ("a.k_proj.weight_scale".into(), Dtype::F8_E4M3, vec![1, 2], vec![0x38, 0x40]),
        ("a.k_proj.weight_scale_2".into(), Dtype::F32, vec![], floats(&[0.5])),
        ("a.k_proj.input_scale_2".into(), Dtype::F32, vec![], floats(&[0.125])),
        ("a.k_proj.output_scale".into(), Dtype::F32, vec![], floats(&[3.0])),
        ("a.o_proj.output_scale".into(), Dtype::F32, vec![], floats(&[3.0])),
    ];
    let (_dir, checkpoint, reading) = read(config(two), tensors).unwrap();
    let stored = &reading.linears[0];
    assert_eq!(decoded(&checkpoint, stored), [0.25, 0.5, 0.75, 1.0, 3.0, 4.0, 6.0, -0.5]);
    assert_eq!(stored.read(&checkpoint).unwrap().input_scale, Some(0.125));
    // It is the cache's.
    assert!(stored.extras.is_empty(), "{:?}", stored.extras);
}

#[test]
fn the_first_pattern_decides_and_what_is_left_is_read_as_what_it_was() {
    let mut both = config(int8("per_channel"));
    both["quantization_config"]["layer_quant_config"] = json!({
        "*.{b}": {"weight": {"dtype": "mx6"}},
        "*a.[bc]": {
            "weight": {"dtype": "fp8_e4m3", "qscheme": "per_tensor"},
            "input_tensors": {"dtype": "fp8_e4m3", "is_dynamic": false},
        },
        "*": {"weight": {"dtype": "mx9"}},
    });
    let fp8 = |module: &str, grid: &[usize]| {
        let scales = vec![2.0; grid.iter().product()];
        vec![
            (format!("{module}.weight"), Dtype::F8_E4M3, vec![2, 2], vec![0x38, 0x40, 0xb8, 0]),
            (format!("{module}.weight_scale"), Dtype::F32, grid.to_vec(), floats(&scales)),
        ]
    };
    let mut tensors = fp8("a.b", &[]);
    tensors.push(("a.b.input_scale".into(), Dtype::F32, vec![1], floats(&[4.0])));
    tensors.push(("a.b.input_zero_point".into(), Dtype::F32, vec![1], floats(&[0.0])));
    tensors.push(("a.b.output_scale".into(), Dtype::F32, vec![1], floats(&[1.0])));
    // Excluded, and yet in blocks of FP8: as the checkpoint had it before Quark.
    tensors.extend(fp8("a.gate", &[1, 1]));
    let (_dir, checkpoint, reading) = read(both, tensors).unwrap();
    let [b, gate] = &reading.linears[..] else { panic!("{reading:?}") };
    for stored in [b, gate] {
        assert_eq!(decoded(&checkpoint, stored), [2.0, 4.0, -2.0, 0.0]);
    }
    assert_eq!((b.activations, b.format.name()), (Activations::Static, "fp8".into()));
    let kinds: Vec<_> = b.extras.iter().map(|extra| extra.kind).collect();
    assert_eq!(kinds, [ExtraKind::InputZeroPoint, ExtraKind::OutputScale]);
    assert_eq!((gate.activations, gate.format.name()), (Activations::None, "fp8-block".into()));
}

#[test]
fn configurations_and_tensors_that_lie_are_refused() {
    let refused = |config: Value, tensors: Vec<Tensor>, want: &str| {
        let error = read(config, tensors).expect_err(want).to_string();
        assert!(error.contains(want), "{error}, not {want}");
    };
    let with = |key: &str, value: Value| {
        let mut about = int8("per_channel");
        about[key] = value;
        config(about)
    };
    refused(with("dtype", "mx".into()), rows(), "dtype mx is not read");
    refused(with("dtype", Value::Null), rows(), "has scales, and the configuration says no dtype for it");
    refused(with("dtype", "uint8".into()), rows()[..2].to_vec(), "is unsigned and has no weight_zero_point");
    refused(with("qscheme", "per_moon".into()), rows(), "qscheme per_moon is not read");
    refused(with("qscheme", "per_tensor".into()), rows()[..2].to_vec(), "a.weight_scale");
    refused(with("qscheme", "per_block".into()), rows(), "is not the grid of 128x128 tiles");
    let groups = |size: Value| {
        let mut about = int8("per_group");
        about["group_size"] = size;
        config(about)
    };
    refused(groups(Value::Null), rows(), "per_group without group_size");
    refused(groups(0.into()), rows(), "a block holds at least one value");
    refused(groups(u64::MAX.into()), rows(), "does not divide into blocks");
    let six = json!({"dtype": "fp6_e2m3", "qscheme": "per_group", "group_size": 4});
    let mut odd = rows();
    (odd[0].1, odd[0].2, odd[0].3) = (Dtype::U8, vec![2, 4], vec![0; 8]);
    refused(config(six), odd, "4 bytes are no whole number of fp6_e2m3 codes");
    let progressive = json!([{"dtype": "fp8_e4m3"}, {"dtype": "int4"}]);
    refused(config(progressive), rows(), "fp8_e4m3 and int4 one in the other");
    let mut flat = rows();
    flat[0].2 = vec![6];
    refused(config(int8("per_channel")), flat, "is not a matrix");
    let mut letters = rows();
    (letters[1].1, letters[1].3) = (Dtype::I32, vec![0; 8]);
    refused(config(int8("per_channel")), letters, "is I32, no type of scales");
    let mut moved = rows();
    moved[2].3 = vec![0, 1];
    refused(config(int8("per_channel")), moved, "zero points of signed codes are not read");
    let mut other = config(int8("per_channel"));
    other["quantization_config"]["export"]["weight_format"] = "fake_quantized".into();
    refused(other, rows(), "weight_format fake_quantized is not real_quantized");
    let mut bad = config(int8("per_channel"));
    bad["quantization_config"]["exclude"] = json!(["re:("]);
    refused(bad, rows(), "pattern `re:(`");
    refused(config(int8("per_channel")), rows()[1..].to_vec(), "a.weight");
    let four =
        |scheme: &str, dtype: &str| config(json!({"dtype": dtype, "qscheme": scheme, "group_size": 2}));
    refused(four("per_channel", "int4"), words([0; 4]), "words of 4-bit codes along a row are not read");
    refused(four("per_group", "int4"), words([0x88; 4]), "zero points of signed codes are not read");
    refused(four("per_group", "uint4"), words([0; 4])[..2].to_vec(), "has no weight_zero_point");
    let mut long = words([0; 4]);
    (long[2].2, long[2].3) = (vec![1, 2], vec![0; 8]);
    refused(four("per_group", "uint4"), long, "not one for each of 8x1 scales");
}
