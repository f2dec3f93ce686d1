//! HQQ: files of its own, bytes by hand, and settings that lie.

use crate::digests::{assert_digests, decoded, folders};
use crate::model::{Tensor, write_model};
use half::bf16;
use lowbit_checkpoint::layout;
use lowbit_checkpoint::safetensors::Dtype;
use lowbit_checkpoint::{Checkpoint, inspect};
use serde_json::json;

#[test]
fn what_hqq_writes_decodes_to_what_it_decodes() {
    let folders = folders("hqq-");
    for folder in &folders {
        let (checkpoint, reading) = assert_digests(folder);
        assert_eq!(reading.layout.name(), "hqq");
        let roles = inspect(folder).unwrap().tensors;
        let unknown: Vec<_> = roles.iter().filter(|t| t.role == "not a weight matrix").collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", folder.display());
        // Rows are the same wherever they start.
        for stored in &reading.linears {
            let (all, rows) = (stored.read(&checkpoint).unwrap().weight, stored.shape().rows);
            assert_eq!(stored.quantum(), rows);
            assert_eq!(all, stored.rows(&checkpoint, 0, 0..rows).unwrap());
        }
    }
    assert!(folders.len() >= 12, "{folders:?}");
}

/// A module of this shape with codes 0, 1, 2 .. and these settings.
fn module(
    shape: [i64; 2],
    (axis, group): (i32, i32),
    packing: &str,
    codes: Vec<u8>,
    groups: usize,
) -> Vec<Tensor> {
    let numbers =
        |n: usize, from: f32| (0..n).flat_map(move |i| bf16::from_f32(from + i as f32).to_le_bytes());
    let along = if axis == 0 { vec![1, groups] } else { vec![groups, 1] };
    let word =
        |name: &str, text: &str| (format!("a.{name}"), Dtype::U8, vec![text.len()], text.as_bytes().to_vec());
    let number = |name: &str, n: i32| (format!("a.{name}"), Dtype::I32, vec![], n.to_le_bytes().to_vec());
    let wide = if packing == "3bit_32" { 4 } else { 1 };
    let dtype = if wide == 4 { Dtype::I32 } else { Dtype::U8 };
    vec![
        ("a.W_q".into(), dtype, vec![codes.len() / wide], codes),
        ("a.scale".into(), Dtype::BF16, along.clone(), numbers(groups, 1.0).collect()),
        ("a.zero".into(), Dtype::BF16, along, numbers(groups, 0.0).collect()),
        ("a.shape".into(), Dtype::I64, vec![2], shape.into_iter().flat_map(i64::to_le_bytes).collect()),
        number("axis", axis),
        number("group_size", group),
        word("packing", packing),
        word("compute_dtype", "torch.bfloat16"),
    ]
}

fn values(tensors: Vec<Tensor>) -> Vec<f32> {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), json!({}), tensors);
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let reading = layout::read(&checkpoint).unwrap().unwrap();
    decoded(&checkpoint, &reading.linears[0])
}

#[test]
fn groups_of_rows_of_columns_and_of_neither() {
    // Codes 0 1 2 3 | 4 5 6 7: the first half is in the high nibbles.
    let codes = vec![0x04, 0x15, 0x26, 0x37];
    // Groups 01 23 45 67, whose scales are 1 2 3 4 and zero points 0 1 2 3.
    let rows = values(module([2, 4], (1, 2), "4bit_u8", codes.clone(), 4));
    assert_eq!(rows, [0.0, 1.0, 2.0, 4.0, 6.0, 9.0, 12.0, 16.0]);
    // A group is a column.
    let columns = values(module([2, 4], (0, 2), "4bit_u8", codes.clone(), 4));
    assert_eq!(columns, [0.0, 0.0, 0.0, 0.0, 4.0, 8.0, 12.0, 16.0]);
    // Four values to a group that is every second value.
    let neither = values(module([2, 4], (0, 4), "4bit_u8", codes.clone(), 2));
    assert_eq!(neither, [0.0, 0.0, 2.0, 4.0, 4.0, 8.0, 6.0, 12.0]);
    // Groups that run over the end of a row: 0 1 2 3 | 4 5 6 7 of rows of two.
    let over = values(module([4, 2], (1, 4), "4bit_u8", codes, 2));
    assert_eq!(over, [0.0, 1.0, 2.0, 3.0, 6.0, 8.0, 10.0, 12.0]);
}

