//! What feeds what, on the module names of real models.

use lowbit_arch::{Arch, Feed, Producer};

const LAYER: &str = "model.layers.3";

fn found(names: &[&str]) -> Vec<Feed> {
    let modules: Vec<String> = names.iter().map(|name| format!("{LAYER}.{name}")).collect();
    // Another layer, and a name that only begins alike, are none of its business.
    let others = ["model.layers.30.mlp.up_proj", "model.layers.30.mlp.down_proj", "model.norm"];
    Arch::generic().feeds(LAYER, modules.iter().map(String::as_str).chain(others))
}

fn check(names: &[&str], want: &[(&str, Producer, &[&str], &[&str])]) {
    let full =
        |names: &[&str]| -> Vec<String> { names.iter().map(|name| format!("{LAYER}.{name}")).collect() };
    let want: Vec<Feed> = want
        .iter()
        .map(|(from, producer, to, routers)| Feed {
            from: format!("{LAYER}.{from}"),
            producer: *producer,
            to: full(to),
            routers: full(routers),
        })
        .collect();
    assert_eq!(found(names), want);
}

const ATTENTION: [&str; 5] =
    ["input_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"];
const QKV: &[&str] = &["self_attn.k_proj", "self_attn.q_proj", "self_attn.v_proj"];
const VALUES: (&str, Producer, &[&str], &[&str]) =
    ("self_attn.v_proj", Producer::Values, &["self_attn.o_proj"], &[]);

#[test]
fn llama_and_qwen3() {
    let rest = [
        "self_attn.q_norm",
        "self_attn.k_norm",
        "post_attention_layernorm",
        "mlp.gate_proj",
        "mlp.up_proj",
        "mlp.down_proj",
    ];
    check(
        &[&ATTENTION[..], &rest].concat(),
        &[
            ("input_layernorm", Producer::Norm, QKV, &[]),
            ("post_attention_layernorm", Producer::Norm, &["mlp.gate_proj", "mlp.up_proj"], &[]),
            ("mlp.up_proj", Producer::Rows, &["mlp.down_proj"], &[]),
            VALUES,
        ],
    );
}

#[test]
fn routers_of_experts_are_readers() {
    let mixtral = [
        "post_attention_layernorm",
        "block_sparse_moe.gate",
        "block_sparse_moe.experts.0.w1",
        "block_sparse_moe.experts.0.w2",
        "block_sparse_moe.experts.0.w3",
    ];
    check(
        &[&ATTENTION[..], &mixtral].concat(),
        &[
            ("input_layernorm", Producer::Norm, QKV, &[]),
            (
                "post_attention_layernorm",
                Producer::Norm,
                &["block_sparse_moe.experts.0.w1", "block_sparse_moe.experts.0.w3"],
                &["block_sparse_moe.gate"],
            ),
            ("block_sparse_moe.experts.0.w3", Producer::Rows, &["block_sparse_moe.experts.0.w2"], &[]),
            VALUES,
        ],
    );
    let qwen = [
        "input_layernorm",
        "post_attention_layernorm",
        "mlp.gate",
        "mlp.shared_expert_gate",
        "mlp.shared_expert.gate_proj",
        "mlp.shared_expert.up_proj",
        "mlp.shared_expert.down_proj",
        "mlp.experts.1.gate_proj",
        "mlp.experts.1.up_proj",
        "mlp.experts.1.down_proj",
    ];
    let feeds = found(&qwen);
    assert_eq!((feeds.len(), feeds[0].to.len()), (3, 4));
    assert_eq!(feeds[0].routers, ["gate", "shared_expert_gate"].map(|name| format!("{LAYER}.mlp.{name}")));
}

#[test]
fn norms_that_come_after_feed_nothing() {
    let gemma = [
        "post_attention_layernorm",
        "pre_feedforward_layernorm",
        "post_feedforward_layernorm",
        "mlp.gate_proj",
        "mlp.up_proj",
        "mlp.down_proj",
    ];
    let feeds = found(&[&ATTENTION[..], &gemma].concat());
    let from: Vec<&str> = feeds.iter().map(|feed| &feed.from[LAYER.len() + 1..]).collect();
    assert_eq!(from, ["input_layernorm", "pre_feedforward_layernorm", "mlp.up_proj", "self_attn.v_proj"]);
    // OLMo 2: no norm before attention, and this one after it.
    let olmo = [
        "post_attention_layernorm",
        "post_feedforward_layernorm",
        "mlp.gate_proj",
        "mlp.up_proj",
        "mlp.down_proj",
    ];
    let feeds = found(&[&ATTENTION[1..], &olmo].concat());
    assert!(feeds.iter().all(|feed| feed.producer != Producer::Norm), "{feeds:?}");
}

#[test]
fn a_weight_that_nobody_knows_keeps_its_norm_from_being_folded() {
    let odd = ["post_attention_layernorm", "mlp.gate_proj", "mlp.up_proj", "mlp.side_proj", "mlp.down_proj"];
    let feeds = found(&[&ATTENTION[..], &odd].concat());
    assert!(!feeds.iter().any(|feed| feed.from.ends_with("post_attention_layernorm")), "{feeds:?}");
    assert_eq!(feeds.len(), 3);
    // Nemotron has no gate: an activation lies between these two.
    assert!(found(&["mlp.up_proj", "mlp.down_proj"]).is_empty());
    assert!(found(&["input_layernorm"]).is_empty() && found(&[]).is_empty());
}
