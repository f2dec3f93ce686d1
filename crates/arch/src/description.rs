//! What one decoder computes, in numbers: its family's columns and its own settings.
//!
//! Settings have the names and defaults of transformers. What a family does differently is its row in `families.rs`; what no row and no setting here
//! says is refused by name.

use crate::decoder::{Act, Decoder, NormKind, Placement, Windows};
use crate::families::Family;
use crate::mixture::Experts;
use crate::reader::{Reader, unsupported, wrong};
use crate::rope::Rope;
use crate::{Keys, Name, Result, Setting, Slot};

/// A decoder model, by its numbers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Description {
    /// The row of its family.
    pub family: &'static Family,
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
    /// Features of a head of queries and keys.
    pub head_dim: usize,
    /// Features of a head of values.
    pub value_dim: usize,
    /// Tokens of the vocabulary.
    pub vocab: usize,
    /// What norms divide by.
    pub norm: NormKind,
    /// Epsilon of the norms.
    pub norm_eps: f32,
    /// Whether norm weights are 1 + what is stored.
    pub unit_norms: bool,
    /// Where norms are.
    pub placement: Placement,
    /// Whether heads of queries and keys are normed.
    pub head_norms: bool,
    /// Linears that have a bias for certain; any linear with a bias in the checkpoint gets it.
    pub biased: Vec<&'static str>,
    /// What embeddings are multiplied with.
    pub embedding_scale: f32,
    /// What the outputs of attention and MLP are multiplied with before they are added.
    pub residual_scale: f32,
    /// What scores are multiplied with.
    pub attention_scale: f32,
    /// Scores `s` become `c tanh(s / c)`.
    pub attention_cap: Option<f32>,
    /// Whether each head has a sink: a logit without a value.
    pub sinks: bool,
    /// Latent attention.
    pub latent: Option<Latent>,
    /// What logits are divided by.
    pub logit_divisor: f32,
    /// Logits `l` become `c tanh(l / c)`.
    pub logit_cap: Option<f32>,
    /// Whether the MLP multiplies a gate with up.
    pub gated: bool,
    /// The activation of the MLP.
    pub act: Act,
    /// The largest magnitude of gate and up, where they are clamped.
    pub act_limit: Option<f32>,
    /// Rotary positions; `None` for a table of learned ones.
    pub rope: Option<Rope>,
    /// Rows of the table of learned positions; 0 for none.
    pub learned_positions: usize,
    /// How many tokens a layer sees, itself included; `None` for all before it. One for each layer.
    pub windows: Vec<Option<usize>>,
    /// Whether the output head is the embedding where the checkpoint has no `lm_head`.
    pub tied: bool,
    /// The mixture of experts.
    pub experts: Option<Experts>,
}

/// Ranks of multi-head latent attention.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Latent {
    /// Features of the queries' latent; `None` if queries have none.
    pub query_rank: Option<usize>,
    /// Features of the latent of keys and values.
    pub rank: usize,
    /// Features of a head that do not rotate.
    pub plain_dim: usize,
    /// Features of a head that rotate; the key's are common to all heads.
    pub rope_dim: usize,
}

/// What a token leaves behind in one layer, for the tokens after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Cache {
    /// Keys and values of all heads.
    KeysAndValues {
        /// Features of the keys.
        keys: usize,
        /// Features of the values.
        values: usize,
        /// Tokens after which it is not looked at any more.
        window: Option<usize>,
    },
    /// One latent vector, and the rotated part of the key.
    Latent {
        /// Features of the latent.
        rank: usize,
        /// Features of the rotated part.
        rope: usize,
    },
}

impl Cache {
    /// Numbers of one token.
    ///
    /// ```
    /// assert_eq!(lowbit_arch::Cache::Latent { rank: 512, rope: 64 }.values(), 576);
    /// ```
    pub const fn values(&self) -> usize {
        match self {
            Self::KeysAndValues { keys, values, .. } => *keys + *values,
            Self::Latent { rank, rope } => *rank + *rope,
        }
    }
}

