//! Which norm or linear produces what a linear reads: where a pre-scale can be folded.
//!
//! ```text
//! input_layernorm            -> q_proj, k_proj, v_proj (qkv_proj; q_a_proj, kv_a_proj_with_mqa)
//! post_attention_layernorm   -> gate_proj, up_proj (gate_up_proj; of every expert and the shared one), and the router
//! pre_feedforward_layernorm  -> the same, in models that also have norms after attention (Gemma 2 and 3)
//! v_proj                     -> o_proj             value heads that several heads share: see `lowbit_calib::fold::share_heads`
//! up_proj                    -> down_proj          of every expert its own
//! ```
//!
//! A norm is listed only if every weight of the modules that read it is known to read it, or known to read something else: a reader left out would
//! see inputs that are divided by scales it was not multiplied by.
//!
//! Sources: AutoAWQ `models/`, llm-compressor `awq/mappings.py` (which has the routers), transformers' modelling files.

use std::collections::BTreeSet;

/// How what is produced is divided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Producer {
    /// A norm's weight, and its bias.
    Norm,
    /// Rows of a linear, and its bias: as many as the readers have columns.
    Rows,
    /// Rows of a value projection: as many as the readers have columns, or fewer with grouped heads.
    Values,
}

/// One producer and all that reads it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Feed {
    /// The module that is divided.
    pub from: String,
    /// How.
    pub producer: Producer,
    /// Linears whose columns are multiplied, in order of their names.
    pub to: Vec<String>,
    /// Routers whose columns are multiplied too.
    pub routers: Vec<String>,
}

/// A norm and the modules that read it, by their last names, among the modules of one part of a layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NormFeed {
    /// The norm's name below the layer.
    pub name: &'static str,
    /// Another norm without which this one is no norm of such an input.
    pub with: Option<&'static str>,
    /// Another norm beside which this one is no norm of such an input.
    pub without: Option<&'static str>,
    /// The parts of a layer in which its readers are.
    pub parts: &'static [&'static str],
    /// Linears that read it.
    pub readers: &'static [&'static str],
    /// Routers that read it.
    pub routers: &'static [&'static str],
    /// Modules of these parts that read something else.
    pub others: &'static [&'static str],
}

const FEED_FORWARD: NormFeed = NormFeed {
    name: "pre_feedforward_layernorm",
    with: None,
    without: None,
    parts: &["mlp", "block_sparse_moe", "feed_forward"],
    readers: &["gate_proj", "up_proj", "gate_up_proj", "w1", "w3"],
    routers: &["gate", "router", "shared_expert_gate"],
    others: &["down_proj", "w2"],
};

/// The norms of families without rows of their own, which most families have.
pub(crate) const GENERIC_NORMS: &[NormFeed] = &[
    NormFeed {
        name: "input_layernorm",
        with: None,
        without: None,
        parts: &["self_attn"],
        readers: &["q_proj", "k_proj", "v_proj", "qkv_proj", "q_a_proj", "kv_a_proj_with_mqa"],
        routers: &[],
        others: &["o_proj", "q_b_proj", "kv_b_proj", "q_norm", "k_norm", "q_a_layernorm", "kv_a_layernorm"],
    },
    // Gemma's comes after attention and feeds the residual stream; so does OLMo 2's, which has none before it.
    NormFeed {
        name: "post_attention_layernorm",
        with: Some("input_layernorm"),
        without: Some("pre_feedforward_layernorm"),
        ..FEED_FORWARD
    },
    FEED_FORWARD,
];

/// GPT-2's.
pub(crate) const GPT2_NORMS: &[NormFeed] = &[
    NormFeed {
        name: "ln_1",
        with: None,
        without: None,
        parts: &["attn"],
        readers: &["c_attn"],
        routers: &[],
        others: &["c_proj"],
    },
    NormFeed {
        name: "ln_2",
        with: None,
        without: None,
        parts: &["mlp"],
        readers: &["c_fc"],
        routers: &[],
        others: &["c_proj"],
    },
];

/// GPT-NeoX's.
pub(crate) const GPT_NEOX_NORMS: &[NormFeed] = &[
    NormFeed {
        name: "input_layernorm",
        with: None,
        without: None,
        parts: &["attention"],
        readers: &["query_key_value"],
        routers: &[],
        others: &["dense"],
    },
    NormFeed {
        name: "post_attention_layernorm",
        with: None,
        without: None,
        parts: &["mlp"],
        readers: &["dense_h_to_4h"],
        routers: &[],
        others: &["dense_4h_to_h"],
    },
];

/// Modules of one parent that feed one another: producer, reader, and what must be beside them. Without a gate an activation follows up_proj.
const PAIRS: [(&str, &str, Option<&str>, Producer); 5] = [
    ("v_proj", "o_proj", None, Producer::Values),
    ("up_proj", "down_proj", Some("gate_proj"), Producer::Rows),
    ("w3", "w2", Some("w1"), Producer::Rows),
    ("q_a_layernorm", "q_b_proj", None, Producer::Norm),
    ("kv_a_layernorm", "kv_b_proj", None, Producer::Norm),
];

fn split(module: &str) -> (&str, &str) {
    module.rsplit_once('.').unwrap_or(("", module))
}

/// The feeds among the modules (names of weights without `.weight`) of one decoder layer: norms first, then linears, each in the order of names.
pub(crate) fn feeds<'a>(
    norms: &[NormFeed],
    layer: &str,
    modules: impl IntoIterator<Item = &'a str>,
) -> Vec<Feed> {
    let below = |module: &'a str| module.strip_prefix(layer)?.strip_prefix('.');
    let inner: BTreeSet<&str> = modules.into_iter().filter_map(below).collect();
    let full = |name: &str| format!("{layer}.{name}");
    let mut feeds = Vec::new();
    for norm in norms {
        let there = |name: &str| inner.contains(name);
        let applies = there(norm.name) && norm.with.is_none_or(there) && !norm.without.is_some_and(there);
        let in_parts = |name: &&&str| {
            norm.parts.iter().any(|part| name.strip_prefix(part).is_some_and(|rest| rest.starts_with('.')))
        };
        let beside: Vec<&str> = inner.iter().filter(in_parts).copied().collect();
        let of = |names: &[&str]| -> Vec<String> {
            beside.iter().filter(|name| names.contains(&split(name).1)).map(|name| full(name)).collect()
        };
        let (to, routers) = (of(norm.readers), of(norm.routers));
        let known = to.len() + routers.len() + of(norm.others).len() == beside.len();
        if applies && known && !to.is_empty() {
            feeds.push(Feed { from: full(norm.name), producer: Producer::Norm, to, routers });
        }
    }
    for name in &inner {
        let (parent, last) = split(name);
        for (_, reader, beside, producer) in PAIRS.iter().filter(|row| row.0 == last) {
            let sibling = |name: &str| format!("{parent}.{name}");
            let there = |name: &str| inner.contains(&sibling(name)[..]);
            if there(reader) && beside.is_none_or(there) {
                let to = vec![full(&sibling(reader))];
                feeds.push(Feed { from: full(name), producer: *producer, to, routers: Vec::new() });
            }
        }
    }
    feeds
}
