//! The description of a checkpoint's model, and whether this runtime computes all of it.
//!
//! Descriptions come from the architecture table ([`lowbit_arch`]). What is described there and not run here is refused by name.

use lowbit_arch::{Act, Description, NormKind, Placement, RopePairs, RopeScaling, Routing};
use lowbit_checkpoint::{CONFIG, Checkpoint};
use std::path::Path;

use crate::{Error, Result};

/// How gate and up become the inside of the MLP: the activations that are run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Gating {
    Silu,
    GeluTanh,
}

/// The activation of a model; `None` for one that is not run.
pub(crate) fn gating(d: &Description) -> Option<Gating> {
    match d.act {
        Act::Silu => Some(Gating::Silu),
        Act::GeluTanh => Some(Gating::GeluTanh),
        _ => None,
    }
}

/// The families that are run, by `model_type`: those whose logits are held to transformers' in the tests.
const RUN: [&str; 8] = ["llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "mixtral", "qwen3_moe"];

/// Reads the description of a checkpoint's model.
pub(crate) fn describe(checkpoint: &Checkpoint) -> Result<Description> {
    let file = checkpoint.dir().join(CONFIG);
    let Some(map) = checkpoint.config() else {
        let reason = "is not there: no configuration".into();
        return Err(Error::Config { file, setting: "model_type".into(), reason });
    };
    let model_type = map.get("model_type").and_then(|name| name.as_str());
    if let Some(other) = model_type.filter(|name| !RUN.contains(name)) {
        let can = format!("models that are: {}", RUN.join(", "));
        return Err(Error::Unsupported { file, what: format!("model_type {other}"), can });
    }
    let description = Description::read(map).map_err(|error| in_file(&file, error))?;
    match not_run(&description) {
        None => Ok(description),
        Some((what, can)) => Err(Error::Unsupported { file, what: what.into(), can: can.into() }),
    }
}

/// An error of the table, with the file.
fn in_file(file: &Path, error: lowbit_arch::Error) -> Error {
    let file = file.to_owned();
    match error {
        lowbit_arch::Error::Setting { setting, reason } => Error::Config { file, setting, reason },
        lowbit_arch::Error::Unsupported { what, can } => Error::Unsupported { file, what, can },
        other => Error::Unsupported { file, what: other.to_string(), can: "other models are".into() },
    }
}

/// The first part of a description that this runtime does not compute, and what it computes instead.
fn not_run(d: &Description) -> Option<(&'static str, &'static str)> {
    let rope = d.rope.as_ref();
    let softmax = |routing| routing == Routing::Softmax;
    let checks = [
        (d.norm == NormKind::Rms, "layer norm", "RMS norm is"),
        (d.placement != Placement::Parallel, "attention beside the MLP", "attention before it is"),
        (d.latent.is_none(), "latent attention", "grouped queries are"),
        (!d.sinks, "attention with sinks", "attention without them is"),
        (rope.is_some(), "a table of positions", "rotary positions are"),
        (rope.is_none_or(|r| r.dims == d.head_dim), "a part of a head that rotates", "whole heads are"),
        (rope.is_none_or(|r| r.pairs == RopePairs::Halves), "rotation of adjacent features", "halves are"),
        (rope.is_none_or(|r| r.scaling != RopeScaling::LongRope), "longrope", "yarn is"),
        (d.gated, "an MLP without a gate", "gated ones are"),
        (gating(d).is_some(), "this activation", "silu and gelu_pytorch_tanh are"),
        (d.residual_scale == 1.0 && d.logit_divisor == 1.0, "scaled outputs", "models without are"),
        (
            d.experts.as_ref().is_none_or(|e| softmax(e.routing) && e.shared == 0),
            "these experts",
            "softmax is",
        ),
    ];
    checks.into_iter().find(|check| !check.0).map(|(_, what, can)| (what, can))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first part that is not run of a small model with these settings beside the sizes.
    fn first_not_run(settings: serde_json::Value) -> Option<&'static str> {
        let sizes = serde_json::json!({
            "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
            "vocab_size": 32,
        });
        let mut config = sizes.as_object().cloned().unwrap_or_default();
        config.extend(settings.as_object().cloned().unwrap_or_default());
        not_run(&Description::read(&config).unwrap()).map(|(what, _)| what)
    }

    #[test]
    fn what_is_not_computed_is_found_in_the_description() {
        use serde_json::json;
        assert_eq!(first_not_run(json!({"model_type": "llama"})), None);
        assert_eq!(first_not_run(json!({"model_type": "gpt2"})), Some("layer norm"));
        let latent = json!({"model_type": "deepseek_v3", "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8,
            "v_head_dim": 8, "n_routed_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 16});
        assert_eq!(first_not_run(latent), Some("latent attention"));
        let sinks = json!({"model_type": "gpt_oss", "num_local_experts": 4, "num_experts_per_tok": 2});
        assert_eq!(first_not_run(sinks), Some("attention with sinks"));
        let part = json!({"model_type": "phi3", "partial_rotary_factor": 0.5});
        assert_eq!(first_not_run(part), Some("a part of a head that rotates"));
        let scaled = json!({"model_type": "granite", "residual_multiplier": 0.22});
        assert_eq!(first_not_run(scaled), Some("scaled outputs"));
    }
}