impl Description {
    /// Reads the settings of a model.
    ///
    /// ```
    /// use lowbit_arch::{Description, Slot};
    /// let config = serde_json::json!({
    ///     "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    ///     "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "rms_norm_eps": 1e-5,
    /// });
    /// let llama = Description::read(config.as_object().unwrap())?;
    /// assert_eq!((llama.head_dim, llama.cache(0).values()), (128, 2 * 8 * 128));
    /// assert_eq!(llama.module(Slot::Gate, 3).unwrap(), "layers.3.mlp.gate_proj");
    /// # Ok::<(), lowbit_arch::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) for a setting that is missing or makes no sense, [`Error::Unsupported`](crate::Error::Unsupported) for
    /// a model or a setting that no row describes: both name it.
    pub fn read(keys: &dyn Keys) -> Result<Self> {
        let s = Reader::new(keys, &[]);
        s.text("model_type")?;
        let types = keys.model_types();
        let model_type = types.first().ok_or_else(|| wrong("model_type", "is not there"))?;
        let family = Family::of_model_type(model_type);
        let Some((family, row)) = family.and_then(|family| Some((family, family.decoder.as_ref()?))) else {
            let described = crate::FAMILIES.iter().filter(|family| family.decoder.is_some());
            let known: Vec<_> = described.flat_map(|family| family.model_types).copied().collect();
            return Err(unsupported(
                format!("model_type {model_type}"),
                format!("models that are: {}", known.join(", ")),
            ));
        };
        let s = Reader::new(keys, row.aliases);
        refuse(&s, family, row)?;
        let (hidden, layers) = (s.size("hidden_size")?, s.size("num_hidden_layers")?);
        let heads = s.size("num_attention_heads")?;
        let kv_heads = s.size_or("num_key_value_heads", heads)?;
        let latent = if row.latent { Some(latent(&s)?) } else { None };
        let head_dim = match latent {
            Some(latent) => latent.plain_dim + latent.rope_dim,
            None => s.size_or("head_dim", hidden / heads)?,
        };
        let value_dim = if row.latent { s.size("v_head_dim")? } else { head_dim };
        if heads % kv_heads != 0 {
            return Err(wrong("num_key_value_heads", format!("{kv_heads} does not divide {heads} heads")));
        }
        if head_dim % 2 != 0 || head_dim == 0 {
            return Err(wrong("head_dim", format!("{head_dim} is not a positive even number")));
        }
        let experts = row.experts.map(|columns| Experts::read(&s, &columns, layers)).transpose()?;
        let scalar = if row.capped { s.number("query_pre_attn_scalar")? } else { None };
        let cap = |key: &str| Ok(if row.capped { s.number(key)?.map(|c| c as f32) } else { None });
        let factor = |key: &str| Ok(if row.multipliers { s.number(key)? } else { None });
        let mut biased = row.biased.to_vec();
        if !row.attention_bias.is_empty() && s.flag("attention_bias", row.attention_bias_default)? {
            biased.extend(row.attention_bias);
        }
        if row.gated
            && row.experts.is_none_or(|e| e.routing != crate::Routing::SoftmaxOfChosen)
            && s.flag("mlp_bias", false)?
        {
            biased.extend(["gate_proj", "up_proj", "down_proj"]);
        }
        let eps = match row.norm {
            NormKind::Rms => "rms_norm_eps",
            NormKind::Layer => "layer_norm_eps",
        };
        let rope_dim = latent.map_or(head_dim, |latent| latent.rope_dim);
        let rope = row.rope.map(|pairs| Rope::read(&s, row, pairs, rope_dim)).transpose()?;
        let mut attention_scale = scalar.unwrap_or(head_dim as f64).powf(-0.5);
        if let Some(multiplier) = factor("attention_multiplier")? {
            attention_scale = multiplier;
        }
        if row.latent {
            attention_scale *= latent_scale(&s)?;
        }
        let embedding_scale = if row.scaled_embedding { (hidden as f32).sqrt() } else { 1.0 };
        let parallel = row.placement == Placement::Parallel && !s.flag("use_parallel_residual", true)?;
        Ok(Self {
            family,
            model_type: model_type.clone(),
            hidden,
            // GPT-2's may be null: four times as wide as the residual stream.
            intermediate: if row.gated {
                s.size("intermediate_size")?
            } else {
                s.size_or("intermediate_size", 4 * hidden)?
            },
            layers,
            heads,
            kv_heads,
            head_dim,
            value_dim,
            vocab: s.size("vocab_size")?,
            norm: row.norm,
            norm_eps: s.number(eps)?.unwrap_or(row.norm_eps) as f32,
            unit_norms: row.unit_norms,
            placement: if parallel { Placement::Pre } else { row.placement },
            head_norms: row.head_norms,
            biased,
            embedding_scale: factor("embedding_multiplier")?.map_or(embedding_scale, |m| m as f32),
            residual_scale: factor("residual_multiplier")?.map_or(1.0, |m| m as f32),
            attention_scale: attention_scale as f32,
            attention_cap: cap("attn_logit_softcapping")?,
            sinks: row.sinks,
            latent,
            logit_divisor: factor("logits_scaling")?.map_or(1.0, |m| m as f32),
            logit_cap: cap("final_logit_softcapping")?,
            gated: row.gated,
            act: act(&s, row)?,
            act_limit: match row.act {
                Some(Act::SwigluClamped) => Some(s.number("swiglu_limit")?.unwrap_or(7.0) as f32),
                _ => None,
            },
            learned_positions: if rope.is_none() { s.size_or("max_position_embeddings", 1024)? } else { 0 },
            rope,
            windows: windows(&s, row, layers)?,
            tied: s.flag("tie_word_embeddings", row.tied)?,
            experts,
        })
    }

