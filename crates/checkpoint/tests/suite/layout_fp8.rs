//! FP8 with scales beside it: files of the tools, scales in other shards, and files that lie.

use crate::digests::{assert_digests, decoded, folders};
use crate::model::{Tensor, error, llama_config, plan, weights, write_file, write_model};
use lowbit_blocks::{Block, FP8, FP8_BLOCK, FP8_CHANNEL, MXFP4, MXFP8, ScaleKind};
use lowbit_calib::Activations;
use lowbit_checkpoint::arch::Orientation;
use lowbit_checkpoint::layout::{self, Linear};
use lowbit_checkpoint::safetensors::Dtype;
use lowbit_checkpoint::{Checkpoint, ConvertJob};
use serde_json::{Value, json};

#[test]
fn what_the_tools_write_decodes_to_what_they_decode() {
    let ue8m0 = FP8_BLOCK.with_scale(ScaleKind::E8m0);
    let f32_rows = FP8_CHANNEL.with_scale(ScaleKind::F32);
    for folder in folders("fp8-") {
        let (_, reading) = assert_digests(&folder);
        let (layout, formats) = match folder.file_name().unwrap().to_str().unwrap() {
            "fp8-deepseek-v4" => ("deepseek-v4", vec![ue8m0, MXFP4]),
            "fp8-fbgemm" => ("fbgemm-fp8", vec![f32_rows]),
            "fp8-mxfp8" => ("fp8", vec![MXFP8]),
            "fp8-tensor" | "fp8-tensor-static" => ("fp8", vec![FP8]),
            _ => ("fp8", vec![FP8_BLOCK]),
        };
        assert_eq!(reading.layout.name(), layout);
        for linear in &reading.linears {
            assert!(formats.contains(&linear.format), "{}: {}", folder.display(), linear.format);
            let fixed = folder.ends_with("fp8-tensor-static");
            assert_eq!(linear.input_scale.is_some(), fixed, "{}", folder.display());
            assert_eq!(linear.activations == Activations::Static, fixed);
        }
    }
}

fn bytes(name: &str, dtype: Dtype, shape: &[usize], bytes: Vec<u8>) -> Tensor {
    (name.into(), dtype, shape.to_vec(), bytes)
}

/// E4M3 codes of 1.
fn ones(name: &str, shape: &[usize]) -> Tensor {
    bytes(name, Dtype::F8_E4M3, shape, vec![0x38; shape.iter().product()])
}

fn floats(name: &str, shape: &[usize], values: &[f32]) -> Tensor {
    bytes(name, Dtype::F32, shape, values.iter().flat_map(|x| x.to_le_bytes()).collect())
}

fn config(quantization: Value) -> Value {
    json!({"quantization_config": quantization})
}

#[test]
fn a_scale_may_lie_in_another_shard_than_its_weight() {
    let dir = tempfile::tempdir().unwrap();
    let method = json!({"quant_method": "fp8", "weight_block_size": [2, 3]});
    std::fs::write(dir.path().join("config.json"), config(method).to_string()).unwrap();
    write_file(&dir.path().join("a.safetensors"), vec![ones("m.weight", &[3, 4])]);
    write_file(
        &dir.path().join("b.safetensors"),
        vec![floats("m.weight_scale_inv", &[2, 2], &[1.0, 2.0, 3.0, 4.0])],
    );
    let index = json!({"weight_map": {"m.weight": "a.safetensors", "m.weight_scale_inv": "b.safetensors"}});
    std::fs::write(dir.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let reading = layout::read(&checkpoint).unwrap().unwrap();
    assert_eq!(reading.linears[0].format.block, Block::Tile { rows: 2, cols: 3 });
    let values = decoded(&checkpoint, &reading.linears[0]);
    assert_eq!(values, [1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 2.0, 3.0, 3.0, 3.0, 4.0]);
}

/// The scales of one linear of 4 x 8 ones, and what they make of it.
#[track_caller]
fn reads(quantization: Value, scale: Tensor, block: Block, first_and_last: [f32; 2]) {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), config(quantization), vec![ones("m.weight", &[4, 8]), scale]);
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let reading = layout::read(&checkpoint).unwrap().unwrap();
    let values = decoded(&checkpoint, &reading.linears[0]);
    assert_eq!((reading.linears[0].format.block, [values[0], values[31]]), (block, first_and_last));
}

