//! Translates AutoRound's configuration to compressed-tensors, whose tensors it describes.
//!
//! ```text
//! data_type  int; float for mx_fp, nv_fp, fp and their variants                type
//! bits, sym                                                                    num_bits, symmetric
//! group_size g > 0, -1, 0, [r, c]; nv_fp has two levels                        strategy group (tensor_group), channel, tensor, block
//! act_bits up to 8, act_dynamic, act_data_type, act_group_size                 input_activations
//! extra_config                                                                 groups whose targets are its names and expressions
//! ```

use serde_json::{Map, Value, json};

/// The equivalent `quantization_config` of compressed-tensors.
pub(super) fn translate(config: &Map<String, Value>) -> Map<String, Value> {
    let mut groups = Map::new();
    groups.insert("group_0".into(), group(config, &["Linear".to_owned()]));
    let changes = config.get("extra_config").and_then(Value::as_object).into_iter().flatten();
    for (at, (name, change)) in changes.enumerate() {
        let mut own = config.clone();
        own.extend(change.as_object().cloned().unwrap_or_default());
        // Names take precedence over regular expressions in both conventions. A string without
        // special characters is a name.
        let targets = if name.contains(['*', '^', '$', '\\', '(', '[', '|', '+', '?']) {
            format!("re:.*(?:{name})")
        } else {
            name.clone()
        };
        groups.insert(format!("group_{}", at + 1), group(&own, &[targets]));
    }
    json!({"config_groups": groups}).as_object().cloned().unwrap_or_default()
}

fn group(config: &Map<String, Value>, targets: &[String]) -> Value {
    let of = |key: &str| config.get(key).cloned().unwrap_or_default();
    let data_type = of("data_type");
    let kind = data_type.as_str().unwrap_or("int");
    let symmetric = config.get("sym").and_then(Value::as_bool).unwrap_or(true);
    let weights = args(kind, &of("bits"), &of("group_size"), &json!(symmetric), &json!(false));
    let bits = config.get("act_bits").and_then(Value::as_u64).unwrap_or(16);
    let input = if bits <= 8 {
        let kind_of_input = of("act_data_type");
        let dynamic = config.get("act_dynamic").and_then(Value::as_bool).unwrap_or(true);
        // NVFP4 activations have dynamic block scales under a static tensor scale.
        let dynamic = if kind.starts_with("nv_fp") && !dynamic { json!("local") } else { json!(dynamic) };
        args(
            kind_of_input.as_str().unwrap_or(kind),
            &json!(bits),
            &of("act_group_size"),
            &json!(true),
            &dynamic,
        )
    } else {
        Value::Null
    };
    json!({"targets": targets, "weights": weights, "input_activations": input, "output_activations": null})
}

fn args(kind: &str, bits: &Value, group: &Value, symmetric: &Value, dynamic: &Value) -> Value {
    let (strategy, size) = match group.as_i64() {
        Some(size @ 1..) if kind.starts_with("nv_fp") => ("tensor_group", json!(size)),
        Some(size @ 1..) => ("group", json!(size)),
        Some(0) => ("tensor", Value::Null),
        _ if group.is_array() => ("block", Value::Null),
        _ => ("channel", Value::Null),
    };
    json!({
        "num_bits": bits,
        "type": if kind.starts_with("int") { "int" } else { "float" },
        "symmetric": symmetric,
        "strategy": strategy,
        "group_size": size,
        "block_structure": if group.is_array() { group.clone() } else { Value::Null },
        "dynamic": dynamic,
    })
}