    /// Whether a layer has experts.
    ///
    /// ```
    /// use lowbit_arch::Description;
    /// let config = serde_json::json!({
    ///     "model_type": "mixtral", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    ///     "vocab_size": 32, "num_local_experts": 8, "num_experts_per_tok": 2, "sliding_window": 16,
    /// });
    /// let mixtral = Description::read(config.as_object().unwrap())?;
    /// assert!(mixtral.is_sparse(0));
    /// # Ok::<(), lowbit_arch::Error>(())
    /// ```
    pub fn is_sparse(&self, layer: usize) -> bool {
        self.experts.as_ref().is_some_and(|e| e.sparse.get(layer).copied().unwrap_or(false))
    }

    /// What a token leaves behind in a layer.
    ///
    /// ```
    /// use lowbit_arch::{Cache, Description};
    /// let config = serde_json::json!({
    ///     "model_type": "mixtral", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    ///     "vocab_size": 32, "num_local_experts": 8, "num_experts_per_tok": 2, "sliding_window": 16,
    /// });
    /// let mixtral = Description::read(config.as_object().unwrap())?;
    /// assert!(matches!(mixtral.cache(0), Cache::KeysAndValues { keys: 64, values: 64, window: Some(16), .. }));
    /// # Ok::<(), lowbit_arch::Error>(())
    /// ```
    pub fn cache(&self, layer: usize) -> Cache {
        match self.latent {
            Some(latent) => Cache::Latent { rank: latent.rank, rope: latent.rope_dim },
            None => Cache::KeysAndValues {
                keys: self.kv_heads * self.head_dim,
                values: self.kv_heads * self.value_dim,
                window: self.windows.get(layer).copied().flatten(),
            },
        }
    }

    /// The module in a place of a layer, below the model: `layers.3.mlp.gate_proj`. `*` stands for the number of an expert. `None` where the family has
    /// none.
    ///
    /// ```
    /// use lowbit_arch::{Description, Slot};
    /// let config = serde_json::json!({
    ///     "model_type": "mixtral", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    ///     "vocab_size": 32, "num_local_experts": 8, "num_experts_per_tok": 2, "sliding_window": 16,
    /// });
    /// let mixtral = Description::read(config.as_object().unwrap())?;
    /// assert_eq!(mixtral.module(Slot::ExpertUp, 1).unwrap(), "layers.1.block_sparse_moe.experts.*.w3");
    /// # Ok::<(), lowbit_arch::Error>(())
    /// ```
    pub fn module(&self, slot: Slot, layer: usize) -> Option<String> {
        let Name { module, .. } = self.family.name_of(slot)?;
        Some(match slot.is_in_layer() {
            true => format!("{}.{layer}.{module}", self.family.layers),
            false => (*module).to_owned(),
        })
    }
}

