//! Configurations and tensors that cannot be run say so, and say what.

use crate::tiny::Tiny;
use lowbit_checkpoint::Checkpoint;
use lowbit_model::{Error, Model, windows};
use serde_json::{Value, json};

/// What is said of a Llama with another setting.
fn with(key: &str, value: Value) -> String {
    let mut tiny = Tiny::read("llama");
    tiny.config.insert(key.to_owned(), value);
    let dir = tiny.write();
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let run = || Model::open(&checkpoint)?.hidden(&tiny.tokens);
    let said = run().unwrap_err().to_string();
    said.replace(&dir.path().display().to_string(), "DIR")
}

#[test]
fn settings_that_are_not_run_are_named() {
    let said = with("model_type", json!("mamba"));
    assert!(
        said.starts_with("DIR/config.json: model_type mamba is not run; models that are: llama, mistral"),
        "{said}"
    );
    for (key, value, what) in [
        ("hidden_act", json!("relu2"), "hidden_act relu2 is not run"),
        ("partial_rotary_factor", json!(0.5), "partial_rotary_factor 0.5 is not run"),
        (
            "rope_parameters",
            json!({"rope_type": "longrope", "rope_theta": 1e4}),
            "rope_type longrope is not run",
        ),
        (
            "layer_types",
            json!(["full_attention", "linear_attention"]),
            "layer type \"linear_attention\" is not run",
        ),
        ("residual_multiplier", json!(0.2), "setting residual_multiplier of a llama model is not run"),
    ] {
        let said = with(key, value);
        assert!(said.contains(what), "{key}: {said}");
    }
}

#[test]
fn settings_that_make_no_sense_are_named() {
    for (key, value, what) in [
        ("model_type", Value::Null, "`model_type` is not there"),
        ("hidden_size", json!(0), "`hidden_size` is 0, not a size from 1 to 16777216"),
        ("hidden_size", json!(1u64 << 60), "`hidden_size` is 1152921504606846976, not a size"),
        ("num_hidden_layers", json!("two"), "`num_hidden_layers` is \"two\", not a size"),
        ("num_key_value_heads", json!(3), "`num_key_value_heads` 3 does not divide 4 heads"),
        ("head_dim", json!(7), "`head_dim` 7 is not a positive even number"),
        ("rms_norm_eps", json!(-1.0), "`rms_norm_eps` is -1.0, not a positive number"),
        ("layer_types", json!(["full_attention"]), "`layer_types` names 1 layers of 2"),
        ("rope_parameters", json!({"rope_type": "linear"}), "`factor` is not there, but rope_type is linear"),
        ("attention_bias", json!(1), "`attention_bias` is 1, not true or false"),
        // Sizes that the tensors do not have.
        (
            "vocab_size",
            json!(49),
            "tensor `model.embed_tokens.weight` is [48, 32], but the configuration asks for [49, 32]",
        ),
        ("intermediate_size", json!(64), "tensor `model.layers.0.mlp."),
        ("num_hidden_layers", json!(3), "there is no tensor `model.layers.2."),
        ("attention_bias", json!(true), "there is no tensor `model.layers.0.self_attn."),
    ] {
        let said = with(key, value);
        assert!(said.contains(what), "{key}: {said}");
    }
}

#[test]
fn tokens_that_make_no_sense_are_refused() {
    let tiny = Tiny::read("llama");
    let dir = tiny.write();
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let model = Model::open(&checkpoint).unwrap();
    let said = |sequences: &[&[u32]]| model.loss(sequences).unwrap_err().to_string();
    assert_eq!(said(&[]), "there are no tokens");
    assert_eq!(said(&[&[1], &[]]), "sequence 1 has no tokens");
    assert_eq!(said(&[&[1, 48]]), "token 48 of sequence 0 is beyond a vocabulary of 48");
    assert_eq!(said(&[&[1]]), "no sequence has a token after its first");
    assert_eq!(windows(&[1, 2, 3], 2, 2).unwrap_err().to_string(), "3 tokens fill 1 windows of 2, not 2");
    assert!(windows(&[1, 2, 3], 0, 1).is_err() && windows(&[1, 2, 3], 2, 0).is_err());
    assert!(matches!(model.generate(&[], 1), Err(Error::Tokens(_))));
}

#[test]
fn numbers_that_are_none_are_found() {
    let tiny = Tiny::read("llama");
    let dir = tiny.write();
    // The first value of the last tensor in the file.
    let path = dir.path().join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let model = Model::open(&checkpoint).unwrap();
    let error = model.loss(&tiny.tokens).unwrap_err();
    assert!(matches!(error, Error::NonFinite { .. }), "{error}");
}

#[test]
fn a_model_without_configuration_is_refused() {
    let dir = Tiny::read("llama").write();
    let checkpoint = Checkpoint::open(dir.path().join("model.safetensors")).unwrap();
    let said = Model::open(&checkpoint).unwrap_err().to_string();
    assert!(said.contains("`model_type` is not there: no configuration"), "{said}");
}
