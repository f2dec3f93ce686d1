//! The table: one row for each family of models. What is the same everywhere is in `rules.rs`, `feeds.rs` and in the row [`GENERIC`].

use crate::decoder::{self, Act, Decoder, ExpertColumns, NormKind, Placement, RopePairs, Routing, Windows};
use crate::feeds::{GENERIC_NORMS, GPT_NEOX_NORMS, GPT2_NORMS, NormFeed};
use crate::names::{self, Name, Names, Slot};
use crate::{At, GateUp, Is, Orientation, Role, Rule, SHARED};

/// One family of architectures.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Name of the row.
    pub name: &'static str,
    /// Values of `model_type` in `config.json` that belong to it.
    pub model_types: &'static [&'static str],
    /// Its `general.architecture` in GGUF files; none where it is not known.
    pub gguf: Option<&'static str>,
    /// Whether GGUF files have the rows of queries and keys in the order of adjacent pairs, and Hugging Face's those of halves.
    pub gguf_permutes_heads: bool,
    /// What stands before the names of its modules: `model.`.
    pub prefix: &'static str,
    /// The list of layers in names: `layers`.
    pub layers: &'static str,
    /// Its tensors, by their place, in groups.
    pub names: Names,
    /// Rules of roles that are tried before the generic ones.
    pub rules: &'static [Rule],
    /// Linears of one parent that engines fuse, and whose tensor scale is therefore one.
    pub fused: &'static [&'static [&'static str]],
    /// Norms and the linears that read them.
    pub norms: &'static [NormFeed],
    /// How its 3-D expert tensors are stored, where shapes alone cannot say it.
    pub experts: Option<Orientation>,
    /// How its stacks of gate and up are made of both.
    pub gate_up: GateUp,
    /// Module of the output head in engines, for models without a tensor of that name: its weight is the embedding's, or has another name.
    pub head: &'static str,
    /// What its layers compute; none where that is not described.
    pub decoder: Option<Decoder>,
}

impl Family {
    /// The row of a model type; `None` where no row has it.
    ///
    /// ```
    /// use lowbit_arch::{Family, Slot};
    /// let row = Family::of_model_type("phi3").unwrap();
    /// assert_eq!(row.name_of(Slot::QueryKeyValue).unwrap().module, "self_attn.qkv_proj");
    /// ```
    pub fn of_model_type(model_type: &str) -> Option<&'static Self> {
        FAMILIES.iter().find(|family| family.model_types.contains(&model_type))
    }

    /// The first row of a GGUF architecture; `None` where no row has it.
    ///
    /// ```
    /// assert_eq!(lowbit_arch::Family::of_gguf("deepseek2").unwrap().name, "deepseek v3");
    /// ```
    pub fn of_gguf(architecture: &str) -> Option<&'static Self> {
        FAMILIES.iter().find(|family| family.gguf == Some(architecture))
    }

    /// All tensors of a layer, and those outside of layers.
    ///
    /// ```
    /// use lowbit_arch::{Family, Slot};
    /// let row = Family::of_model_type("gpt2").unwrap();
    /// assert!(row.names().any(|name| name.slot == Slot::Positions && name.module == "wpe"));
    /// ```
    pub fn names(&self) -> impl Iterator<Item = &'static Name> + use<> {
        self.names.iter().copied().flatten()
    }

    /// The tensor in a place.
    ///
    /// ```
    /// use lowbit_arch::{Family, Slot};
    /// let row = Family::of_model_type("gpt_neox").unwrap();
    /// assert_eq!(row.name_of(Slot::Head).unwrap().module, "embed_out");
    /// ```
    pub fn name_of(&self, slot: Slot) -> Option<&'static Name> {
        self.names().find(|name| name.slot == slot)
    }

    /// The linears of a layer, which quantization is for.
    ///
    /// ```
    /// let row = lowbit_arch::Family::of_model_type("gpt2").unwrap();
    /// let linears: Vec<_> = row.linears().map(|name| name.module).collect();
    /// assert_eq!(linears, ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"]);
    /// ```
    pub fn linears(&self) -> impl Iterator<Item = &'static Name> + use<> {
        self.names().filter(|name| name.slot.is_linear())
    }

    /// The full name of a tensor in a checkpoint; `layer` and `expert` where it has such.
    ///
    /// ```
    /// use lowbit_arch::{Family, Slot};
    /// let row = Family::of_model_type("mixtral").unwrap();
    /// let up = row.name_of(Slot::ExpertUp).unwrap();
    /// assert_eq!(row.tensor(up, 3, 7), "model.layers.3.block_sparse_moe.experts.7.w3.weight");
    /// ```
    pub fn tensor(&self, name: &Name, layer: usize, expert: usize) -> String {
        let module = name.module.replace('*', &expert.to_string());
        let end = if name.is_weight { ".weight" } else { "" };
        match name.slot {
            Slot::Head => format!("{module}{end}"),
            slot if slot.is_in_layer() => format!("{}{}.{layer}.{module}{end}", self.prefix, self.layers),
            _ => format!("{}{module}{end}", self.prefix),
        }
    }
}