/// Settings that would change the result and that the row does not have.
fn refuse(s: &Reader<'_>, family: &Family, row: &Decoder) -> Result<()> {
    let capped: &[&str] = if row.capped {
        &[]
    } else {
        &["attn_logit_softcapping", "final_logit_softcapping", "query_pre_attn_scalar"]
    };
    let multipliers: &[&str] = if row.multipliers {
        &[]
    } else {
        &["embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling"]
    };
    for key in capped.iter().chain(multipliers).chain(&["no_rope_layers"]) {
        if s.get(key).is_some() {
            return Err(unsupported(
                format!("setting {key} of a {} model", family.model_types[0]),
                "models without it are",
            ));
        }
    }
    Ok(())
}

/// The activation of the MLP.
fn act(s: &Reader<'_>, row: &Decoder) -> Result<Act> {
    if row.act == Some(Act::SwigluClamped) {
        return Ok(Act::SwigluClamped);
    }
    // Gemma's first configurations say gelu and mean the tanh form.
    let name = s.text("hidden_activation")?.or(s.text("hidden_act")?);
    match (name, row.act) {
        (None, act) => Ok(act.unwrap_or(Act::Silu)),
        (Some("silu" | "swish"), _) => Ok(Act::Silu),
        (Some("gelu_pytorch_tanh"), _) | (Some("gelu"), Some(Act::GeluTanh)) => Ok(Act::GeluTanh),
        (Some("gelu_new" | "gelu_fast"), Some(Act::GeluTanh | Act::Gelu)) => Ok(Act::GeluTanh),
        (Some("gelu"), Some(Act::Gelu)) => Ok(Act::Gelu),
        (Some(other), _) => Err(unsupported(format!("hidden_act {other}"), "silu and gelu_pytorch_tanh are")),
    }
}

/// The window of each layer.
fn windows(s: &Reader<'_>, row: &Decoder, layers: usize) -> Result<Vec<Option<usize>>> {
    let size = match s.get("sliding_window").is_none() || row.windows == Windows::Never {
        true => None,
        false => Some(s.size("sliding_window")?),
    };
    let on = row.windows != Windows::Late || s.flag("use_sliding_window", false)?;
    let size = size.filter(|_| on);
    if let Some(Setting::List(kinds)) = s.get("layer_types") {
        if kinds.len() != layers {
            return Err(wrong("layer_types", format!("names {} layers of {layers}", kinds.len())));
        }
        let kind = |value: &Setting<'_>| match value {
            Setting::Text("full_attention") => Ok(None),
            Setting::Text("sliding_attention") => size
                .map(Some)
                .ok_or_else(|| wrong("layer_types", "names sliding_attention without a sliding_window")),
            _ => Err(unsupported(format!("layer type {value}"), "full_attention and sliding_attention are")),
        };
        return kinds.iter().map(kind).collect();
    }
    let late = s.size_or("max_window_layers", layers)?;
    let slides = |layer: usize| match row.windows {
        Windows::Never => false,
        Windows::All => true,
        Windows::Late => layer >= late,
        Windows::Alternate => layer.is_multiple_of(2),
    };
    Ok((0..layers).map(|layer| size.filter(|_| slides(layer))).collect())
}

/// The ranks of latent attention.
fn latent(s: &Reader<'_>) -> Result<Latent> {
    let query_rank = if s.get("q_lora_rank").is_some() { Some(s.size("q_lora_rank")?) } else { None };
    Ok(Latent {
        query_rank,
        rank: s.size("kv_lora_rank")?,
        plain_dim: s.size("qk_nope_head_dim")?,
        rope_dim: s.size("qk_rope_head_dim")?,
    })
}

/// What yarn does to the scale of latent attention: the square of `0.1 mscale_all_dim ln(factor) + 1`.
fn latent_scale(s: &Reader<'_>) -> Result<f64> {
    let Some(r) = s.inside("rope_parameters").or(s.inside("rope_scaling")) else { return Ok(1.0) };
    let (Some(all), Some(factor)) = (r.number("mscale_all_dim")?, r.number("factor")?) else {
        return Ok(1.0);
    };
    Ok(if factor <= 1.0 { 1.0 } else { (0.1 * all * factor.ln() + 1.0).powi(2) })
}
