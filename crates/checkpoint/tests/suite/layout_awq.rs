//! AWQ and AutoRound's names for it: files of AutoAWQ, bytes by hand, what is written, and files that lie.

use crate::digests::{assert_digests, decoded, folders};
use crate::model::{Tensor, plan, testdata, write_llama, write_model};
use half::f16;
use lowbit_blocks::Format;
use lowbit_checkpoint::layout::{self, ExtraKind, Packing};
use lowbit_checkpoint::safetensors::Dtype;
use lowbit_checkpoint::{Checkpoint, ConvertJob};
use serde_json::{Value, json};

#[test]
fn what_autoawq_writes_decodes_to_what_it_decodes() {
    let folders = folders("awq-");
    for folder in &folders {
        let (_, reading) = assert_digests(folder);
        let name = folder.file_name().unwrap().to_str().unwrap();
        let want = match name.split('-').nth(1) {
            Some("gemv") => "awq-gemv",
            Some("gemv_fast") => "awq-gemv-fast",
            _ => "awq",
        };
        assert_eq!(reading.layout.name(), want, "{name}");
    }
    assert!(folders.len() >= 8, "{folders:?}");
}

fn config(q: &Value) -> Value {
    json!({"dtype": "float16", "quantization_config": q})
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn ones(count: usize) -> Vec<u8> {
    f16::ONE.to_le_bytes().repeat(count)
}

fn tensor(suffix: &str, dtype: Dtype, shape: &[usize], bytes: Vec<u8>) -> Tensor {
    (format!("a.{suffix}"), dtype, shape.to_vec(), bytes)
}

/// Eight rows of two columns, codes 0..7 down the first and 7 down the second.
fn gemm(zeros: u32) -> Vec<Tensor> {
    vec![
        tensor("qweight", Dtype::I32, &[2, 1], words(&[0x7531_6420, 0x7777_7777])),
        tensor("qzeros", Dtype::I32, &[1, 1], words(&[zeros])),
        tensor("scales", Dtype::F16, &[1, 8], ones(8)),
    ]
}

/// One row of sixteen columns in two groups, with room for more groups.
fn gemv(zeros: u32) -> Vec<Tensor> {
    vec![
        tensor("qweight", Dtype::I32, &[1, 2], words(&[0x7654_3210, 0xfedc_ba98])),
        tensor("qzeros", Dtype::I32, &[1, 2], words(&[zeros, 0])),
        tensor("scales", Dtype::F16, &[1, 16], [ones(2), vec![0; 28]].concat()),
    ]
}

fn read(config: &Value, tensors: Vec<Tensor>) -> (Vec<f32>, String, usize) {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), config.clone(), tensors);
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let reading = layout::read(&checkpoint).unwrap().unwrap();
    let [stored] = &reading.linears[..] else { panic!("{reading:?}") };
    assert!(stored.extras.iter().all(|extra| extra.kind == ExtraKind::Marker));
    (decoded(&checkpoint, stored), stored.format.name(), stored.extras.len())
}

#[test]
fn words_are_eight_rows_in_the_kernels_order() {
    let awq = config(
        &json!({"quant_method": "awq", "bits": 4, "group_size": 2, "zero_point": true, "version": "GEMM"}),
    );
    let rows = |zero: f32| (0..8).flat_map(|row| [row as f32 - zero, 7.0 - zero]).collect::<Vec<_>>();
    assert_eq!(read(&awq, gemm(0x8888_8888)), (rows(8.0), "int4-g2".into(), 0));
    assert_eq!(read(&awq, gemm(0x1111_1111)), (rows(1.0), "int4-g2-asym".into(), 0));
    // GPTQModel and AutoRound have other names for it.
    for q in [
        json!({"quant_method": "gptq", "checkpoint_format": "gemm", "bits": 4, "group_size": 2}),
        json!({"quant_method": "auto-round", "packing_format": "auto_round:auto_awq", "bits": 4, "group_size": 2}),
    ] {
        assert_eq!(read(&config(&q), gemm(0x1111_1111)).0, rows(1.0), "{q}");
    }
}

#[test]
fn gemv_has_room_for_more_groups_than_there_are() {
    let awq = config(&json!({"quant_method": "awq", "w_bit": 4, "q_group_size": 8, "version": "gemv"}));
    let row = |a: f32, b: f32| (0..16).map(|k| k as f32 - if k < 8 { a } else { b }).collect::<Vec<_>>();
    assert_eq!(read(&awq, gemv(0x21)), (row(1.0, 2.0), "int4-g8-asym".into(), 0));
    // Symmetric codes need no zero points; the tensor is a constant of the layout.
    assert_eq!(read(&awq, gemv(0x88)), (row(8.0, 8.0), "int4-g8".into(), 1));
}

#[test]
fn extra_config_of_autoround_takes_names_before_expressions() {
    let q = json!({"quant_method": "auto-round", "packing_format": "auto_round", "bits": 2, "group_size": 64, "sym": true});
    let columns = |extra: Value| {
        let mut q = q.clone();
        q["extra_config"] = extra;
        let dir = tempfile::tempdir().unwrap();
        let one = words(&[0x8888_8888]);
        let tensors = vec![
            tensor("b.qweight", Dtype::I32, &[4, 8], one.repeat(32)),
            tensor("b.qzeros", Dtype::I32, &[1, 1], one),
            tensor("b.scales", Dtype::F16, &[1, 8], ones(8)),
        ];
        write_model(dir.path(), config(&q), tensors);
        let reading = layout::read(&Checkpoint::open(dir.path()).unwrap())?.unwrap();
        assert_eq!(reading.layout.name(), "auto-round");
        Ok::<_, lowbit_checkpoint::Error>(reading.linears[0].format.name())
    };
    let four = json!({"bits": 4, "group_size": 32});
    assert_eq!(columns(json!({"b$": {"bits": 3}, "a.b": four})).unwrap(), "int4-g32");
    assert_eq!(columns(json!({".*\\.c": {"bits": 3}, "\\.b": four, "b": {"bits": 3}})).unwrap(), "int4-g32");
    let error = columns(json!({"\\.b": {"bits": 16}})).unwrap_err().to_string();
    assert!(error.contains("a.b.qweight") && error.contains("says that it is not quantized"), "{error}");
}

