//! `quantization_config` of the three conventions.

use super::super::Quantized;
use super::Fp8;
use crate::{CONFIG, json};
use lowbit_blocks::{MXFP4, MXFP8, ScaleKind};
use lowbit_calib::Activations;
use serde_json::{Map, Value, json};

/// The upper bound to which FBGEMM clips the scale of an activation.
const ACTIVATION_SCALE_UB: f64 = 1200.0;

/// The `config.json` with its `quantization_config`.
pub(super) fn write(
    convention: Fp8,
    quantized: &Quantized<'_>,
    config: &Map<String, Value>,
) -> Vec<(String, Vec<u8>)> {
    let schemes = quantized.schemes();
    let mut config = config.clone();
    // If experts are MXFP4, the other linears determine the top-level settings.
    let dense = schemes.iter().map(|(scheme, _)| *scheme).find(|scheme| scheme.format != MXFP4);
    let main = dense.unwrap_or_else(|| quantized.main());
    let left_out = quantized.left_out();
    let scheme = if main.activations == Activations::Static { "static" } else { "dynamic" };
    let block = match main.format.block.tile() {
        Some((rows, cols)) => json!([rows, cols]),
        None if main.format == MXFP8 => json!([1, main.format.block.group()]),
        _ if convention == Fp8::DeepSeekV4 => json!([128, 128]),
        _ => Value::Null,
    };
    let about = match convention {
        Fp8::Fbgemm => json!({
            "activation_scale_ub": ACTIVATION_SCALE_UB,
            "modules_to_not_convert": left_out,
            "quant_method": "fbgemm_fp8",
        }),
        _ => {
            let mut about = json!({
                "activation_scheme": scheme,
                "fmt": "e4m3",
                "modules_to_not_convert": left_out,
                "quant_method": if main.format == MXFP8 { "mxfp8" } else { "fp8" },
                "weight_block_size": block,
            });
            if convention == Fp8::DeepSeekV4 {
                if main.format.scale.kind == ScaleKind::E8m0 {
                    about["scale_fmt"] = "ue8m0".into();
                }
                let packed = schemes.iter().any(|(scheme, _)| scheme.format == MXFP4);
                config.insert("expert_dtype".into(), if packed { "fp4" } else { "fp8" }.into());
            }
            about
        }
    };
    config.insert("quantization_config".into(), about);
    vec![(CONFIG.into(), json::dumps(&json::sorted(&Value::Object(config)), 2))]
}
