//! torchao: files of its own, bytes by hand, and headers that lie.

use crate::digests::{assert_digests, decoded, folders};
use crate::model::Tensor;
use lowbit_checkpoint::layout::{self, Reading};
use lowbit_checkpoint::safetensors::{Dtype, header_bytes};
use lowbit_checkpoint::{Checkpoint, Result, inspect};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

#[test]
fn what_torchao_writes_decodes_to_what_it_decodes() {
    let formats = [
        ("torchao-float8-row", "fp8-channel"),
        ("torchao-float8-tensor", "fp8"),
        ("torchao-int4", "int4-g32-bias"),
        ("torchao-int8", "int8"),
        ("torchao-intx4", "int4-g32"),
        ("torchao-mxfp4", "mxfp4"),
        ("torchao-mxfp6-e2m3", "mxfp6-e2m3"),
        ("torchao-mxfp6-e3m2", "mxfp6-e3m2"),
        ("torchao-mxfp8-e5m2", "mxfp8-e5m2"),
        ("torchao-nvfp4", "nvfp4"),
    ];
    let folders = folders("torchao-");
    for folder in &folders {
        let (_, reading) = assert_digests(folder);
        assert_eq!(reading.layout.name(), "torchao");
        let name = folder.file_name().unwrap().to_str().unwrap();
        if let Some((_, format)) = formats.iter().find(|(of, _)| *of == name) {
            assert_eq!(reading.linears[0].format.name(), *format, "{name}");
        }
        let roles = inspect(folder).unwrap().tensors;
        let unknown: Vec<_> = roles.iter().filter(|t| t.role == "not a weight matrix").collect();
        assert!(unknown.is_empty(), "{name}: {unknown:?}");
    }
    assert!(folders.len() >= 13, "{folders:?}");
}

/// Writes a file with this description of `a.weight`.
fn write(dir: &Path, about: &Value, tensors: &[Tensor]) {
    write_text(dir, about.to_string(), tensors);
}

