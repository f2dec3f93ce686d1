//! The rows that hold for every family: what is not a linear layer, and which linears share a scale.
//!
//! The first rule that takes a name decides. Sources: ModelOpt's default disabled quantizers, llm-compressor's ignore lists, the modules that
//! vLLM fuses.

use super::Role;

/// One row: modules whose name has such a component are of this role.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// What the module is.
    pub role: Role,
    /// Which component of the name is looked at.
    pub at: At,
    /// What it must be.
    pub is: Is,
}

/// Which dotted component of a module's name a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The whole name.
    Whole,
    /// The last component: the module itself.
    Last,
    /// Any component: the module or one that holds it.
    Any,
}

/// What a component must be.
#[derive(Clone, Copy, Debug)]
pub enum Is {
    /// One of these names.
    Named(&'static [&'static str]),
    /// A name with one of these in it.
    Has(&'static [&'static str]),
}

impl Rule {
    /// Whether this module (a name without `.weight`) is taken by the rule.
    ///
    /// ```
    /// use lowbit_arch::{At, Is, Role, Rule};
    /// let rule = Rule { role: Role::Router, at: At::Last, is: Is::Named(&["gate"]) };
    /// assert!(rule.takes("model.layers.0.mlp.gate") && !rule.takes("model.layers.0.mlp.gate_proj"));
    /// ```
    pub fn takes(&self, module: &str) -> bool {
        let holds = |component: &str| match self.is {
            Is::Named(names) => names.contains(&component),
            Is::Has(parts) => parts.iter().any(|part| component.contains(part)),
        };
        match self.at {
            At::Whole => holds(module),
            At::Last => holds(module.rsplit('.').next().unwrap_or(module)),
            At::Any => module.split('.').any(holds),
        }
    }
}

/// What is not a linear layer, in every family. Vision and prediction towers come first, because they hold linears of their own.
pub const RULES: &[Rule] = &[
    Rule { role: Role::Mtp, at: At::Any, is: Is::Has(&["mtp"]) },
    Rule { role: Role::Vision, at: At::Any, is: Is::Has(&["vision", "visual"]) },
    Rule {
        role: Role::Vision,
        at: At::Any,
        is: Is::Named(&[
            "multi_modal_projector",
            "mm_projector",
            "vpm",
            "resampler",
            "audio_tower",
            "embed_audio",
        ]),
    },
    // GPT-NeoX calls its two tables `embed_in` and `embed_out`: only the first is looked up.
    Rule { role: Role::Head, at: At::Last, is: Is::Named(&["embed_out"]) },
    // Linears between embeddings and the first layer: small, and before everything else.
    Rule {
        role: Role::Projection,
        at: At::Last,
        is: Is::Named(&[
            "embedding_hidden_mapping_in",
            "embeddings_project",
            "embedding_projection",
            "embed_proj",
        ]),
    },
    // Not "emb" alone: a rotary table is a buffer.
    Rule { role: Role::Embedding, at: At::Any, is: Is::Has(&["embed"]) },
    Rule { role: Role::Embedding, at: At::Last, is: Is::Named(&["wte", "wpe", "relative_attention_bias"]) },
    Rule { role: Role::Embedding, at: At::Whole, is: Is::Named(&["shared"]) },
    Rule { role: Role::Norm, at: At::Last, is: Is::Has(&["norm", "Norm"]) },
    Rule { role: Role::Norm, at: At::Last, is: Is::Named(&["ln_f", "ln_1", "ln_2", "ln1", "ln2"]) },
    Rule { role: Role::Router, at: At::Any, is: Is::Has(&["router"]) },
    Rule { role: Role::Router, at: At::Any, is: Is::Named(&["gate", "shared_expert_gate"]) },
    // Mamba's step sizes: small, and the scan reads the weight itself rather than calling the module.
    Rule { role: Role::Router, at: At::Last, is: Is::Named(&["dt_proj"]) },
    Rule { role: Role::Head, at: At::Any, is: Is::Named(&["lm_head"]) },
    Rule {
        role: Role::Head,
        at: At::Last,
        is: Is::Named(&["output_layer", "proj_out", "score", "classifier", "qa_outputs", "decoder"]),
    },
    // Only at the top: BERT's `attention.output.dense` is a linear like any other.
    Rule { role: Role::Head, at: At::Whole, is: Is::Named(&["output"]) },
    Rule { role: Role::Conv, at: At::Last, is: Is::Has(&["conv"]) },
];

/// Linears of one parent that engines run as one matrix product, and whose tensor scale is therefore one.
pub const SHARED: &[&[&str]] = &[
    &["q_proj", "k_proj", "v_proj"],
    &["gate_proj", "up_proj"],
    &["w1", "w3"],
    &["q_a_proj", "kv_a_proj_with_mqa"],
];
