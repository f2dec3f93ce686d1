//! The numbers that a configuration states for all layers.

use serde_json::{Map, Value};

/// The numbers of a configuration that covers all layers at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Claim {
    /// Bits of a code.
    pub bits: Option<u64>,
    /// Columns of a group; `None` if it is not stated, or if groups are whole rows.
    pub group: Option<u64>,
    /// Whether the configuration says that there are no zero points.
    pub symmetric: Option<bool>,
}

impl Claim {
    /// Reads the numbers of a configuration. Empty if the configuration has settings for single
    /// layers.
    pub fn of(config: &Map<String, Value>) -> Self {
        let apart = ["quantized_layers", "dynamic", "extra_config", "config_groups"];
        let says = |key: &&str| config.get(*key).is_some_and(|v| v.as_object().is_none_or(|o| !o.is_empty()));
        // MLX stores the settings of single modules under their names.
        let numbers =
            |v: &Value| v.as_object().is_some_and(|o| o.contains_key("bits") || o.contains_key("group_size"));
        if apart.iter().any(|key| says(key) && config.get(*key) != Some(&Value::Null))
            || config.values().any(numbers)
        {
            return Self::default();
        }
        let get = |keys: &[&str]| keys.iter().find_map(|key| config.get(*key));
        let not = |key: &str| config.get(key).and_then(Value::as_bool).map(|said| !said);
        let said = get(&["sym", "symmetric"]).and_then(Value::as_bool);
        Self {
            bits: get(&["bits", "w_bit"]).and_then(Value::as_u64),
            group: get(&["group_size", "q_group_size"]).and_then(Value::as_u64).filter(|&g| g > 0),
            symmetric: said.or(not("zero_point")).or(not("has_zero_point")),
        }
    }
}
