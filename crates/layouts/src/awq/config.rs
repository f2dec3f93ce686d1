//! `quantization_config` in `config.json`, as AutoAWQ 0.2.9 writes it. Modules whose names contain
//! an entry of `modules_to_not_convert` stay unquantized.

use super::super::Quantized;
use crate::{CONFIG, json};
use lowbit_blocks::Zero;
use serde_json::{Map, Value, json};

/// The `config.json` with its `quantization_config`.
pub(super) fn write(quantized: &Quantized<'_>, config: &Map<String, Value>) -> Vec<(String, Vec<u8>)> {
    let format = quantized.main().format;
    let group = format.block.group().map_or(json!(-1), |size| json!(size));
    // Loaders match these strings anywhere in a name. A string that a quantized module's name
    // contains would exclude that module too.
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