#[test]
fn blocks_are_those_of_the_configuration_or_of_the_shapes() {
    let fp8 = |size: Value| json!({"quant_method": "fp8", "weight_block_size": size});
    let scale = |shape: &[usize], values: &[f32]| floats("m.weight_scale_inv", shape, values);
    reads(fp8(json!(null)), scale(&[], &[2.0]), Block::Tensor, [2.0; 2]);
    reads(fp8(json!(null)), scale(&[1], &[2.0]), Block::Tensor, [2.0; 2]);
    reads(fp8(json!(null)), scale(&[1, 1], &[2.0]), Block::Tensor, [2.0; 2]);
    reads(fp8(json!([128, 128])), scale(&[1, 1], &[2.0]), Block::Tile { rows: 128, cols: 128 }, [2.0; 2]);
    reads(fp8(json!(null)), scale(&[4, 1], &[2.0, 0.0, 0.0, 3.0]), Block::Channel, [2.0, 3.0]);
    // A configuration that does not fit, as routed experts of DeepSeek-V4 have it.
    let numbers: Vec<f32> = (0..8).map(|n| n as f32).collect();
    reads(fp8(json!([128, 128])), scale(&[4, 2], &numbers), Block::Group(4), [0.0, 7.0]);
    reads(fp8(json!([3, 5])), scale(&[2, 2], &numbers[..4]), Block::Tile { rows: 3, cols: 5 }, [0.0, 3.0]);
    // Exponents, whatever the file calls them: 2^(128 - 127), 2^(126 - 127).
    for dtype in [Dtype::U8, Dtype::F8_E8M0] {
        let scale = bytes("m.weight_scale_inv", dtype, &[2, 1], vec![128, 126]);
        reads(fp8(json!([2, 8])), scale, Block::Tile { rows: 2, cols: 8 }, [2.0, 0.5]);
    }
    // Names of other tools, and no configuration but DeepSeek's name.
    reads(fp8(json!(null)), floats("m.weight_scale", &[], &[2.0]), Block::Tensor, [2.0; 2]);
    reads(json!(null), scale(&[1, 1], &[2.0]), Block::Tensor, [2.0; 2]);
}

#[test]
fn experts_of_llama_4_are_turned() {
    let dir = tempfile::tempdir().unwrap();
    let name = "model.layers.0.feed_forward.experts.gate_up_proj";
    // [experts, in, out]: codes of 1, 2, 1, 2 … in the first expert's two outputs.
    let codes = [[0x38, 0x40].repeat(3), [0x40, 0x38].repeat(3)].concat();
    let tensors = vec![
        bytes(name, Dtype::F8_E4M3, &[2, 3, 2], codes),
        floats(&format!("{name}_scale"), &[2, 1, 2], &[1.0, 10.0, 100.0, 1000.0]),
    ];
    write_model(dir.path(), config(json!({"quant_method": "fbgemm_fp8"})), tensors);
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let reading = layout::read(&checkpoint).unwrap().unwrap();
    let [stack] = &reading.linears[..] else { panic!("{reading:?}") };
    assert_eq!((stack.linear.orientation, &stack.linear.weight[..]), (Orientation::InOut, name));
    let want = [[1.0; 3], [20.0; 3], [200.0; 3], [1000.0; 3]].concat();
    assert_eq!(decoded(&checkpoint, stack), want);
}