/// Everything that has no row of its own.
pub(crate) const GENERIC: Family = Family {
    name: "generic",
    model_types: &[],
    gguf: None,
    gguf_permutes_heads: false,
    prefix: "model.",
    layers: "layers",
    names: &[],
    rules: &[],
    fused: SHARED,
    norms: GENERIC_NORMS,
    experts: None,
    gate_up: GateUp::Apart,
    head: "lm_head",
    decoder: None,
};

const LLAMA: Family = Family {
    name: "llama",
    model_types: &["llama"],
    gguf: Some("llama"),
    gguf_permutes_heads: true,
    names: &[names::TOP, names::PRE_NORMS, names::ATTENTION, names::MLP],
    decoder: Some(decoder::LLAMA),
    ..GENERIC
};

const GEMMA: Decoder = Decoder {
    unit_norms: true,
    scaled_embedding: true,
    act: Some(Act::GeluTanh),
    tied: true,
    ..decoder::LLAMA
};

const QWEN3: Decoder = Decoder { head_norms: true, windows: Windows::Late, ..decoder::LLAMA };

/// The rows; the first whose `model_types` has the model's decides.
pub const FAMILIES: &[Family] = &[
    LLAMA,
    Family {
        name: "mistral",
        model_types: &["mistral"],
        decoder: Some(Decoder { windows: Windows::All, ..decoder::UNBIASED }),
        ..LLAMA
    },
    Family {
        name: "qwen2",
        model_types: &["qwen2"],
        gguf: Some("qwen2"),
        gguf_permutes_heads: false,
        decoder: Some(Decoder {
            biased: &["q_proj", "k_proj", "v_proj"],
            windows: Windows::Late,
            ..decoder::UNBIASED
        }),
        ..LLAMA
    },
    Family {
        name: "qwen3",
        model_types: &["qwen3"],
        gguf: Some("qwen3"),
        gguf_permutes_heads: false,
        names: &[names::TOP, names::PRE_NORMS, names::ATTENTION, names::HEAD_NORMS, names::MLP],
        decoder: Some(QWEN3),
        ..LLAMA
    },
    Family {
        name: "gemma",
        model_types: &["gemma"],
        gguf: Some("gemma"),
        gguf_permutes_heads: false,
        decoder: Some(GEMMA),
        ..LLAMA
    },
    Family {
        name: "gemma 2",
        model_types: &["gemma2"],
        gguf: Some("gemma2"),
        gguf_permutes_heads: false,
        names: &[names::TOP, names::PRE_AND_POST_NORMS, names::ATTENTION, names::MLP],
        decoder: Some(Decoder {
            placement: Placement::PreAndPost,
            windows: Windows::Alternate,
            capped: true,
            ..GEMMA
        }),
        ..LLAMA
    },
    Family {
        name: "qwen2 moe",
        model_types: &["qwen2_moe"],
        gguf: Some("qwen2moe"),
        names: &[
            names::TOP,
            names::PRE_NORMS,
            names::ATTENTION,
            names::MLP,
            names::EXPERTS,
            names::GATED_SHARED_EXPERT,
        ],
        ..GENERIC
    },
    Family {
        name: "qwen3 moe",
        model_types: &["qwen3_moe"],
        gguf: Some("qwen3moe"),
        gguf_permutes_heads: false,
        names: &[
            names::TOP,
            names::PRE_NORMS,
            names::ATTENTION,
            names::HEAD_NORMS,
            names::MLP,
            names::EXPERTS,
        ],
        decoder: Some(Decoder { experts: Some(decoder::EXPERTS), ..QWEN3 }),
        ..LLAMA
    },
    Family {
        name: "mixtral",
        model_types: &["mixtral"],
        names: &[names::TOP, names::PRE_NORMS, names::ATTENTION, names::MIXTRAL_EXPERTS],
        decoder: Some(Decoder {
            windows: Windows::All,
            rope_theta: 1e6,
            experts: Some(ExpertColumns {
                count: &["num_local_experts", "num_experts"],
                width: "intermediate_size",
                always_normed: true,
                ..decoder::EXPERTS
            }),
            ..decoder::UNBIASED
        }),
        ..LLAMA
    },
    Family {
        name: "granite",
        model_types: &["granite"],
        gguf: Some("granite"),
        decoder: Some(Decoder { multipliers: true, ..decoder::LLAMA }),
        ..LLAMA
    },
    Family {
        name: "phi3",
        model_types: &["phi3"],
        gguf: Some("phi3"),
        gguf_permutes_heads: false,
        names: &[names::TOP, names::PRE_NORMS, names::FUSED_ATTENTION, names::FUSED_MLP],
        decoder: Some(Decoder {
            norm_eps: 1e-5,
            windows: Windows::All,
            rotary_part: Some(1.0),
            long_rope: true,
            ..decoder::UNBIASED
        }),
        ..LLAMA
    },
    Family {
        name: "deepseek v3",
        model_types: &["deepseek_v3"],
        gguf: Some("deepseek2"),
        gguf_permutes_heads: false,
        names: &[
            names::TOP,
            names::PRE_NORMS,
            names::LATENT_ATTENTION,
            names::MLP,
            names::EXPERTS,
            names::SHARED_EXPERTS,
        ],
        decoder: Some(Decoder {
            attention_bias: &["q_a_proj", "kv_a_proj_with_mqa", "o_proj"],
            latent: true,
            rope: Some(RopePairs::Adjacent),
            experts: Some(ExpertColumns {
                count: &["n_routed_experts", "num_experts"],
                routing: Routing::Sigmoid,
                shared: true,
                ..decoder::EXPERTS
            }),
            ..decoder::LLAMA
        }),
        ..LLAMA
    },
    Family {
        name: "gpt-oss",
        model_types: &["gpt_oss"],
        gguf: Some("gpt-oss"),
        names: &[names::TOP, names::GPT_OSS_NORMS, names::ATTENTION, names::SINKS, names::GPT_OSS_EXPERTS],
        // Hidden and intermediate size are both 2880: no shape can tell.
        experts: Some(Orientation::InOut),
        gate_up: GateUp::Interleaved,
        decoder: Some(Decoder {
            norm_eps: 1e-5,
            biased: &["router", "gate_up_proj", "down_proj"],
            attention_bias_default: true,
            sinks: true,
            windows: Windows::Alternate,
            rope_theta: 150_000.0,
            act: Some(Act::SwigluClamped),
            experts: Some(ExpertColumns {
                count: &["num_local_experts", "num_experts"],
                width: "intermediate_size",
                routing: Routing::SoftmaxOfChosen,
                always_normed: true,
                ..decoder::EXPERTS
            }),
            ..decoder::LLAMA
        }),
        ..GENERIC
    },
    Family {
        name: "gpt2",
        model_types: &["gpt2", "openai-gpt", "imagegpt", "decision_transformer"],
        gguf: Some("gpt2"),
        prefix: "transformer.",
        layers: "h",
        names: &[names::GPT2],
        // Conv1D: y = x W + b with W stored [in, out].
        rules: &[Rule {
            role: Role::Transposed,
            at: At::Last,
            is: Is::Named(&["c_attn", "c_proj", "c_fc", "q_attn"]),
        }],
        norms: GPT2_NORMS,
        decoder: Some(Decoder {
            norm: NormKind::Layer,
            norm_eps: 1e-5,
            biased: &["c_attn", "c_proj", "c_fc"],
            rope: None,
            gated: false,
            act: Some(Act::GeluTanh),
            tied: true,
            aliases: &[
                ("hidden_size", "n_embd"),
                ("num_hidden_layers", "n_layer"),
                ("num_attention_heads", "n_head"),
                ("intermediate_size", "n_inner"),
                ("max_position_embeddings", "n_positions"),
                ("layer_norm_eps", "layer_norm_epsilon"),
                ("hidden_act", "activation_function"),
            ],
            ..decoder::UNBIASED
        }),
        ..GENERIC
    },
    Family {
        name: "gpt-neox",
        model_types: &["gpt_neox"],
        gguf: Some("gptneox"),
        prefix: "gpt_neox.",
        names: &[names::GPT_NEOX],
        norms: GPT_NEOX_NORMS,
        decoder: Some(Decoder {
            norm: NormKind::Layer,
            norm_eps: 1e-5,
            placement: Placement::Parallel,
            biased: &["dense_h_to_4h", "dense_4h_to_h"],
            attention_bias: &["query_key_value", "dense"],
            attention_bias_default: true,
            rotary_part: Some(0.25),
            gated: false,
            act: Some(Act::Gelu),
            aliases: &[("rope_theta", "rotary_emb_base"), ("partial_rotary_factor", "rotary_pct")],
            ..decoder::LLAMA
        }),
        ..GENERIC
    },
    Family {
        name: "llama4",
        model_types: &["llama4", "llama4_text"],
        experts: Some(Orientation::InOut),
        ..GENERIC
    },
    Family { name: "whisper", model_types: &["whisper"], head: "proj_out", ..GENERIC },
    Family {
        name: "bert",
        model_types: &["bert", "ernie", "mobilebert", "nomic_bert"],
        head: "cls.predictions.decoder",
        ..GENERIC
    },
    Family { name: "albert", model_types: &["albert"], head: "predictions.decoder", ..GENERIC },
    Family {
        name: "roberta",
        model_types: &["roberta", "xlm-roberta", "camembert", "roberta-prelayernorm"],
        head: "lm_head.decoder",
        ..GENERIC
    },
    Family { name: "distilbert", model_types: &["distilbert"], head: "vocab_projector", ..GENERIC },
    Family { name: "modernbert", model_types: &["modernbert"], head: "decoder", ..GENERIC },
    Family {
        name: "gated delta net",
        model_types: &["qwen3_next", "qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text"],
        // One row per head: they gate the whole recurrence. ModelOpt keeps them too.
        rules: &[Rule {
            role: Role::Router,
            at: At::Last,
            is: Is::Named(&["in_proj_a", "in_proj_b", "in_proj_ba"]),
        }],
        ..GENERIC
    },
];
