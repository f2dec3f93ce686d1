//! Where an architecture's numbers come from: named settings of `config.json` now, of a GGUF file's metadata by the same names.
//!
//! The names are those of `config.json`; a dot goes into an object (`rope_parameters.rope_theta`). A source with other names translates them: GGUF's
//! are in [`GGUF_KEYS`], without the architecture that stands before each (`llama.embedding_length`).

use serde_json::{Map, Value};
use std::fmt;

/// The value of a setting.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Setting<'a> {
    /// True or false.
    Flag(bool),
    /// A whole number.
    Whole(i128),
    /// Another number.
    Number(f64),
    /// A text.
    Text(&'a str),
    /// Several values.
    List(Vec<Setting<'a>>),
    /// Something else, as its source writes it: an object.
    Other(String),
}

impl fmt::Display for Setting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Whole(number) => write!(f, "{number}"),
            Self::Number(number) => write!(f, "{number:?}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::List(values) => {
                f.write_str("[")?;
                for (nth, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if nth == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl Setting<'_> {
    /// A whole number of 64 bits.
    ///
    /// ```
    /// use lowbit_arch::Setting;
    /// assert_eq!((Setting::Whole(32).as_u64(), Setting::Whole(-1).as_u64()), (Some(32), None));
    /// ```
    pub fn as_u64(&self) -> Option<u64> {
        if let Self::Whole(number) = self { u64::try_from(*number).ok() } else { None }
    }

    /// A number, whole or not.
    ///
    /// ```
    /// use lowbit_arch::Setting;
    /// assert_eq!((Setting::Whole(32).as_f64(), Setting::Text("32").as_f64()), (Some(32.0), None));
    /// ```
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Whole(number) => Some(*number as f64),
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }
}

/// A source of settings, by the names of `config.json`.
///
/// ```
/// use lowbit_arch::Keys;
/// let config = serde_json::json!({"model_type": "llama", "rope_parameters": {"rope_theta": 500000.0}});
/// let keys = config.as_object().unwrap();
/// assert_eq!(keys.get_str("model_type").as_deref(), Some("llama"));
/// assert_eq!(keys.get_f64("rope_parameters.rope_theta"), Some(500000.0));
/// assert_eq!(keys.get_u64("num_hidden_layers"), None);
/// ```
pub trait Keys {
    /// The value of a setting; `None` if it is not there or null.
    fn get(&self, key: &str) -> Option<Setting<'_>>;

    /// Whether there are settings below this name.
    fn has_group(&self, key: &str) -> bool {
        matches!(self.get(key), Some(Setting::Other(_)))
    }

    /// What the model calls its architecture: its own name first, then that of its language model.
    fn model_types(&self) -> Vec<String> {
        self.get_str("model_type").into_iter().collect()
    }

    /// A whole number.
    fn get_u64(&self, key: &str) -> Option<u64> {
        self.get(key)?.as_u64()
    }

    /// A number.
    fn get_f64(&self, key: &str) -> Option<f64> {
        self.get(key)?.as_f64()
    }

    /// A text.
    fn get_str(&self, key: &str) -> Option<String> {
        if let Setting::Text(text) = self.get(key)? { Some(text.to_owned()) } else { None }
    }

    /// True or false.
    fn get_bool(&self, key: &str) -> Option<bool> {
        if let Setting::Flag(flag) = self.get(key)? { Some(flag) } else { None }
    }

    /// Several values.
    fn get_array(&self, key: &str) -> Option<Vec<Setting<'_>>> {
        if let Setting::List(values) = self.get(key)? { Some(values) } else { None }
    }
}

/// The settings of `config.json`; those of `text_config` come first.
impl Keys for Map<String, Value> {
    fn get(&self, key: &str) -> Option<Setting<'_>> {
        let text = self.get("text_config").and_then(Value::as_object);
        text.into_iter().chain([self]).find_map(|map| find(map, key)).map(setting)
    }

    fn model_types(&self) -> Vec<String> {
        let text = self.get("text_config").and_then(Value::as_object);
        let name = |map: &Map<String, Value>| map.get("model_type")?.as_str().map(str::to_owned);
        [Some(self), text].into_iter().flatten().filter_map(name).collect()
    }
}

fn find<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    let value = match key.split_once('.') {
        Some((outer, inner)) => find(map.get(outer)?.as_object()?, inner)?,
        None => map.get(key)?,
    };
    (!value.is_null()).then_some(value)
}

fn setting(value: &Value) -> Setting<'_> {
    match value {
        Value::Bool(flag) => Setting::Flag(*flag),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => Setting::Whole(number.into()),
            (None, Some(number)) => Setting::Whole(number.into()),
            _ => Setting::Number(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Setting::Text(text),
        Value::Array(values) => Setting::List(values.iter().map(setting).collect()),
        other => Setting::Other(other.to_string()),
    }
}

/// Settings of `config.json` and the keys that have the same meaning in GGUF, without the architecture before them.
///
/// Source: gguf-py's `constants.py`.
pub const GGUF_KEYS: &[(&str, &str)] = &[
    ("hidden_size", "embedding_length"),
    ("num_hidden_layers", "block_count"),
    ("intermediate_size", "feed_forward_length"),
    ("num_attention_heads", "attention.head_count"),
    ("num_key_value_heads", "attention.head_count_kv"),
    ("head_dim", "attention.key_length"),
    ("vocab_size", "vocab_size"),
    ("max_position_embeddings", "context_length"),
    ("rms_norm_eps", "attention.layer_norm_rms_epsilon"),
    ("layer_norm_eps", "attention.layer_norm_epsilon"),
    ("sliding_window", "attention.sliding_window"),
    ("use_parallel_residual", "use_parallel_residual"),
    ("attn_logit_softcapping", "attn_logit_softcapping"),
    ("final_logit_softcapping", "final_logit_softcapping"),
    ("embedding_multiplier", "embedding_scale"),
    ("residual_multiplier", "residual_scale"),
    ("attention_multiplier", "attention.scale"),
    ("logits_scaling", "logit_scale"),
    ("rope_theta", "rope.freq_base"),
    ("rope_scaling.rope_type", "rope.scaling.type"),
    ("rope_scaling.factor", "rope.scaling.factor"),
    ("rope_scaling.original_max_position_embeddings", "rope.scaling.original_context_length"),
    ("num_experts", "expert_count"),
    ("num_experts_per_tok", "expert_used_count"),
    ("moe_intermediate_size", "expert_feed_forward_length"),
    ("n_shared_experts", "expert_shared_count"),
    ("routed_scaling_factor", "expert_weights_scale"),
    ("norm_topk_prob", "expert_weights_norm"),
    ("n_group", "expert_group_count"),
    ("topk_group", "expert_group_used_count"),
    ("first_k_dense_replace", "leading_dense_block_count"),
    ("q_lora_rank", "attention.q_lora_rank"),
    ("kv_lora_rank", "attention.kv_lora_rank"),
    ("qk_rope_head_dim", "rope.dimension_count"),
];

/// GGUF's key for a setting of `config.json`.
///
/// ```
/// assert_eq!(lowbit_arch::gguf_key("hidden_size"), Some("embedding_length"));
/// ```
pub fn gguf_key(setting: &str) -> Option<&'static str> {
    GGUF_KEYS.iter().find(|row| row.0 == setting).map(|row| row.1)
}
