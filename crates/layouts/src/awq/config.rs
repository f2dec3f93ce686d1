//! `quantization_config` in `config.json` as AutoAWQ 0.2.9 writes it: modules whose names contain one of `modules_to_not_convert` are left alone.

use super::super::Quantized;
use crate::{CONFIG, json};
use lowbit_blocks::Zero;
use serde_json::{Map, Value, json};

/// `config.json` with the quantization in it.
pub(super) fn write(quantized: &Quantized<'_>, config: &Map<String, Value>) -> Vec<(String, Vec<u8>)> {
    let format = quantized.main().format;
    let group = format.block.group().map_or(json!(-1), |size| json!(size));
    // Loaders look for these texts anywhere in a name: one that is the start of a quantized module's would leave that out too.
    let kept =
        quantized.kept.iter().filter(|kept| !quantized.names().any(|name| name.contains(kept.as_str())));
    let kept: Vec<&String> = kept.collect();
    let kept = (!kept.is_empty()).then_some(kept);
    let mut config = config.clone();
    config.insert(
        "quantization_config".into(),
        json!({
            "bits": 4,
            "group_size": group,
            "modules_to_not_convert": kept,
            "quant_method": "awq",
            "version": "gemm",
            "zero_point": format.zero != Zero::None,
        }),
    );
    vec![(CONFIG.into(), json::dumps(&Value::Object(config), 2))]
}
