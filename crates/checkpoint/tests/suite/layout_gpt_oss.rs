//! gpt-oss: its own files, stacks written, and rows of gate and up told apart.

use crate::digests::{assert_digests, decoded, folders};
use crate::model::{error, plan, weights, write_model};
use lowbit_blocks::{MXFP4, Shape};
use lowbit_checkpoint::arch::{Arch, Orientation};
use lowbit_checkpoint::safetensors::Dtype;
use lowbit_checkpoint::{Checkpoint, CompareOptions, ConvertJob, compare, layout};
use serde_json::{Value, json};
use std::path::Path;

#[test]
fn what_gpt_oss_has_decodes_to_what_transformers_decodes() {
    for folder in folders("gpt-oss") {
        let (checkpoint, reading) = assert_digests(&folder);
        assert_eq!(reading.layout.name(), "gpt-oss");
        for stored in &reading.linears {
            assert_eq!((stored.format, stored.linear.orientation), (MXFP4, Orientation::InOut));
            let bias = stored.read(&checkpoint).unwrap().bias.unwrap();
            assert_eq!(bias.len(), stored.shape().matrices * stored.shape().rows);
        }
    }
}

const STACK: &str = "model.layers.0.mlp.experts.gate_up_proj";

fn write_moe(dir: &Path, model_type: &str, gate_up: (String, Dtype, Vec<usize>, Vec<u8>)) {
    let config = json!({"model_type": model_type, "hidden_size": 32});
    write_model(dir, config, vec![gate_up, weights("model.layers.0.self_attn.q_proj.weight", &[32, 32])]);
}

#[test]
fn stacks_are_written_and_nothing_else_can_be() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_moe(dir.path(), "qwen3_moe", weights(STACK, &[3, 64, 32]));
    let reason = error(dir.path(), out.path(), |job| (job.format, job.layout) = (MXFP4, layout::GPT_OSS));
    assert!(
        reason.contains("quantizes stacks of experts and nothing else; leave it out with --exclude"),
        "{reason}"
    );
    let experts = plan(dir.path(), out.path(), |job| {
        (job.format, job.layout, job.exclude) = (MXFP4, layout::GPT_OSS, vec!["re:.*self_attn".into()]);
    });
    experts.run(&()).unwrap();
    let written = Checkpoint::open(out.path()).unwrap();
    let blocks = written.tensor(&format!("{STACK}_blocks")).unwrap().entry;
    assert_eq!((blocks.dtype, &blocks.shape[..]), (Dtype::U8, &[3, 64, 1, 16][..]));
    let reading = layout::read(&written).unwrap().unwrap();
    assert_eq!(reading.layout.name(), "gpt-oss");
    // The same codes and scales as in our own layout.
    let plain = tempfile::tempdir().unwrap();
    plan(dir.path(), plain.path(), |job| (job.format, job.layout) = (MXFP4, layout::PLAIN)).run(&()).unwrap();
    let plain = Checkpoint::open(plain.path()).unwrap();
    let theirs = layout::read(&plain).unwrap().unwrap();
    let theirs = theirs.linears.iter().find(|linear| linear.linear.weight == STACK).unwrap();
    assert_eq!(reading.linears[0].read(&written).unwrap(), theirs.read(&plain).unwrap());
    let config: &Value = &written.config().unwrap()["quantization_config"];
    assert_eq!(
        config,
        &json!({"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.0.self_attn.q_proj"]})
    );
}

/// Expert 1's gate is rows 0, 2, 4 … of matrix 1, and up is the rows between them.
#[test]
fn rows_of_gate_and_up_are_interleaved() {
    let arch = Arch::new(json!({"model_type": "gpt_oss"}).as_object());
    let experts = arch.split_experts(STACK, &[2, 6, 32]).unwrap();
    let rows: Vec<_> =
        experts.iter().map(|e| (e.module.as_str(), e.matrix, e.first_row, e.step, e.rows)).collect();
    let [a, b] = ["0", "1"].map(|e| format!("model.layers.0.mlp.experts.{e}"));
    let want = [
        (format!("{a}.gate_proj"), 0, 0, 2, 3),
        (format!("{a}.up_proj"), 0, 1, 2, 3),
        (format!("{b}.gate_proj"), 1, 0, 2, 3),
        (format!("{b}.up_proj"), 1, 1, 2, 3),
    ];
    assert_eq!(rows, want.each_ref().map(|(name, m, f, s, r)| (name.as_str(), *m, *f, *s, *r)));
    let apart = Arch::generic().split_experts(STACK, &[2, 6, 32]).unwrap();
    assert!(
        apart.iter().all(|e| e.step == 1 && e.first_row == if e.module.ends_with("up_proj") { 3 } else { 0 })
    );
}