fn write_text(dir: &Path, about: String, tensors: &[Tensor]) {
    let metadata =
        BTreeMap::from([("tensor_names".into(), r#"["a.weight"]"#.into()), ("a.weight".into(), about)]);
    let list = tensors.iter().map(|t| (t.0.clone(), t.1, t.2.clone(), t.3.len() as u64));
    let (mut bytes, _) = header_bytes(&metadata, list);
    tensors.iter().for_each(|t| bytes.extend_from_slice(&t.3));
    fs::write(dir.join("model.safetensors"), bytes).unwrap();
}

fn open(dir: &Path) -> Result<(Checkpoint, Reading)> {
    let checkpoint = Checkpoint::open(dir)?;
    let reading = layout::read(&checkpoint)?.expect("its header says that it is torchao's");
    Ok((checkpoint, reading))
}

fn field(name: &str, dtype: Dtype, shape: &[usize], bytes: Vec<u8>) -> Tensor {
    (format!("a._weight_{name}"), dtype, shape.to_vec(), bytes)
}

fn dtype(name: &str) -> Value {
    json!({"_type": "torch.dtype", "_data": name})
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn intx(target: &str) -> Value {
    json!({
        "_type": "IntxUnpackedToInt8Tensor",
        "_data": {"target_dtype": dtype(target), "block_size": [1, 2], "dtype": dtype("float32"), "activation_quantization": "int8_asym_per_token"},
        "_tensor_data_names": ["qdata", "scale", "zero_point"],
    })
}

fn intx_tensors(zeros: [u8; 2]) -> Vec<Tensor> {
    vec![
        field("scale", Dtype::F32, &[1, 2], floats(&[0.5, 2.0])),
        field("qdata", Dtype::I8, &[1, 4], vec![0xfc, 3, 0, 1]),
        field("zero_point", Dtype::I8, &[1, 2], zeros.to_vec()),
    ]
}

#[test]
fn integers_of_three_bits_lie_in_bytes_with_and_without_zero_points() {
    for (zeros, values, format) in
        [([0, 0], [-2.0, 1.5, 0.0, 2.0], "int3-g2"), ([0xff, 3], [-1.5, 2.0, -6.0, -4.0], "int3-g2-asym")]
    {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &intx("int3"), &intx_tensors(zeros));
        let (checkpoint, reading) = open(dir.path()).unwrap();
        let stored = &reading.linears[0];
        assert_eq!(decoded(&checkpoint, stored), values);
        assert_eq!(
            (stored.format.name(), stored.activations),
            (format.into(), lowbit_calib::Activations::Dynamic)
        );
    }
}

#[test]
fn swizzled_scales_come_back_in_rows() {
    // Two rows of four groups: the first row of a tile begins at byte 0, the second at byte 16.
    let mut scales = vec![0; 512];
    scales[..4].copy_from_slice(&[0x38, 0x40, 0x48, 0x50]); // 1, 2, 4, 8
    scales[16..20].copy_from_slice(&[0x58, 0x60, 0x68, 0x70]); // 16, 32, 64, 128
    let about = json!({
        "_type": "NVFP4Tensor",
        "_data": {"block_size": 16, "orig_dtype": dtype("bfloat16"), "is_swizzled_scales": true, "act_quant_kwargs": null},
        "_tensor_data_names": ["qdata", "scale", "per_tensor_scale", "act_per_tensor_scale"],
    });
    let tensors = [
        field("per_tensor_scale", Dtype::F32, &[], floats(&[0.5])),
        field("act_per_tensor_scale", Dtype::F32, &[], floats(&[0.25])),
        field("scale", Dtype::F8_E4M3, &[32, 16], scales),
        field("qdata", Dtype::U8, &[2, 32], vec![0x42; 64]),
    ];
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &about, &tensors);
    let (checkpoint, reading) = open(dir.path()).unwrap();
    let values = decoded(&checkpoint, &reading.linears[0]);
    for (at, pair) in values.chunks(2).enumerate() {
        let scale = 0.5 * 2_f32.powi(at as i32 / 8);
        assert_eq!(pair, [scale, 2.0 * scale], "pair {at}");
    }
    let linear = reading.linears[0].read(&checkpoint).unwrap();
    assert_eq!(linear.input_scale, Some(0.25));
}

#[test]
fn experts_are_stacks_with_scales_turned_in_each() {
    let about = json!({
        "_type": "Int4Tensor",
        "_data": {"block_size": [1, 1, 2], "shape": [2, 2, 4], "activation_dtype": dtype("bfloat16")},
        "_tensor_data_names": ["qdata", "scale", "zero_point"],
    });
    let halves =
        |values: &[f32]| values.iter().flat_map(|x| half::bf16::from_f32(*x).to_le_bytes()).collect();
    let tensors = [
        // [experts, groups, rows]
        field("scale", Dtype::BF16, &[2, 2, 2], halves(&[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0])),
        field("zero_point", Dtype::BF16, &[2, 2, 2], halves(&[0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0])),
        field("qdata", Dtype::I8, &[2, 2, 2], vec![0xf1; 8]),
    ];
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &about, &tensors);
    let (checkpoint, reading) = open(dir.path()).unwrap();
    let stored = &reading.linears[0];
    let want =
        [1.5, -0.5, 4.0, -4.0, 2.0, -2.0, 8.0, -8.0, 16.0, -16.0, 64.0, -64.0, 32.0, -32.0, 127.0, -129.0];
    assert_eq!(decoded(&checkpoint, stored), want);
    assert!(stored.linear.stacked);
}

#[test]
fn headers_and_fields_that_lie_are_refused() {
    let refused = |about: String, tensors: &[Tensor], want: &str| {
        let dir = tempfile::tempdir().unwrap();
        write_text(dir.path(), about, tensors);
        let read = || -> Result<()> {
            let (checkpoint, reading) = open(dir.path())?;
            reading.linears[0].read(&checkpoint)?;
            Ok(())
        };
        let error = read().expect_err(want).to_string();
        assert!(error.contains(want), "{error}, not {want}");
    };
    let text = intx("int3").to_string();
    let good = intx_tensors([0, 0]);
    for (from, to, want) in [
        (
            "IntxUnpackedToInt8Tensor",
            "Int4TilePackedTo4dTensor",
            "is a Int4TilePackedTo4dTensor of torchao, not one of",
        ),
        ("int3", "int9", "target_dtype int9 is not int1 to int8"),
        ("int3", "int0", "target_dtype int0 is not int1 to int8"),
        // -4 is no number of two bits.
        ("int3", "int2", "byte 0 is 0xfc, no code of 2 bits"),
        ("[1,2]", "[1,0]", "a block holds at least one value"),
        ("[1,2]", "[1,3]", "does not divide into blocks"),
        ("[1,2]", "[0,0]", "a block holds at least one value"),
        ("[1,2]", "[1,2,3]", "does not go with"),
        ("[1,2]", "[1,-2]", "no list of numbers for block_size"),
        ("[1,2]", "[1,18446744073709551615]", "does not divide into blocks"),
        ("[1,2]", "[1,1]", "a._weight_scale"),
        ("float32", "float64", "dtype float64 is not bfloat16"),
        ("zero_point", "codebook", "with \"codebook\", which is not known"),
        ("\"_data\":{", "\"_date\":{", "without _data"),
        ("{", "[", "its metadata is not read"),
    ] {
        assert!(text.contains(from), "{from} is not in {text}");
        refused(text.replace(from, to), &good, want);
    }
    refused(text.clone(), &intx_tensors([4, 0]), "zero point 4 is not in -4..4");
    refused(text.clone(), &good[..2], "there is no tensor `a._weight_zero_point`");
    let mut floats = good.clone();
    floats[0].1 = Dtype::I32;
    refused(text.clone(), &floats, "is I32, not F32, F16 or BF16");
    let mut flat = good;
    flat[1].2 = vec![4];
    refused(text, &flat, "neither a matrix nor a stack");
    let one_scale =
        json!({"_type": "Float8Tensor", "_data": {"block_size": [2, 1, 1], "dtype": dtype("float32")}});
    let stack = [
        field("scale", Dtype::F32, &[1, 1, 1], vec![0; 4]),
        field("qdata", Dtype::F8_E4M3, &[2, 1, 1], vec![0; 2]),
    ];
    refused(one_scale.to_string(), &stack, "one scale for 2 matrices is not read");
}

#[test]
fn a_configuration_without_a_header_to_it_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let config = json!({"quantization_config": {"quant_method": "torchao"}});
    crate::model::write_model(dir.path(), config, vec![crate::model::weights("a.weight", &[2, 2])]);
    let error = layout::read(&Checkpoint::open(dir.path()).unwrap()).unwrap_err().to_string();
    assert!(error.contains("no header has tensor_names"), "{error}");
}
