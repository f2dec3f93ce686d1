//! The tensors of a decoder by their place in it: names in Hugging Face checkpoints and in GGUF files.
//!
//! ```text
//! Slot::Query       model.layers.3.self_attn.q_proj.weight        blk.3.attn_q.weight
//! Slot::ExpertUp    model.layers.3.mlp.experts.7.up_proj.weight   blk.3.ffn_up_exps.weight, matrix 7       experts are one stack
//! Slot::Head        lm_head.weight                                output.weight
//! ```
//!
//! Source: gguf-py's `tensor_mapping.py`.

use crate::Role;

/// The place of a tensor in a decoder.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Slot {
    /// Table of the vocabulary.
    Embedding,
    /// Table of learned positions.
    Positions,
    /// The last norm.
    FinalNorm,
    /// The output head.
    Head,
    /// Norm of what the attention reads.
    AttentionNorm,
    /// Norm of what the attention adds.
    AttentionPostNorm,
    /// Norm of what the MLP reads.
    MlpNorm,
    /// Norm of what the MLP adds.
    MlpPostNorm,
    /// Queries.
    Query,
    /// Keys.
    Key,
    /// Values.
    Value,
    /// Queries, keys and values in one matrix.
    QueryKeyValue,
    /// The output of the attention.
    AttentionOut,
    /// Norm of the heads of queries.
    QueryNorm,
    /// Norm of the heads of keys.
    KeyNorm,
    /// Sinks of the heads.
    Sinks,
    /// Latent of the queries.
    QueryDown,
    /// Norm of that latent.
    QueryDownNorm,
    /// Queries from their latent.
    QueryUp,
    /// Latent of keys and values, and the rotated part of the keys.
    KeyValueDown,
    /// Norm of that latent.
    KeyValueDownNorm,
    /// Keys and values from their latent.
    KeyValueUp,
    /// Gate of the MLP.
    Gate,
    /// Up of the MLP.
    Up,
    /// Gate and up in one matrix.
    GateUp,
    /// Down of the MLP.
    Down,
    /// The router of a mixture of experts.
    Router,
    /// What is added to a router's outputs when experts are chosen.
    RouterBias,
    /// Gate of an expert; `*` in the name is its number.
    ExpertGate,
    /// Up of an expert.
    ExpertUp,
    /// Down of an expert.
    ExpertDown,
    /// Gates and ups of all experts in one 3-D tensor.
    ExpertsGateUp,
    /// Downs of all experts in one 3-D tensor.
    ExpertsDown,
    /// Gate of the shared expert.
    SharedGate,
    /// Up of the shared expert.
    SharedUp,
    /// Down of the shared expert.
    SharedDown,
    /// The gate that weighs the shared expert.
    SharedRouter,
}

impl Slot {
    /// Whether there is one in each layer.
    ///
    /// ```
    /// use lowbit_arch::Slot;
    /// assert!(Slot::Query.is_in_layer() && !Slot::Head.is_in_layer());
    /// ```
    pub const fn is_in_layer(self) -> bool {
        !matches!(self, Self::Embedding | Self::Positions | Self::FinalNorm | Self::Head)
    }

    /// Whether it is a linear of a layer, which quantization is for. The output head and routers are not.
    ///
    /// ```
    /// use lowbit_arch::Slot;
    /// assert!(Slot::Query.is_linear() && !Slot::Router.is_linear());
    /// ```
    pub const fn is_linear(self) -> bool {
        matches!(self.role(), Role::Linear | Role::Experts)
    }

    /// What a tensor in this place is; a family may store it transposed.
    ///
    /// ```
    /// use lowbit_arch::{Role, Slot};
    /// assert_eq!(Slot::KeyNorm.role(), Role::Norm);
    /// ```
    pub const fn role(self) -> Role {
        match self {
            Self::Embedding | Self::Positions => Role::Embedding,
            Self::Head => Role::Head,
            Self::FinalNorm
            | Self::AttentionNorm
            | Self::AttentionPostNorm
            | Self::MlpNorm
            | Self::MlpPostNorm
            | Self::QueryNorm
            | Self::KeyNorm
            | Self::QueryDownNorm
            | Self::KeyValueDownNorm => Role::Norm,
            Self::Router | Self::RouterBias | Self::SharedRouter => Role::Router,
            Self::Sinks => Role::Other,
            Self::ExpertsGateUp | Self::ExpertsDown => Role::Experts,
            Self::Query
            | Self::Key
            | Self::Value
            | Self::QueryKeyValue
            | Self::AttentionOut
            | Self::QueryDown
            | Self::QueryUp
            | Self::KeyValueDown
            | Self::KeyValueUp
            | Self::Gate
            | Self::Up
            | Self::GateUp
            | Self::Down
            | Self::ExpertGate
            | Self::ExpertUp
            | Self::ExpertDown
            | Self::SharedGate
            | Self::SharedUp
            | Self::SharedDown => Role::Linear,
        }
    }
}