/// A stack of gpt-oss against the same experts apart: comparing finds each row in its place, or it would not be exact.
#[test]
fn a_stack_compares_with_its_experts_apart() {
    let oss = folders("gpt-oss").remove(0);
    let checkpoint = Checkpoint::open(&oss).unwrap();
    let reading = layout::read(&checkpoint).unwrap().unwrap();
    let stack = reading.linears.iter().find(|l| l.linear.weight.ends_with("gate_up_proj")).unwrap();
    let (Shape { matrices, rows, cols }, values) = (stack.shape(), decoded(&checkpoint, stack));
    let mut apart = Vec::new();
    for expert in 0..matrices {
        for (first, name) in ["gate_proj", "up_proj"].into_iter().enumerate() {
            let rows = (first..rows).step_by(2).map(|row| (expert * rows + row) * cols);
            let bytes: Vec<u8> =
                rows.clone().flat_map(|at| &values[at..at + cols]).flat_map(|x| x.to_le_bytes()).collect();
            let name = format!("model.layers.0.mlp.experts.{expert}.{name}.weight");
            apart.push((name, Dtype::F32, vec![rows.len(), cols], bytes));
        }
    }
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), json!({"model_type": "gpt_oss"}), apart);
    let compared = compare(dir.path(), &oss, &CompareOptions::default(), &()).unwrap();
    assert_eq!(compared.rows.len(), 2 * matrices, "{:?}", compared.only_first);
    assert!(compared.rows.iter().all(|row| row.figures.max_error == 0.0), "{:?}", compared.rows);
}

/// Cut into experts for another layout, and put together again: the same bytes, with rows and biases in their places.
#[test]
fn stacks_are_cut_and_put_together_again() {
    let oss = folders("gpt-oss").remove(0);
    for layout in [layout::COMPRESSED_TENSORS, layout::MODELOPT, layout::MLX, layout::PLAIN] {
        let (apart, again) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let convert = |from: &Path, to: &Path, layout| {
            let mut job = ConvertJob::new(from, to, layout);
            job.exact_only = true;
            job.plan().unwrap().run(&()).unwrap();
        };
        convert(&oss, apart.path(), layout);
        let cut = Checkpoint::open(apart.path()).unwrap();
        let names: Vec<_> = cut.tensors().map(|t| t.entry.name.clone()).collect();
        if !layout.keeps_stacks(Orientation::InOut) {
            let up = names.iter().any(|name| name.starts_with("model.layers.0.mlp.experts.1.up_proj."));
            assert!(
                up && names.contains(&"model.layers.0.mlp.experts.1.up_proj.bias".to_owned()),
                "{names:?}"
            );
        }
        convert(apart.path(), again.path(), layout::GPT_OSS);
        let (first, last) = (Checkpoint::open(&oss).unwrap(), Checkpoint::open(again.path()).unwrap());
        for tensor in first.tensors() {
            let name = &tensor.entry.name;
            let other = last.tensor(name).unwrap_or_else(|| panic!("{}: no {name}", layout.name()));
            assert_eq!(
                (other.entry.dtype, &other.entry.shape),
                (tensor.entry.dtype, &tensor.entry.shape),
                "{name}"
            );
            assert_eq!(other.read_all().unwrap(), tensor.read_all().unwrap(), "{} {name}", layout.name());
        }
    }
}

#[test]
fn shapes_that_are_no_stack_are_refused() {
    for (blocks, scales, want) in [
        (vec![2, 4, 1, 8], vec![2, 4, 1], "is not [experts, out, in / 32, 16]"),
        (vec![2, 4, 16], vec![2, 4, 1], "is not [experts, out, in / 32, 16]"),
        (vec![2, 4, 1, 16], vec![2, 4, 2], "_scales"),
        (vec![2, 4, 1, 16], vec![2, 3, 1], "_scales"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let tensor = |end: &str, shape: &[usize]| {
            (format!("{STACK}{end}"), Dtype::U8, shape.to_vec(), vec![0; shape.iter().product()])
        };
        write_model(dir.path(), json!({}), vec![tensor("_blocks", &blocks), tensor("_scales", &scales)]);
        let error = layout::read(&Checkpoint::open(dir.path()).unwrap()).unwrap_err().to_string();
        assert!(error.contains(want), "{error}, not {want}");
    }
}
