//! `config.json` as the runtime needs it: sizes, norms, positions, windows, experts.
//!
//! Settings have the names and defaults of transformers. What a family does differently is a row of `families.rs`; what no row and no setting here
//! says is refused by name.

mod families;
mod rope;
mod settings;

pub use families::{Act, MoeNames};
pub use rope::{Rope, RopeScaling};

use crate::{Error, Result};
use families::{FAMILIES, Family, Windows};
use lowbit_checkpoint::{CONFIG, Checkpoint};
use settings::Settings;

/// A decoder model, by its numbers.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Config {
    /// `model_type`.
    pub model_type: String,
    /// Features of the residual stream.
    pub hidden: usize,
    /// Inner features of the MLP.
    pub intermediate: usize,
    /// Layers.
    pub layers: usize,
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values; divides `heads`.
    pub kv_heads: usize,
    /// Features of a head.
    pub head_dim: usize,
    /// Tokens of the vocabulary.
    pub vocab: usize,
    /// Epsilon of the norms.
    pub norm_eps: f32,
    /// Whether norm weights are 1 + what is stored.
    pub unit_norms: bool,
    /// Whether what attention and MLP give is normed before it is added.
    pub post_norms: bool,
    /// Whether heads of queries and keys are normed.
    pub head_norms: bool,
    /// Linears that have a bias for certain; any linear with a bias in the checkpoint gets it.
    pub biased: Vec<&'static str>,
    /// What embeddings are multiplied with.
    pub embedding_scale: f32,
    /// What scores are multiplied with.
    pub attention_scale: f32,
    /// Scores `s` become `c tanh(s / c)`.
    pub attention_cap: Option<f32>,
    /// Logits `l` become `c tanh(l / c)`.
    pub logit_cap: Option<f32>,
    /// How gate and up meet.
    pub act: Act,
    /// How heads are turned by their position.
    pub rope: Rope,
    /// How many tokens a layer sees, itself included; `None` for all before it. One for each layer.
    pub windows: Vec<Option<usize>>,
    /// Whether the output head is the embedding where the checkpoint has no `lm_head`.
    pub tied: bool,
    /// The mixture of experts.
    pub moe: Option<Moe>,
    /// Which layers have experts; empty for none.
    pub sparse_layers: Vec<bool>,
}

/// A mixture of experts.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Moe {
    /// Modules.
    pub names: MoeNames,
    /// Experts of a layer.
    pub experts: usize,
    /// Experts of a token.
    pub chosen: usize,
    /// Inner features of an expert.
    pub intermediate: usize,
    /// Whether the weights of a token's experts are divided by their sum.
    pub normed: bool,
}

impl Config {
    /// Reads the configuration of a checkpoint.
    ///
    /// # Errors
    /// [`Error::Config`] for a setting that is missing or makes no sense, [`Error::Unsupported`] for a model or a setting that is not run: both name it.
    pub fn of(checkpoint: &Checkpoint) -> Result<Self> {
        let file = checkpoint.dir().join(CONFIG);
        let Some(map) = checkpoint.config() else {
            return Err(Error::Config {
                file,
                setting: "model_type".into(),
                reason: "is not there: no configuration".into(),
            });
        };
        let s = Settings { file: &file, map };
        let model_type = s.text("model_type")?.ok_or_else(|| s.wrong("model_type", "is not there"))?;
        let family = FAMILIES.iter().find(|f| f.model_types.contains(&model_type)).ok_or_else(|| {
            let known: Vec<_> = FAMILIES.iter().flat_map(|f| f.model_types).copied().collect();
            s.unsupported(
                format!("model_type {model_type}"),
                format!("models that are: {}", known.join(", ")),
            )
        })?;
        refuse(&s, family)?;
        let (hidden, layers) = (s.size("hidden_size")?, s.size("num_hidden_layers")?);
        let heads = s.size("num_attention_heads")?;
        let kv_heads = s.size_or("num_key_value_heads", heads)?;
        let head_dim = s.size_or("head_dim", hidden / heads)?;
        if heads % kv_heads != 0 {
            return Err(s.wrong("num_key_value_heads", format!("{kv_heads} does not divide {heads} heads")));
        }
        if head_dim % 2 != 0 || head_dim == 0 {
            return Err(s.wrong("head_dim", format!("{head_dim} is not a positive even number")));
        }
        let moe = family.moe.map(|names| moe(&s, names)).transpose()?;
        let scalar = if family.capped { s.number("query_pre_attn_scalar")? } else { None };
        let cap =
            |key: &str| Ok::<_, Error>(if family.capped { s.number(key)?.map(|c| c as f32) } else { None });
        let mut biased = family.biased.to_vec();
        if family.attention_bias && s.flag("attention_bias", false)? {
            biased.extend(["q_proj", "k_proj", "v_proj", "o_proj"]);
        }
        if s.flag("mlp_bias", false)? {
            biased.extend(["gate_proj", "up_proj", "down_proj"]);
        }
        Ok(Self {
            model_type: model_type.to_owned(),
            hidden,
            intermediate: s.size("intermediate_size")?,
            layers,
            heads,
            kv_heads,
            head_dim,
            vocab: s.size("vocab_size")?,
            norm_eps: s.number("rms_norm_eps")?.unwrap_or(1e-6) as f32,
            unit_norms: family.unit_norms,
            post_norms: family.post_norms,
            head_norms: family.head_norms,
            biased,
            embedding_scale: if family.scaled_embedding { (hidden as f32).sqrt() } else { 1.0 },
            attention_scale: scalar.unwrap_or(head_dim as f64).powf(-0.5) as f32,
            attention_cap: cap("attn_logit_softcapping")?,
            logit_cap: cap("final_logit_softcapping")?,
            act: act(&s, family)?,
            rope: Rope::of(&s, head_dim, family.rope_theta)?,
            windows: windows(&s, family, layers)?,
            tied: s.flag("tie_word_embeddings", family.tied)?,
            sparse_layers: if moe.is_some() { sparse_layers(&s, layers)? } else { Vec::new() },
            moe,
        })
    }

