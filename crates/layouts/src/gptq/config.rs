//! `quantize_config.json` of GPTQModel 7.7, and its copy in `config.json` as `quantization_config`.
//!
//! The most frequent settings are at the top level. `dynamic` has a regular expression for every
//! module with other settings, and for every unquantized linear inside of the layers, because
//! loaders assume that all linears of a layer are quantized.

use super::super::Quantized;
use super::super::quantized::Scheme;
use super::super::qweight::Convention;
use crate::{CONFIG, json};
use lowbit_blocks::Zero;
use serde_json::{Map, Value, json};

/// Name of GPTQModel's own configuration file.
const SIDE_FILE: &str = "quantize_config.json";

/// The version of GPTQModel that writes such files. Its loader refuses asymmetric version 1 from
/// writers that it does not know.
const QUANTIZER: &str = "gptqmodel:7.7.0";

/// The contents of both files.
pub(super) fn write(
    convention: Convention,
    quantized: &Quantized<'_>,
    config: &Map<String, Value>,
) -> Vec<(String, Vec<u8>)> {
    let format = if convention == Convention::Gptq { "gptq" } else { "gptq_v2" };
    let main = overrides(&quantized.main());
    let mut inner = Map::new();
    inner.insert("bits".into(), main["bits"].clone());
    let dynamic = dynamic(quantized);
    if !dynamic.is_empty() {
        inner.insert("dynamic".into(), dynamic.into());
    }
    inner.insert("group_size".into(), main["group_size"].clone());
    inner.insert("desc_act".into(), quantized.modules.iter().any(|module| module.permuted).into());
    inner.insert("lm_head".into(), quantized.names().any(is_head).into());
    for key in ["method", "quant_method"] {
        inner.insert(key.into(), "gptq".into());
    }
    for key in ["format", "checkpoint_format"] {
        inner.insert(key.into(), format.into());
    }
    inner.insert("pack_dtype".into(), "int32".into());
    inner.insert("meta".into(), json!({"quantizer": [QUANTIZER]}));
    inner.insert("sym".into(), main["sym"].clone());
    let inner = Value::Object(inner);
    let mut config = config.clone();
    config.insert("quantization_config".into(), inner.clone());
    vec![(SIDE_FILE.into(), json::dumps(&inner, 2)), (CONFIG.into(), json::dumps(&Value::Object(config), 2))]
}

/// The settings of a scheme, for `dynamic` and the top level.
fn overrides(scheme: &Scheme) -> Map<String, Value> {
    let group = scheme.format.block.group().map_or(json!(-1), |size| json!(size));
    let sym = scheme.format.zero == Zero::None;
    let fields = [("bits", json!(scheme.format.element.bits())), ("group_size", group), ("sym", json!(sym))];
    fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn dynamic(quantized: &Quantized<'_>) -> Map<String, Value> {
    let kept = quantized.kept.iter().filter(|name| in_a_layer(name));
    let mut rules: Map<String, Value> = kept.map(|name| (rule('-', name), json!({}))).collect();
    for (scheme, names) in quantized.schemes().iter().skip(1) {
        rules.extend(names.iter().map(|name| (rule('+', name), overrides(scheme).into())));
    }
    rules
}

/// A regular expression for one name. GPTQModel anchors it at the start only.
fn rule(sign: char, name: &str) -> String {
    format!("{sign}:^{}$", regex::escape(name))
}

/// Whether a module is in one of the repeated layers: its name contains a number.
fn in_a_layer(name: &str) -> bool {
    name.split('.').any(|part| part.parse::<u32>().is_ok())
}

fn is_head(name: &str) -> bool {
    name.rsplit('.').next() == Some("lm_head")
}
