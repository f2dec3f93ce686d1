//! quanto: files of its own, bytes by hand, and shapes that no tensor says.

use crate::digests::{assert_digests, decoded, folders};
use crate::model::{Tensor, write_model};
use half::bf16;
use lowbit_blocks::Shape;
use lowbit_checkpoint::layout::{self, ExtraKind};
use lowbit_checkpoint::safetensors::Dtype;
use lowbit_checkpoint::{Checkpoint, inspect};
use serde_json::{Value, json};

#[test]
fn what_quanto_writes_decodes_to_what_it_decodes() {
    let folders = folders("quanto-");
    for folder in &folders {
        let (_, reading) = assert_digests(folder);
        assert_eq!(reading.layout.name(), "quanto");
        let roles = inspect(folder).unwrap().tensors;
        let unknown: Vec<_> = roles.iter().filter(|t| t.role == "not a weight matrix").collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", folder.display());
    }
    assert!(folders.len() >= 7, "{folders:?}");
}

fn halves(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect()
}

/// Three groups of two 4-bit codes in two rows of bytes: 1 2 | 3 4 with 5 6 above the first.
fn packed() -> Vec<Tensor> {
    let name = |end: &str| format!("m.q_proj.{end}");
    vec![
        (name("weight._data._data"), Dtype::U8, vec![2, 2], vec![0x51, 0x62, 0x03, 0x04]),
        (name("weight._scale"), Dtype::BF16, vec![3, 1], halves(&[1.0, 2.0, 0.5])),
        (name("weight._shift"), Dtype::BF16, vec![3, 1], halves(&[0.5, 0.0, -1.0])),
        (name("output_scale"), Dtype::BF16, vec![], halves(&[1.0])),
        (name("input_scale"), Dtype::BF16, vec![], halves(&[0.25])),
    ]
}

#[test]
fn pieces_are_in_the_low_bits_first_and_shifts_are_taken_off() {
    for (config, shape) in
        [(json!({"hidden_size": 6}), (1, 6)), (json!({"text_config": {"n_embd": 2}}), (3, 2))]
    {
        let dir = tempfile::tempdir().unwrap();
        write_model(dir.path(), config, packed());
        let checkpoint = Checkpoint::open(dir.path()).unwrap();
        let reading = layout::read(&checkpoint).unwrap().unwrap();
        let stored = &reading.linears[0];
        assert_eq!(stored.shape(), Shape::matrix(shape.0, shape.1));
        assert_eq!(decoded(&checkpoint, stored), [0.5, 1.5, 6.0, 8.0, 3.5, 4.0]);
        assert_eq!(stored.extras.len(), 2);
        assert!(stored.extras.iter().all(|extra| extra.kind == ExtraKind::Marker));
    }
}

#[test]
fn rows_follow_from_the_bias_and_integer_shifts_are_codes() {
    let dir = tempfile::tempdir().unwrap();
    let mut tensors = packed();
    (tensors[2].1, tensors[2].3) = (Dtype::I8, vec![1, 0, 7]);
    tensors.push(("m.q_proj.bias".into(), Dtype::BF16, vec![3], halves(&[0.0; 3])));
    let config =
        json!({"quantization_config": {"quant_method": "quanto", "weights": "int4", "activations": "int8"}});
    write_model(dir.path(), config, tensors);
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let reading = layout::read(&checkpoint).unwrap().unwrap();
    let stored = &reading.linears[0];
    assert_eq!(decoded(&checkpoint, stored), [0.0, 1.0, 6.0, 8.0, -1.0, -0.5]);
    let linear = stored.read(&checkpoint).unwrap();
    assert_eq!((linear.input_scale, linear.bias.map(|bias| bias.len())), (Some(0.25), Some(3)));
    assert_eq!(stored.extras.iter().map(|extra| extra.kind).collect::<Vec<_>>(), [ExtraKind::OutputScale]);
}

#[test]
fn shapes_that_do_not_follow_are_refused() {
    let refused = |config: Value, change: &dyn Fn(&mut Vec<Tensor>), want: &str| {
        let dir = tempfile::tempdir().unwrap();
        let mut tensors = packed();
        change(&mut tensors);
        write_model(dir.path(), config, tensors);
        let error = layout::read(&Checkpoint::open(dir.path()).unwrap()).expect_err(want).to_string();
        assert!(error.contains(want), "{error}, not {want}");
    };
    let good = || json!({"hidden_size": 6});
    refused(
        json!({}),
        &|_| {},
        "6 values in groups of 2; how many are a row is said by no tensor, and config.json says None",
    );
    for wrong in [0, 3, 4, 1_u64 << 40] {
        refused(json!({"hidden_size": wrong}), &|_| {}, &format!("config.json says Some({wrong})"));
    }
    refused(good(), &|t| t[1].2 = vec![1, 3], "is not that of groups along rows");
    refused(good(), &|t| (t[1].2, t[1].3) = (vec![9, 1], halves(&[1.0; 9])), "neither 4 nor 2 bits");
    refused(good(), &|t| (t[1].2, t[1].3) = (vec![0, 1], vec![]), "neither 4 nor 2 bits");
    refused(good(), &|t| (t[1].1, t[1].2) = (Dtype::I16, vec![3, 1]), "is I16, not F32, F16 or BF16");
    refused(good(), &|t| t[2].1 = Dtype::F16, "neither I8 nor that of the scales");
    refused(good(), &|t| (t[2].2, t[2].3) = (vec![2, 1], halves(&[0.0; 2])), "m.q_proj.weight._shift");
    refused(good(), &|t| (t[2].1, t[2].3) = (Dtype::I8, vec![0, 16, 0]), "shift 16 is not in 0..16");
    let bias = |n: usize| {
        move |t: &mut Vec<Tensor>| t.push(("m.q_proj.bias".into(), Dtype::BF16, vec![n], vec![0; 2 * n]))
    };
    for n in [0, 2, 4] {
        refused(good(), &bias(n), "m.q_proj.bias");
    }
}