    /// Whether a layer has experts.
    pub fn is_sparse(&self, layer: usize) -> bool {
        self.sparse_layers.get(layer).copied().unwrap_or(false)
    }
}

/// Settings that would change the result and are not run.
fn refuse(s: &Settings<'_>, family: &Family) -> Result<()> {
    let one = s.number("partial_rotary_factor")?.unwrap_or(1.0);
    if one != 1.0 {
        return Err(s.unsupported(format!("partial_rotary_factor {one}"), "1 is"));
    }
    let own: &[&str] = if family.capped {
        &[]
    } else {
        &["attn_logit_softcapping", "final_logit_softcapping", "query_pre_attn_scalar"]
    };
    let unknown = [
        "embedding_multiplier",
        "residual_multiplier",
        "attention_multiplier",
        "logits_scaling",
        "no_rope_layers",
    ];
    for key in own.iter().chain(&unknown) {
        if !s.get(key).is_null() {
            return Err(s.unsupported(
                format!("setting {key} of a {} model", family.model_types[0]),
                "models without it are",
            ));
        }
    }
    Ok(())
}

/// The activation of the MLP.
fn act(s: &Settings<'_>, family: &Family) -> Result<Act> {
    // Gemma's first configurations say gelu and mean the tanh form.
    let name = s.text("hidden_activation")?.or(s.text("hidden_act")?);
    match (name, family.act) {
        (None, act) => Ok(act.unwrap_or(Act::Silu)),
        (Some("silu" | "swish"), _) => Ok(Act::Silu),
        (Some("gelu_pytorch_tanh"), _) | (Some("gelu"), Some(Act::GeluTanh)) => Ok(Act::GeluTanh),
        (Some(other), _) => {
            Err(s.unsupported(format!("hidden_act {other}"), "silu and gelu_pytorch_tanh are"))
        }
    }
}

/// The window of each layer.
fn windows(s: &Settings<'_>, family: &Family, layers: usize) -> Result<Vec<Option<usize>>> {
    let size = match s.get("sliding_window").is_null() || family.windows == Windows::Never {
        true => None,
        false => Some(s.size("sliding_window")?),
    };
    let on = family.windows != Windows::Late || s.flag("use_sliding_window", false)?;
    let size = size.filter(|_| on);
    let kinds = s.get("layer_types");
    if let Some(kinds) = kinds.as_array() {
        if kinds.len() != layers {
            return Err(s.wrong("layer_types", format!("names {} layers of {layers}", kinds.len())));
        }
        let kind = |value: &serde_json::Value| match value.as_str() {
            Some("full_attention") => Ok(None),
            Some("sliding_attention") => size
                .map(Some)
                .ok_or_else(|| s.wrong("layer_types", "names sliding_attention without a sliding_window")),
            _ => {
                Err(s.unsupported(format!("layer type {value}"), "full_attention and sliding_attention are"))
            }
        };
        return kinds.iter().map(kind).collect();
    }
    let late = s.size_or("max_window_layers", layers)?;
    let slides = |layer: usize| match family.windows {
        Windows::Never => false,
        Windows::All => true,
        Windows::Late => layer >= late,
        Windows::Alternate => layer.is_multiple_of(2),
    };
    Ok((0..layers).map(|layer| size.filter(|_| slides(layer))).collect())
}

/// The mixture of experts.
fn moe(s: &Settings<'_>, names: MoeNames) -> Result<Moe> {
    let experts = names.experts.iter().find(|key| !s.get(key).is_null()).unwrap_or(&names.experts[0]);
    let (experts, chosen) = (s.size(experts)?, s.size("num_experts_per_tok")?);
    if chosen > experts {
        return Err(s.wrong("num_experts_per_tok", format!("{chosen} of {experts} experts")));
    }
    let normed = names.always_normed || s.flag("norm_topk_prob", false)?;
    Ok(Moe { names, experts, chosen, intermediate: s.size(names.width)?, normed })
}

/// Which layers have experts.
fn sparse_layers(s: &Settings<'_>, layers: usize) -> Result<Vec<bool>> {
    let step = s.size_or("decoder_sparse_step", 1)?;
    let dense = s.get("mlp_only_layers").as_array().cloned().unwrap_or_default();
    Ok((0..layers)
        .map(|layer| (layer + 1) % step == 0 && !dense.iter().any(|d| d.as_u64() == Some(layer as u64)))
        .collect())
}
