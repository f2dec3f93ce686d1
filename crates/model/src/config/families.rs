//! What families of models do differently: one row each.

/// How the inside of the MLP is made of gate and up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// `x / (1 + e^-x)`.
    Silu,
    /// The tanh form of GELU.
    GeluTanh,
}

/// Which layers look back over a window only, where the configuration has no `layer_types`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Windows {
    /// None.
    Never,
    /// All, if `sliding_window` is a number.
    All,
    /// From `max_window_layers` on, if `use_sliding_window`.
    Late,
    /// Every second, from the first on.
    Alternate,
}

/// The modules of a mixture of experts below a layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MoeNames {
    /// The module that has the router and the experts.
    pub block: &'static str,
    /// Gate, up and down of an expert.
    pub expert: [&'static str; 3],
    /// Settings with the number of experts, in the order in which they are looked for.
    pub(super) experts: &'static [&'static str],
    /// Setting with the width of an expert.
    pub(super) width: &'static str,
    /// Whether the weights of the chosen experts are divided by their sum: always, or if `norm_topk_prob`.
    pub(super) always_normed: bool,
}

/// A family of decoders.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    pub(super) model_types: &'static [&'static str],
    /// Linears of the attention that always have a bias; others have one if `attention_bias`.
    pub(super) biased: &'static [&'static str],
    /// Whether `attention_bias` is a setting.
    pub(super) attention_bias: bool,
    /// Whether heads of queries and keys are normed.
    pub(super) head_norms: bool,
    /// Norm weights are 1 + what is stored.
    pub(super) unit_norms: bool,
    /// Embeddings are multiplied with the root of the hidden size.
    pub(super) scaled_embedding: bool,
    /// What attention and MLP give is normed before it is added.
    pub(super) post_norms: bool,
    /// The activation, where the family has its own.
    pub(super) act: Option<Act>,
    pub(super) windows: Windows,
    /// Whether `query_pre_attn_scalar` and the two softcaps are settings.
    pub(super) capped: bool,
    pub(super) tied: bool,
    pub(super) rope_theta: f64,
    pub(super) moe: Option<MoeNames>,
}

const LLAMA: Family = Family {
    model_types: &["llama"],
    biased: &[],
    attention_bias: true,
    head_norms: false,
    unit_norms: false,
    scaled_embedding: false,
    post_norms: false,
    act: None,
    windows: Windows::Never,
    capped: false,
    tied: false,
    rope_theta: 10_000.0,
    moe: None,
};

const GEMMA: Family = Family {
    model_types: &["gemma"],
    unit_norms: true,
    scaled_embedding: true,
    act: Some(Act::GeluTanh),
    tied: true,
    ..LLAMA
};

/// The rows, by `model_type`.
pub(super) const FAMILIES: &[Family] = &[
    LLAMA,
    Family { model_types: &["mistral"], attention_bias: false, windows: Windows::All, ..LLAMA },
    Family {
        model_types: &["qwen2"],
        biased: &["q_proj", "k_proj", "v_proj"],
        attention_bias: false,
        windows: Windows::Late,
        ..LLAMA
    },
    Family { model_types: &["qwen3"], head_norms: true, windows: Windows::Late, ..LLAMA },
    GEMMA,
    Family { model_types: &["gemma2"], post_norms: true, windows: Windows::Alternate, capped: true, ..GEMMA },
    Family {
        model_types: &["mixtral"],
        attention_bias: false,
        windows: Windows::All,
        rope_theta: 1e6,
        moe: Some(MoeNames {
            block: "block_sparse_moe",
            expert: ["w1", "w3", "w2"],
            experts: &["num_local_experts", "num_experts"],
            width: "intermediate_size",
            always_normed: true,
        }),
        ..LLAMA
    },
    Family {
        model_types: &["qwen3_moe"],
        head_norms: true,
        windows: Windows::Late,
        moe: Some(MoeNames {
            block: "mlp",
            expert: ["gate_proj", "up_proj", "down_proj"],
            experts: &["num_experts", "num_local_experts"],
            width: "moe_intermediate_size",
            always_normed: false,
        }),
        ..LLAMA
    },
];
