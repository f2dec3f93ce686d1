//! `quantization_config` of bitsandbytes, as transformers 5.17 writes it: keys sorted, with the
//! parameters of 4-bit and 8-bit quantization in both cases.

use super::super::Quantized;
use super::is_int8;
use crate::{CONFIG, json};
use serde_json::{Map, Value, json};

/// The `config.json` with its `quantization_config`.
pub(super) fn write(
    quantized: &Quantized<'_>,
    config: &Map<String, Value>,
    nested: bool,
) -> Vec<(String, Vec<u8>)> {
    let format = quantized.main().format;
    let eight = is_int8(&format);
    let compute = match quantized.dtype {
        _ if eight => "float32",
        lowbit_blocks::Dtype::F32 => "float32",
        lowbit_blocks::Dtype::F16 => "float16",
        lowbit_blocks::Dtype::Bf16 => "bfloat16",
    };
    // Without a list, transformers skips the output head and nothing else.
    let skipped = quantized.left_out();
    let skipped = (skipped != ["lm_head"] && !skipped.is_empty()).then_some(skipped);
    let mut config = config.clone();
    config.insert(
        "quantization_config".into(),
        json!({
            "_load_in_4bit": !eight,
            "_load_in_8bit": eight,
            "bnb_4bit_compute_dtype": compute,
            "bnb_4bit_quant_storage": "uint8",
            "bnb_4bit_quant_type": if eight { "fp4" } else { format.element.name() },
            "bnb_4bit_use_double_quant": nested,
            "llm_int8_enable_fp32_cpu_offload": false,
            "llm_int8_has_fp16_weight": false,
            "llm_int8_skip_modules": skipped,
            "llm_int8_threshold": 6.0,
            "load_in_4bit": !eight,
            "load_in_8bit": eight,
            "quant_method": "bitsandbytes",
        }),
    );
    vec![(CONFIG.into(), json::dumps(&json::sorted(&Value::Object(config)), 2))]
}
