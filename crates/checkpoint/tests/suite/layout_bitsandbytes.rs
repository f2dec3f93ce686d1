//! bitsandbytes: files of its own, bytes by hand, and files that lie.

use crate::digests::{assert_digests, decoded, folders};
use crate::model::{Tensor, austen, plan, write_model};
use lowbit_checkpoint::layout::{self, ExtraKind, Holds};
use lowbit_checkpoint::safetensors::Dtype;
use lowbit_checkpoint::{Checkpoint, inspect};
use serde_json::json;

#[test]
fn what_bitsandbytes_writes_decodes_to_what_it_decodes() {
    let folders = folders("bnb-");
    for folder in &folders {
        let (_, reading) = assert_digests(folder);
        let nested = reading.linears[0].assemble.is_some();
        assert_eq!(reading.layout.name(), if nested { "bitsandbytes-nested" } else { "bitsandbytes" });
        let roles = inspect(folder).unwrap().tensors;
        let unknown: Vec<_> = roles.iter().filter(|t| t.role == "not a weight matrix").collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", folder.display());
    }
    assert!(folders.len() >= 13, "{folders:?}");
}

/// The bytes that bitsandbytes wrote come out again, of codes and scales as read.
#[test]
fn parts_are_the_bytes_of_bitsandbytes() {
    for folder in folders("bnb-") {
        let checkpoint = Checkpoint::open(&folder).unwrap();
        let reading = layout::read(&checkpoint).unwrap().unwrap();
        for stored in &reading.linears {
            let linear = stored.read(&checkpoint).unwrap();
            let parts = reading.layout.parts(&stored.linear, &stored.format, stored.activations).unwrap();
            let name = |tensor: &str| format!("{} {tensor}", folder.display());
            for part in &parts {
                let tensor = checkpoint.tensor(&part.name).unwrap();
                let bytes = tensor.read_all().unwrap();
                match &part.holds {
                    Holds::Fixed(fixed) => assert_eq!(*fixed, bytes, "{}", name(&part.name)),
                    Holds::Codes(Some(packing)) => {
                        let (codes, cols) = (linear.weight.codes(), 2 * linear.weight.codes().len());
                        let mut packed = vec![0; codes.len()];
                        packing.pack(1, cols, codes, &mut packed);
                        assert_eq!(packed, bytes, "{}", name(&part.name));
                    }
                    Holds::Codes(None) => assert_eq!(linear.weight.codes(), bytes, "{}", name(&part.name)),
                    _ => {}
                }
                if !matches!(part.holds, Holds::Made(_)) {
                    assert_eq!((part.dtype, &part.shape), (tensor.entry.dtype, &tensor.entry.shape));
                }
            }
        }
    }
}

