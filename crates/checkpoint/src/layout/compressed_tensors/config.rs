//! `quantization_config` of compressed-tensors 0.19: one group that targets `Linear`, and the modules that it does not take.

use super::{Compression, Quantized};
use crate::{CONFIG, json};
use lowbit_blocks::{Block, Format, ScaleKind, Zero};
use lowbit_calib::Activations;
use lowbit_kernels::Element;
use serde_json::{Map, Value, json};

/// The version whose files these are.
const VERSION: &str = "0.19.0";

/// `config.json` with the quantization in it.
pub(super) fn write(quantized: &Quantized<'_>, config: &Map<String, Value>) -> Vec<(String, Vec<u8>)> {
    let scheme = quantized.main();
    let format = Compression::of(&scheme.format, scheme.activations).map(Compression::name);
    let activations = match scheme.activations {
        Activations::None => Value::Null,
        _ => activations(&scheme.format),
    };
    let mut config = config.clone();
    config.insert(
        "quantization_config".into(),
        json!({
            "config_groups": {"group_0": {
                "format": format,
                "input_activations": activations,
                "output_activations": null,
                "targets": ["Linear"],
                "weights": weights(&scheme.format),
            }},
            "format": format,
            "global_compression_ratio": null,
            "ignore": quantized.kept,
            "kv_cache_scheme": null,
            "quant_method": "compressed-tensors",
            "quantization_status": "compressed",
            "sparsity_config": {},
            "transform_config": {},
            "version": VERSION,
        }),
    );
    vec![(CONFIG.into(), json::dumps(&json::sorted(&Value::Object(config)), 2))]
}

/// `QuantizationArgs` of the weights.
fn weights(format: &Format) -> Value {
    let (strategy, group, block) = match format.block {
        Block::Tensor => ("tensor", None, None),
        Block::Channel | Block::Flat(_) => ("channel", None, None),
        Block::Group(group) if format.tensor_scale => ("tensor_group", Some(group), None),
        Block::Group(group) => ("group", Some(group), None),
        Block::Tile { rows, cols } => ("block", None, Some([rows, cols])),
    };
    let mut args = args(format, strategy, group);
    args["block_structure"] = json!(block);
    args["dynamic"] = false.into();
    args["observer"] = "memoryless_minmax".into();
    args
}

/// `QuantizationArgs` of activations quantized at run time: in the weights' blocks for MX, in groups of 128 beside tiles, else one scale a token.
fn activations(format: &Format) -> Value {
    match format.block {
        Block::Group(group) => args(format, "group", Some(group)),
        Block::Tile { cols, .. } => args(format, "group", Some(cols)),
        _ => args(format, "token", None),
    }
}

fn args(format: &Format, strategy: &str, group: Option<usize>) -> Value {
    let integer = matches!(format.element, Element::Int { .. } | Element::Uint { .. });
    json!({
        "actorder": null,
        "block_structure": null,
        "dynamic": true,
        "group_size": group,
        "num_bits": format.element.bits(),
        "observer": null,
        "observer_kwargs": {},
        "scale_dtype": match format.scale {
            ScaleKind::E4m3 => Some("torch.float8_e4m3fn"),
            ScaleKind::E8m0 => Some("torch.uint8"),
            _ => None,
        },
        "strategy": strategy,
        "symmetric": format.zero == Zero::None,
        "type": if integer { "int" } else { "float" },
        "zp_dtype": if format.zero == Zero::None { None } else { Some("torch.int8") },
    })
}