#[test]
fn files_that_lie_are_refused() {
    let refused = |changes: Value, tensors: Vec<Tensor>, want: &str| {
        let mut q = json!({"quant_method": "awq", "bits": 4, "group_size": 2, "version": "gemm"});
        changes.as_object().unwrap().iter().for_each(|(key, value)| q[key] = value.clone());
        let dir = tempfile::tempdir().unwrap();
        write_model(dir.path(), config(&q), tensors);
        let error = layout::read(&Checkpoint::open(dir.path()).unwrap()).unwrap_err().to_string();
        assert!(error.contains(want), "{error}, not {want}");
    };
    refused(json!({"bits": 8}), gemm(0), "AWQ has 4 bits, not 8");
    refused(json!({"version": "marlin"}), gemm(0), "quantized with awq in the format marlin");
    refused(json!({"group_size": 1}), gemm(0), "a.qzeros");
    refused(json!({"version": "gemv", "group_size": 8}), gemm(0), "has no room for 1 groups of 2 rows");
    refused(json!({"version": "gemv_fast"}), gemm(0), "1 columns do not divide into GEMV-fast's 64");
    let mut short = gemv(0);
    (short[1].2, short[1].3) = (vec![1, 0], Vec::new());
    refused(json!({"version": "gemv", "group_size": 8}), short, "has no room for 2 groups of 1 rows");
    let mut wide = gemm(0);
    (wide[0].2, wide[0].3) = (vec![0, 1 << 62], Vec::new());
    refused(json!({}), wide, "is not a matrix");
    let mut scales = gemm(0);
    scales[2].1 = Dtype::I16;
    refused(json!({}), scales, "is I16, not F16");
}

#[test]
fn columns_in_another_order_have_no_place() {
    let source = testdata("layouts/made/gptq-v1-w4-act-order");
    let out = tempfile::tempdir().unwrap();
    let mut job = ConvertJob::new(&source, out.path(), layout::AWQ);
    job.settings.jobs = 1;
    let report = job.plan().unwrap().run(&()).unwrap();
    for conversion in &report.conversions {
        assert!(!conversion.exact && conversion.how.contains("there is no g_idx"), "{}", conversion.how);
    }
    let out = tempfile::tempdir().unwrap();
    let mut job = ConvertJob::new(&source, out.path(), layout::AWQ);
    job.exact_only = true;
    let refused = job.plan().and_then(|plan| plan.run(&())).unwrap_err().to_string();
    assert!(refused.contains("there is no g_idx"), "{refused}");
}

#[test]
fn modules_that_stay_are_named_where_the_name_hits_nothing_else() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_llama(dir.path());
    let format = Format::named("int4-g64-asym").unwrap();
    let exclude = vec!["*.q_proj".to_owned()];
    plan(dir.path(), out.path(), |job| {
        (job.format, job.layout, job.exclude) = (format, layout::AWQ, exclude);
    })
    .run(&())
    .unwrap();
    let written = Checkpoint::open(out.path()).unwrap();
    let want = json!({
        "bits": 4,
        "group_size": 64,
        "modules_to_not_convert": ["lm_head", "model.layers.0.self_attn.q_proj"],
        "quant_method": "awq",
        "version": "gemm",
        "zero_point": true,
    });
    assert_eq!(written.config().unwrap()["quantization_config"], want);
}

#[test]
fn packings_come_back_at_every_shape() {
    let mut packings = vec![
        Packing::Interleaved { signed: true },
        Packing::Interleaved { signed: false },
        Packing::InterleavedZeros,
        Packing::FourRows,
        Packing::Nibbles { words: 9 },
        Packing::Wider { bytes: 2, cols: 70 },
    ];
    for bits in 1..=8 {
        let kinds = [true, false];
        packings.extend(kinds.map(|signed| Packing::Planes { bits, signed }));
        packings.extend(kinds.map(|signed| Packing::Across { bits, signed }));
        packings.extend(kinds.map(|less_one| Packing::Columns { bits, less_one }));
        packings.push(Packing::PlaneColumns { bits });
    }
    for packing in packings {
        for (rows, cols) in [(32, 64), (64, 64), (8, 0), (0, 64)] {
            let width = packing.row_bytes(cols);
            let keep = match packing {
                Packing::Columns { bits, .. } | Packing::PlaneColumns { bits } => 0xff >> (8 - bits),
                Packing::InterleavedZeros | Packing::Nibbles { .. } => 15,
                _ => 0xff,
            };
            let memory: Vec<u8> =
                (0..rows * width).map(|i| (i * 167 + i / 64 * 13 + 5) as u8 & keep).collect();
            let mut file = vec![0xa5; packing.packed_len(rows, cols)];
            packing.pack(rows, cols, &memory, &mut file);
            let mut back = vec![0xa5; memory.len()];
            packing.unpack(rows, cols, &file, &mut back);
            assert_eq!(back, memory, "{packing:?} {rows}x{cols}");
        }
    }
}