/// What is written nested comes back with absmax that are off by no more than half a step of the map.
#[test]
fn nested_absmax_are_the_nearest_of_the_map() {
    let (plain, nested) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (out, layout) in [(&plain, layout::BITSANDBYTES), (&nested, layout::BITSANDBYTES_NESTED)] {
        let format = lowbit_blocks::NF4;
        plan(&austen(), out.path(), |job| (job.format, job.layout) = (format, layout)).run(&()).unwrap();
    }
    let [plain, nested] = [plain, nested].map(|out| Checkpoint::open(out.path()).unwrap());
    let [exact, rounded] = [&plain, &nested].map(|c| layout::read(c).unwrap().unwrap().linears);
    for (exact, rounded) in exact.iter().zip(&rounded) {
        let name = &exact.linear.weight;
        let [exact, rounded] = [exact.read(&plain), rounded.read(&nested)].map(|l| l.unwrap().weight);
        assert_eq!(exact.codes(), rounded.codes(), "{name}");
        let floats = |suffix: &str| -> Vec<f32> {
            let bytes = nested.tensor(&format!("{name}.{suffix}")).unwrap().read_all().unwrap();
            bytes.as_chunks().0.iter().copied().map(f32::from_le_bytes).collect()
        };
        let (map, scales) = (floats("nested_quant_map"), floats("nested_absmax"));
        let text =
            nested.tensor(&format!("{name}.quant_state.bitsandbytes__nf4")).unwrap().read_all().unwrap();
        let text: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let offset = text["nested_offset"].as_f64().unwrap() as f32;
        let absmax = exact.effective_scales(0);
        let mean = absmax.iter().map(|&x| f64::from(x)).sum::<f64>() / absmax.len() as f64;
        assert_eq!(offset, mean as f32, "{name}");
        for (at, (&exact, &rounded)) in absmax.iter().zip(&rounded.effective_scales(0)).enumerate() {
            let best =
                map.iter().map(|m| (m * scales[at / 256] + offset - exact).abs()).fold(f32::MAX, f32::min);
            let ulp = f32::EPSILON * exact;
            assert!((rounded - exact).abs() <= best + ulp, "{name} {at}: {exact} became {rounded}, {best}");
        }
    }
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

const NF4: [f32; 16] = [
    -1.0,
    -0.6961928,
    -0.52507305,
    -0.3949175,
    -0.28444138,
    -0.18477343,
    -0.091050036,
    0.0,
    0.0795803,
    0.1609302,
    0.2461123,
    0.33791524,
    0.44070983,
    0.562617,
    0.72295684,
    1.0,
];

/// Three rows of 3 in blocks of 4, with this text.
fn by_hand(text: &str) -> Vec<Tensor> {
    let tensor =
        |name: &str, dtype, shape: &[usize], bytes| (format!("a.weight{name}"), dtype, shape.to_vec(), bytes);
    vec![
        // -1, 1, 0 | 1, -1, 1 | 0, 0, 1 and a nibble of nothing.
        tensor("", Dtype::U8, &[5, 1], vec![0x0f, 0x7f, 0x0f, 0x77, 0xf0]),
        tensor(".absmax", Dtype::F32, &[3], floats(&[2.0, 3.0, 5.0])),
        tensor(".quant_map", Dtype::F32, &[16], floats(&NF4)),
        tensor(".quant_state.bitsandbytes__nf4", Dtype::U8, &[text.len()], text.into()),
    ]
}

const TEXT: &str = r#"{"quant_type": "nf4", "blocksize": 4, "dtype": "float16", "shape": [3, 3]}"#;

#[test]
fn blocks_run_over_row_ends_and_the_first_code_is_the_high_nibble() {
    let dir = tempfile::tempdir().unwrap();
    // Without a configuration: the names of the tensors say it.
    write_model(dir.path(), json!({}), by_hand(TEXT));
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let reading = layout::read(&checkpoint).unwrap().unwrap();
    let [stored] = &reading.linears[..] else { panic!("{reading:?}") };
    assert_eq!(decoded(&checkpoint, stored), [-2.0, 2.0, 0.0, 2.0, -3.0, 3.0, 0.0, 0.0, 5.0]);
    assert_eq!((stored.linear.dtype, stored.extras[0].kind), (lowbit_blocks::Dtype::F16, ExtraKind::Marker));
}

#[test]
fn absmax_that_are_quantized_themselves_are_a_product_and_a_sum() {
    let dir = tempfile::tempdir().unwrap();
    let text =
        TEXT.replace('}', r#", "nested_blocksize": 2, "nested_dtype": "float32", "nested_offset": 0.5}"#);
    let mut tensors = by_hand(&text);
    let map: Vec<f32> = (0..256).map(|code| code as f32 / 4.0).collect();
    tensors[1] = ("a.weight.absmax".into(), Dtype::U8, vec![3], vec![4, 8, 255]);
    tensors.push(("a.weight.nested_absmax".into(), Dtype::F32, vec![2], floats(&[1.0, 2.0])));
    tensors.push(("a.weight.nested_quant_map".into(), Dtype::F32, vec![256], floats(&map)));
    write_model(dir.path(), json!({"quantization_config": {"load_in_4bit": true}}), tensors);
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let reading = layout::read(&checkpoint).unwrap().unwrap();
    let values = decoded(&checkpoint, &reading.linears[0]);
    assert_eq!(values, [-1.5, 1.5, 0.0, 1.5, -2.5, 2.5, 0.0, 0.0, 128.0]);
}

#[test]
fn texts_and_tensors_that_lie_are_refused() {
    let refused = |config: serde_json::Value, tensors: Vec<Tensor>, want: &str| {
        let dir = tempfile::tempdir().unwrap();
        write_model(dir.path(), config, tensors);
        let error = layout::read(&Checkpoint::open(dir.path()).unwrap()).unwrap_err().to_string();
        assert!(error.contains(want), "{error}, not {want}");
    };
    let long = "9".repeat(20);
    for (from, to, want) in [
        ("[3, 3]", "[3, 4]", "is U8 [5, 1], but nf4-flat4 of 3x4 has 6 bytes there"),
        ("[3, 3]", "[4294967296, 4294967296]", "4294967296"),
        ("[3, 3]", "[9]", "neither a matrix nor a stack"),
        ("[3, 3]", "[3, 3, 1]", "3 values of a matrix do not divide into blocks of 4"),
        ("[3, 3]", &format!("[3, {long}]"), "is not the JSON of a quant state"),
        ("4,", "0,", "a block holds at least one value"),
        ("4,", "5,", "a.weight.absmax"),
        ("nf4", "fp4", "says quant_type fp4, its name says nf4"),
        ("float16", "float8", "dtype float8 is not"),
        ("}", r#", "nested_offset": 1.0}"#, "nested_blocksize None with nested_offset Some(1.0)"),
        ("}", r#", "nested_offset": 1.0, "nested_blocksize": 0}"#, "nested_blocksize Some(0)"),
        ("}", r#", "nested_offset": 1.0, "nested_blocksize": 2}"#, "a.weight.absmax"),
        ("}", "", "is not the JSON of a quant state"),
    ] {
        assert!(TEXT.contains(from), "{from}");
        refused(json!({}), by_hand(&TEXT.replace(from, to)), want);
    }
    let mut other_map = by_hand(TEXT);
    other_map[2].3[0] ^= 1;
    refused(json!({}), other_map, "is not the table of nf4");
    let int8 = |format: u8, rows: usize| {
        vec![
            ("a.weight".into(), Dtype::I8, vec![2, 3], vec![0; 6]),
            ("a.SCB".into(), Dtype::F32, vec![rows], vec![0; 4 * rows]),
            ("a.weight_format".into(), Dtype::U8, vec![], vec![format]),
        ]
    };
    refused(json!({}), int8(1, 2), "is not 0");
    refused(json!({}), int8(0, 3), "a.SCB");
    let elsewhere = json!({"quantization_config": {"quant_method": "aqlm"}});
    refused(elsewhere, int8(0, 2), "aqlm");
}
