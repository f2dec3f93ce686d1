//! What the layers of a family of decoders compute, as columns of its row: what no setting of a model says, and which settings it has.

/// How the inside of the MLP is made of gate and up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Act {
    /// `x / (1 + e^-x)`.
    Silu,
    /// The tanh form of GELU.
    GeluTanh,
    /// GELU by the error function.
    Gelu,
    /// gpt-oss: `g / (1 + e^(-1.702 g)) (u + 1)`, g and u clamped.
    SwigluClamped,
}

/// What a norm divides by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum NormKind {
    /// The root of the mean square; a weight.
    Rms,
    /// The standard deviation, after the mean is subtracted; a weight and a bias.
    Layer,
}

/// Where the norms of a layer are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Placement {
    /// `x += attention(norm(x)); x += mlp(norm(x))`.
    Pre,
    /// `x += norm(attention(norm(x)))`, and the same of the MLP.
    PreAndPost,
    /// `x += attention(norm(x)) + mlp(norm'(x))`.
    Parallel,
}

/// Which features of a head make a pair that rotary positions rotate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RopePairs {
    /// Feature i and feature i + d / 2.
    Halves,
    /// Feature 2 i and feature 2 i + 1.
    Adjacent,
}

/// Which layers look back over a window only, where the configuration has no `layer_types`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Windows {
    /// None.
    Never,
    /// All, if `sliding_window` is a number.
    All,
    /// From `max_window_layers` on, if `use_sliding_window`.
    Late,
    /// Every second, from the first on.
    Alternate,
}

/// How the weights of a token's experts are computed from the router's outputs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Routing {
    /// Softmax over all experts, the largest are chosen; their weights are divided by their sum where the model says so.
    Softmax,
    /// The largest outputs are chosen, then softmax over them.
    SoftmaxOfChosen,
    /// Sigmoid of each; chosen by sigmoid + bias within the best groups of experts.
    Sigmoid,
}

/// The columns of a mixture of experts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExpertColumns {
    /// Settings with the number of experts, in the order in which they are looked for.
    pub count: &'static [&'static str],
    /// The setting with the width of an expert.
    pub width: &'static str,
    /// How experts are chosen and weighed.
    pub routing: Routing,
    /// Whether the weights of the chosen experts are always divided by their sum; else if `norm_topk_prob`.
    pub always_normed: bool,
    /// Whether `n_shared_experts`, `n_group`, `topk_group`, `routed_scaling_factor` and `first_k_dense_replace` are settings.
    pub shared: bool,
}

/// The columns of a decoder.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    /// What norms divide by.
    pub norm: NormKind,
    /// The epsilon of norms where no setting says it.
    pub norm_eps: f64,
    /// Norm weights are 1 + what is stored.
    pub unit_norms: bool,
    /// Where norms are.
    pub placement: Placement,
    /// Whether heads of queries and keys are normed.
    pub head_norms: bool,
    /// Linears that always have a bias, by the last part of their names.
    pub biased: &'static [&'static str],
    /// Linears that have a bias if `attention_bias`; none if that is not a setting.
    pub attention_bias: &'static [&'static str],
    /// Whether `attention_bias` is true where it is not set.
    pub attention_bias_default: bool,
    /// Whether each head has a sink: a logit without a value.
    pub sinks: bool,
    /// Whether keys and values are expanded from a latent vector (multi-head latent attention).
    pub latent: bool,
    /// Whether `query_pre_attn_scalar` and the two softcaps are settings.
    pub capped: bool,
    /// Which layers have windows.
    pub windows: Windows,
    /// The pairs of rotary positions; `None` for a table of learned positions.
    pub rope: Option<RopePairs>,
    /// The base of rotary positions where no setting says it.
    pub rope_theta: f64,
    /// Which part of a head rotates where no setting says it; `None` if that is always all of it.
    pub rotary_part: Option<f64>,
    /// Whether `longrope` is a kind of rotary positions here.
    pub long_rope: bool,
    /// Whether the MLP multiplies a gate with up.
    pub gated: bool,
    /// The activation, where the family has its own.
    pub act: Option<Act>,
    /// Embeddings are multiplied with the root of the hidden size.
    pub scaled_embedding: bool,
    /// Whether `embedding_multiplier`, `residual_multiplier`, `attention_multiplier` and `logits_scaling` are settings.
    pub multipliers: bool,
    /// Whether the output head is the embedding where no setting says it.
    pub tied: bool,
    /// The mixture of experts.
    pub experts: Option<ExpertColumns>,
    /// The family's names of settings: (the usual name, its own).
    pub aliases: &'static [(&'static str, &'static str)],
}

/// Queries, keys, values, output.
const ATTENTION: &[&str] = &["q_proj", "k_proj", "v_proj", "o_proj"];

/// Llama: the columns that most families start from.
pub(crate) const LLAMA: Decoder = Decoder {
    norm: NormKind::Rms,
    norm_eps: 1e-6,
    unit_norms: false,
    placement: Placement::Pre,
    head_norms: false,
    biased: &[],
    attention_bias: ATTENTION,
    attention_bias_default: false,
    sinks: false,
    latent: false,
    capped: false,
    windows: Windows::Never,
    rope: Some(RopePairs::Halves),
    rope_theta: 10_000.0,
    rotary_part: None,
    long_rope: false,
    gated: true,
    act: None,
    scaled_embedding: false,
    multipliers: false,
    tied: false,
    experts: None,
    aliases: &[],
};

/// A model whose attention has no biases, whatever `attention_bias` says.
pub(crate) const UNBIASED: Decoder = Decoder { attention_bias: &[], ..LLAMA };

/// Experts of a softmax over all of them, weights divided by their sum if `norm_topk_prob`.
pub(crate) const EXPERTS: ExpertColumns = ExpertColumns {
    count: &["num_experts", "num_local_experts"],
    width: "moe_intermediate_size",
    routing: Routing::Softmax,
    always_normed: false,
    shared: false,
};