#[test]
fn what_lies_is_refused() {
    let refused = |quantization: Value, tensors: Vec<Tensor>, want: &str| {
        let dir = tempfile::tempdir().unwrap();
        write_model(dir.path(), config(quantization), tensors);
        let error = layout::read(&Checkpoint::open(dir.path()).unwrap()).unwrap_err().to_string();
        assert!(error.contains(want), "{error}, not {want}");
    };
    let fp8 = || json!({"quant_method": "fp8", "weight_block_size": [0, 18446744073709551615u64]});
    let scale = |shape: &[usize]| floats("m.weight_scale_inv", shape, &vec![1.0; shape.iter().product()]);
    refused(
        fp8(),
        vec![ones("m.weight", &[4, 8]), scale(&[3, 1])],
        "[3, 1] scales do not divide 4x8 into blocks",
    );
    refused(fp8(), vec![ones("m.weight", &[4, 8]), scale(&[2, 2, 2])], "is no grid of scales of 4x8");
    refused(fp8(), vec![ones("m.weight", &[4, 8]), scale(&[0, 0])], "do not divide");
    refused(fp8(), vec![ones("m.weight", &[8]), scale(&[1, 1])], "is no matrix");
    refused(fp8(), vec![weights("m.weight", &[4, 8]), scale(&[1, 1])], "neither FP8 nor packed E2M1");
    let codes = bytes("m.weight_scale_inv", Dtype::F8_E4M3, &[1, 1], vec![0]);
    refused(fp8(), vec![ones("m.weight", &[4, 8]), codes], "is no scale of FP8");
}

#[test]
fn deepseek_v4_mixes_tiles_and_packed_experts() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut model = vec![weights("model.layers.0.self_attn.q_proj.weight", &[160, 128])];
    model.push(weights("model.layers.0.mlp.gate.weight", &[4, 128]));
    model.push(weights("model.layers.0.mlp.gate_proj.weight", &[64, 128]));
    write_model(dir.path(), llama_config(), model);
    let ue8m0 = FP8_BLOCK.with_scale(ScaleKind::E8m0);
    plan(dir.path(), out.path(), |job| (job.format, job.layout) = (ue8m0, layout::DEEPSEEK_V4))
        .run(&())
        .unwrap();
    let written = Checkpoint::open(out.path()).unwrap();
    let reading = layout::read(&written).unwrap().unwrap();
    assert_eq!(reading.layout.name(), "deepseek-v4");
    assert!(reading.linears.iter().all(|linear| linear.format == ue8m0));
    let scale = written.tensor("model.layers.0.self_attn.q_proj.scale").unwrap().entry;
    assert_eq!((scale.dtype, &scale.shape[..]), (Dtype::F8_E8M0, &[2, 1][..]));
    let config = written.config().unwrap();
    assert_eq!(
        (&config["expert_dtype"], &config["quantization_config"]["scale_fmt"]),
        (&json!("fp8"), &json!("ue8m0"))
    );
    // transformers takes a name for the beginning of others: the router must not take gate_proj with it.
    let left_out = &config["quantization_config"]["modules_to_not_convert"];
    assert_eq!(left_out, &json!(["lm_head", "model.layers.0.mlp.gate$"]));

    // An expert as its linear says it is.
    let expert = Linear {
        module: "e.0.w1".into(),
        weight: "e.0.w1.weight".into(),
        shape: lowbit_blocks::Shape::matrix(32, 64),
        ..Linear::default()
    };
    let parts = layout::DEEPSEEK_V4.parts(&expert, &MXFP4, Activations::Dynamic).unwrap();
    let about: Vec<_> = parts.iter().map(|p| (p.name.as_str(), p.dtype, p.shape.clone())).collect();
    assert_eq!(
        about,
        [("e.0.w1.weight", Dtype::I8, vec![32, 32]), ("e.0.w1.scale", Dtype::F8_E8M0, vec![32, 2])]
    );
    let other = tempfile::tempdir().unwrap();
    assert!(
        error(dir.path(), other.path(), |job| (job.format, job.layout) = (FP8, layout::DEEPSEEK_V4))
            .contains("layouts that can: ")
    );
}