#[test]
fn three_bits_are_ten_to_a_word_from_the_top() {
    // One row of groups in each tenth: codes 1 .. 4 in bits 27, 24, 21, 18.
    let word: i32 = 1 << 27 | 2 << 24 | 3 << 21 | 4 << 18;
    let values = values(module([2, 2], (1, 1), "3bit_32", word.to_le_bytes().to_vec(), 4));
    assert_eq!(values, [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn differences_and_products_are_rounded_to_the_compute_type() {
    let mut tensors = module([1, 2], (1, 2), "8bit_u8", vec![255, 1], 1);
    tensors[1].3 = bf16::from_f32(0.1).to_le_bytes().to_vec();
    tensors[2].3 = bf16::from_f32(0.7).to_le_bytes().to_vec();
    let bf = |x: f32| bf16::from_f32(x).to_f32();
    let want = [255.0, 1.0].map(|code| bf(bf(code - bf(0.7)) * bf(0.1)));
    assert_eq!(values(tensors), want);
    assert_ne!(
        bf((255.0 - bf(0.7)) * bf(0.1)),
        want[0],
        "the difference has to be rounded for this to be a test"
    );
}

#[test]
fn settings_that_lie_are_refused() {
    let refused = |change: &dyn Fn(&mut Vec<Tensor>), want: &str| {
        let dir = tempfile::tempdir().unwrap();
        let mut tensors = module([2, 4], (1, 2), "4bit_u8", vec![0; 4], 4);
        change(&mut tensors);
        write_model(dir.path(), json!({"quantization_config": {"quant_method": "hqq"}}), tensors);
        let error = layout::read(&Checkpoint::open(dir.path()).unwrap()).expect_err(want).to_string();
        assert!(error.contains(want), "{error}, not {want}");
    };
    let number = |at: usize, n: i32| move |t: &mut Vec<Tensor>| t[at].3 = n.to_le_bytes().to_vec();
    let shape = |rows: i64, cols: i64| {
        move |t: &mut Vec<Tensor>| t[3].3 = [rows, cols].into_iter().flat_map(i64::to_le_bytes).collect()
    };
    refused(&shape(-2, 4), "is negative or too large");
    refused(&shape(0, 4), "0x4, which is no matrix");
    refused(&shape(1 << 40, 1 << 40), "which is no matrix");
    refused(&shape(1 << 30, 1 << 30), "a.W_q");
    refused(&shape(2, 8), "a.W_q");
    refused(&number(4, 2), "axis 2 and group_size 2 are none of 2x4");
    refused(&number(5, 0), "group_size 0 are none of");
    refused(&number(5, 3), "group_size 3 are none of");
    refused(&number(5, -1), "is negative or too large");
    refused(&number(5, 4), "a.scale");
    let rename = |at: usize| move |t: &mut Vec<Tensor>| t[at].0 = "a.other".into();
    refused(&rename(1), "a.scale");
    refused(&rename(2), "a.zero");
    refused(&rename(3), "a.shape");
    refused(&rename(4), "neither a.axis nor the configuration says axis");
    refused(&|t| t[6].3 = b"5bit_u8".to_vec(), "packing 5bit_u8 is not read");
    refused(&|t| t[7].3 = b"torch.bfloat17".to_vec(), "compute_dtype torch.bfloat17 is not read");
    refused(&|t| (t[2].2, t[2].3) = (vec![4], t[2].3.clone()), "is not that of the scales");
    refused(&|t| (t[6].2, t[6].3) = (vec![1 << 16], vec![0; 1 << 16]), "more than a setting");
    refused(&|t| t.push(("a.quant_scale".into(), Dtype::U8, vec![], vec![1])), "quantized themselves");
}