/// A tensor of a family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Name {
    /// Its place.
    pub slot: Slot,
    /// Its module below the model, or below a layer: `self_attn.q_proj`; `*` is the number of an expert.
    pub module: &'static str,
    /// Its stem in GGUF, `attn_q`; two where GGUF has two tensors; none where it has none.
    pub gguf: &'static [&'static str],
    /// Whether the tensor is called `module.weight`, not `module`.
    pub is_weight: bool,
}

const fn name(slot: Slot, module: &'static str, gguf: &'static [&'static str]) -> Name {
    Name { slot, module, gguf, is_weight: true }
}

const fn bare(slot: Slot, module: &'static str, gguf: &'static [&'static str]) -> Name {
    Name { slot, module, gguf, is_weight: false }
}

/// Names of a family, in groups that other families have too.
pub(crate) type Names = &'static [&'static [Name]];

pub(crate) const TOP: &[Name] = &[
    name(Slot::Embedding, "embed_tokens", &["token_embd"]),
    name(Slot::FinalNorm, "norm", &["output_norm"]),
    name(Slot::Head, "lm_head", &["output"]),
];

pub(crate) const PRE_NORMS: &[Name] = &[
    name(Slot::AttentionNorm, "input_layernorm", &["attn_norm"]),
    name(Slot::MlpNorm, "post_attention_layernorm", &["ffn_norm"]),
];

/// Gemma 2: norms before and after.
pub(crate) const PRE_AND_POST_NORMS: &[Name] = &[
    name(Slot::AttentionNorm, "input_layernorm", &["attn_norm"]),
    name(Slot::AttentionPostNorm, "post_attention_layernorm", &["post_attention_norm"]),
    name(Slot::MlpNorm, "pre_feedforward_layernorm", &["ffn_norm"]),
    name(Slot::MlpPostNorm, "post_feedforward_layernorm", &["post_ffw_norm"]),
];

/// gpt-oss: GGUF calls the second norm after what it follows.
pub(crate) const GPT_OSS_NORMS: &[Name] = &[
    name(Slot::AttentionNorm, "input_layernorm", &["attn_norm"]),
    name(Slot::MlpNorm, "post_attention_layernorm", &["post_attention_norm"]),
];

pub(crate) const ATTENTION: &[Name] = &[
    name(Slot::Query, "self_attn.q_proj", &["attn_q"]),
    name(Slot::Key, "self_attn.k_proj", &["attn_k"]),
    name(Slot::Value, "self_attn.v_proj", &["attn_v"]),
    name(Slot::AttentionOut, "self_attn.o_proj", &["attn_output"]),
];

pub(crate) const FUSED_ATTENTION: &[Name] = &[
    name(Slot::QueryKeyValue, "self_attn.qkv_proj", &["attn_qkv"]),
    name(Slot::AttentionOut, "self_attn.o_proj", &["attn_output"]),
];

pub(crate) const LATENT_ATTENTION: &[Name] = &[
    name(Slot::QueryDown, "self_attn.q_a_proj", &["attn_q_a"]),
    name(Slot::QueryDownNorm, "self_attn.q_a_layernorm", &["attn_q_a_norm"]),
    name(Slot::QueryUp, "self_attn.q_b_proj", &["attn_q_b"]),
    name(Slot::KeyValueDown, "self_attn.kv_a_proj_with_mqa", &["attn_kv_a_mqa"]),
    name(Slot::KeyValueDownNorm, "self_attn.kv_a_layernorm", &["attn_kv_a_norm"]),
    name(Slot::KeyValueUp, "self_attn.kv_b_proj", &["attn_kv_b"]),
    name(Slot::AttentionOut, "self_attn.o_proj", &["attn_output"]),
];

pub(crate) const HEAD_NORMS: &[Name] = &[
    name(Slot::QueryNorm, "self_attn.q_norm", &["attn_q_norm"]),
    name(Slot::KeyNorm, "self_attn.k_norm", &["attn_k_norm"]),
];

pub(crate) const SINKS: &[Name] = &[bare(Slot::Sinks, "self_attn.sinks", &["attn_sinks"])];

pub(crate) const MLP: &[Name] = &[
    name(Slot::Gate, "mlp.gate_proj", &["ffn_gate"]),
    name(Slot::Up, "mlp.up_proj", &["ffn_up"]),
    name(Slot::Down, "mlp.down_proj", &["ffn_down"]),
];

pub(crate) const FUSED_MLP: &[Name] =
    &[name(Slot::GateUp, "mlp.gate_up_proj", &["ffn_up"]), name(Slot::Down, "mlp.down_proj", &["ffn_down"])];

pub(crate) const EXPERTS: &[Name] = &[
    name(Slot::Router, "mlp.gate", &["ffn_gate_inp"]),
    name(Slot::ExpertGate, "mlp.experts.*.gate_proj", &["ffn_gate_exps"]),
    name(Slot::ExpertUp, "mlp.experts.*.up_proj", &["ffn_up_exps"]),
    name(Slot::ExpertDown, "mlp.experts.*.down_proj", &["ffn_down_exps"]),
];

pub(crate) const MIXTRAL_EXPERTS: &[Name] = &[
    name(Slot::Router, "block_sparse_moe.gate", &["ffn_gate_inp"]),
    name(Slot::ExpertGate, "block_sparse_moe.experts.*.w1", &["ffn_gate_exps"]),
    name(Slot::ExpertUp, "block_sparse_moe.experts.*.w3", &["ffn_up_exps"]),
    name(Slot::ExpertDown, "block_sparse_moe.experts.*.w2", &["ffn_down_exps"]),
];

/// Qwen 2: one shared expert behind a gate.
pub(crate) const GATED_SHARED_EXPERT: &[Name] = &[
    name(Slot::SharedRouter, "mlp.shared_expert_gate", &["ffn_gate_inp_shexp"]),
    name(Slot::SharedGate, "mlp.shared_expert.gate_proj", &["ffn_gate_shexp"]),
    name(Slot::SharedUp, "mlp.shared_expert.up_proj", &["ffn_up_shexp"]),
    name(Slot::SharedDown, "mlp.shared_expert.down_proj", &["ffn_down_shexp"]),
];

/// DeepSeek: shared experts as one MLP, and a bias that balances the choice.
pub(crate) const SHARED_EXPERTS: &[Name] = &[
    bare(Slot::RouterBias, "mlp.gate.e_score_correction_bias", &["exp_probs_b"]),
    name(Slot::SharedGate, "mlp.shared_experts.gate_proj", &["ffn_gate_shexp"]),
    name(Slot::SharedUp, "mlp.shared_experts.up_proj", &["ffn_up_shexp"]),
    name(Slot::SharedDown, "mlp.shared_experts.down_proj", &["ffn_down_shexp"]),
];

pub(crate) const GPT_OSS_EXPERTS: &[Name] = &[
    name(Slot::Router, "mlp.router", &["ffn_gate_inp"]),
    bare(Slot::ExpertsGateUp, "mlp.experts.gate_up_proj", &["ffn_gate_exps", "ffn_up_exps"]),
    bare(Slot::ExpertsDown, "mlp.experts.down_proj", &["ffn_down_exps"]),
];

pub(crate) const GPT2: &[Name] = &[
    name(Slot::Embedding, "wte", &["token_embd"]),
    name(Slot::Positions, "wpe", &["position_embd"]),
    name(Slot::FinalNorm, "ln_f", &["output_norm"]),
    name(Slot::Head, "lm_head", &["output"]),
    name(Slot::AttentionNorm, "ln_1", &["attn_norm"]),
    name(Slot::QueryKeyValue, "attn.c_attn", &["attn_qkv"]),
    name(Slot::AttentionOut, "attn.c_proj", &["attn_output"]),
    name(Slot::MlpNorm, "ln_2", &["ffn_norm"]),
    name(Slot::Up, "mlp.c_fc", &["ffn_up"]),
    name(Slot::Down, "mlp.c_proj", &["ffn_down"]),
];

pub(crate) const GPT_NEOX: &[Name] = &[
    name(Slot::Embedding, "embed_in", &["token_embd"]),
    name(Slot::FinalNorm, "final_layer_norm", &["output_norm"]),
    name(Slot::Head, "embed_out", &["output"]),
    name(Slot::AttentionNorm, "input_layernorm", &["attn_norm"]),
    name(Slot::QueryKeyValue, "attention.query_key_value", &["attn_qkv"]),
    name(Slot::AttentionOut, "attention.dense", &["attn_output"]),
    name(Slot::MlpNorm, "post_attention_layernorm", &["ffn_norm"]),
    name(Slot::Up, "mlp.dense_h_to_4h", &["ffn_up"]),
    name(Slot::Down, "mlp.dense_4h_to_h", &["ffn_down"]),
];
