//! `quantization` of MLX: the most frequent settings, and those of every other module by its name.

use super::super::Quantized;
use super::mode;
use crate::{CONFIG, json};
use lowbit_blocks::Format;
use serde_json::{Map, Value, json};

/// The `config.json` with two copies of the quantization, as in mlx-lm: keys sorted, indented by
/// four.
pub(super) fn write(quantized: &Quantized<'_>, config: &Map<String, Value>) -> Vec<(String, Vec<u8>)> {
    let about = |format: &Format| {
        let (mode, bits, group) = mode(format)?;
        Some(json!({"group_size": group, "bits": bits, "mode": mode}))
    };
    let schemes = quantized.schemes();
    let mut quantization = schemes.first().and_then(|(scheme, _)| about(&scheme.format)).unwrap_or_default();
    for (scheme, names) in schemes.iter().skip(1) {
        let Some(about) = about(&scheme.format) else { continue };
        names.iter().for_each(|name| quantization[*name] = about.clone());
    }
    let mut config = config.clone();
    config.insert("quantization".into(), quantization.clone());
    config.insert("quantization_config".into(), quantization);
    vec![(CONFIG.into(), json::dumps(&json::sorted(&Value::Object(config)), 4))]
}