/// Experts of Llama 4 go out of FBGEMM's stacks and come back to the same bytes, in the shapes that the model has.
#[test]
fn fbgemm_stacks_of_llama_4_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let config = json!({"model_type": "llama4_text", "dtype": "bfloat16", "quantization_config": {"quant_method": "fbgemm_fp8"}});
    let experts = "model.layers.0.feed_forward.experts";
    let tensor = |name: &str, dtype: Dtype, shape: &[usize]| {
        let bytes = shape.iter().product::<usize>() * dtype.bitsize() / 8;
        let at = |i: usize| match dtype {
            // Numbers below 1, of both signs; scales that bf16 holds.
            Dtype::F8_E4M3 => (i * 37 % 0x30 + (i % 2) * 0x80) as u8,
            _ => [0, 0, (i * 11) as u8, 0x3e][i % 4],
        };
        (format!("{experts}.{name}"), dtype, shape.to_vec(), (0..bytes).map(at).collect::<Vec<_>>())
    };
    let stacks = vec![
        tensor("gate_up_proj", Dtype::F8_E4M3, &[2, 32, 64]),
        tensor("gate_up_proj_scale", Dtype::F32, &[2, 1, 64]),
        tensor("down_proj", Dtype::F8_E4M3, &[2, 32, 48]),
        tensor("down_proj_scale", Dtype::F32, &[2, 48, 1]),
    ];
    write_model(dir.path(), config, stacks.clone());
    for between in [layout::COMPRESSED_TENSORS, layout::MODELOPT, layout::PLAIN] {
        let (apart, again) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (from, to, layout) in
            [(dir.path(), apart.path(), between), (apart.path(), again.path(), layout::FBGEMM_FP8)]
        {
            let mut job = ConvertJob::new(from, to, layout);
            job.exact_only = true;
            job.plan().unwrap().run(&()).unwrap();
        }
        let last = Checkpoint::open(again.path()).unwrap();
        for (name, dtype, shape, bytes) in &stacks {
            let found = last.tensor(name).unwrap_or_else(|| panic!("{}: no {name}", between.name()));
            assert_eq!((found.entry.dtype, &found.entry.shape), (*dtype, shape), "{name}");
            assert_eq!(found.read_all().unwrap(), *bytes, "{} {name}", between.name());
        }
    }
}

/// FP8 with static scales of its inputs, from ModelOpt's.
#[test]
fn static_fp8_is_written_from_a_source_that_has_the_scales() {
    let source = folders("modelopt-fp8").into_iter().find(|f| f.ends_with("modelopt-fp8")).unwrap();
    let out = tempfile::tempdir().unwrap();
    let mut job = ConvertJob::new(&source, out.path(), layout::FP8);
    job.exact_only = true;
    job.plan().unwrap().run(&()).unwrap();
    let (was, is) = (Checkpoint::open(&source).unwrap(), Checkpoint::open(out.path()).unwrap());
    let bytes = |of: &Checkpoint, suffix: &str| {
        of.tensor(&format!("model.layers.0.self_attn.k_proj.{suffix}")).unwrap().read_all().unwrap()
    };
    assert_eq!(bytes(&was, "input_scale"), bytes(&is, "activation_scale"));
    assert_eq!(bytes(&was, "weight_scale"), bytes(&is, "weight_scale_inv"));
    assert_eq!(bytes(&was, "weight"), bytes(&is, "weight"));
    assert_eq!(is.config().unwrap()["quantization_config"]["activation_scheme"], "static");
    let linear = &layout::read(&is).unwrap().unwrap().linears[0];
    assert_eq!(linear.activations, Activations::Static);
    assert!(linear.input_scale.is_some());
}
