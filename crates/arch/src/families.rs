//! What families of models do differently from the generic rules: one row each.

use super::{At, GateUp, Is, Orientation, Role, Rule};

/// One family of architectures.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Name of the row.
    pub name: &'static str,
    /// Values of `model_type` in `config.json` that belong to it.
    pub model_types: &'static [&'static str],
    /// Rules tried before the generic ones.
    pub rules: &'static [Rule],
    /// How its 3-D expert tensors are stored, where shapes alone cannot say it.
    pub experts: Option<Orientation>,
    /// How its stacks of gate and up are made of both.
    pub gate_up: GateUp,
    /// Module of the output head in engines, for models without a tensor of that name: its weight is the embedding's, or has another name.
    pub head: &'static str,
}

/// Everything that has no row of its own: Llama, Qwen, Mistral, Mixtral, DeepSeek, Gemma, Phi, BERT, Whisper …
pub(super) const GENERIC: Family = Family {
    name: "generic",
    model_types: &[],
    rules: &[],
    experts: None,
    gate_up: GateUp::Apart,
    head: "lm_head",
};

/// The rows; the first whose `model_types` has the model's decides.
pub const FAMILIES: &[Family] = &[
    Family {
        name: "gpt2",
        model_types: &["gpt2", "openai-gpt", "imagegpt", "decision_transformer"],
        // Conv1D: y = x W + b with W stored [in, out].
        rules: &[Rule {
            role: Role::Transposed,
            at: At::Last,
            is: Is::Named(&["c_attn", "c_proj", "c_fc", "q_attn"]),
        }],
        ..GENERIC
    },
    Family {
        name: "gpt-oss",
        model_types: &["gpt_oss"],
        // Hidden and intermediate size are both 2880: no shape can tell.
        experts: Some(Orientation::InOut),
        gate_up: GateUp::Interleaved,
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
