//! What a checkpoint is quantized with, if with anything: the configuration says it first, then the names of tensors.

use super::{LAYOUTS, Layout, Stored, stored};
use crate::{Checkpoint, Error, Result};
use serde_json::Value;

/// The quantized linears of a checkpoint and the layout that they are in.
#[derive(Debug)]
pub struct Reading {
    /// The layout.
    pub layout: &'static dyn Layout,
    /// The linears, in name order.
    pub linears: Vec<Stored>,
}

/// Tensors that only one convention has, by the end of their names. For directories without a telling configuration.
const TELLTALES: &[(&str, &str)] = &[
    (".qweight", "gptq or awq"),
    (".SCB", "bitsandbytes int8"),
    (".weight.quant_state.bitsandbytes__nf4", "bitsandbytes nf4"),
    (".weight.quant_state.bitsandbytes__fp4", "bitsandbytes fp4"),
    (".weight_scale_inv", "fp8 blocks of DeepSeek's kind"),
    ("_blocks", "mxfp4 of gpt-oss's kind"),
    (".weight_packed", "compressed-tensors without its configuration"),
    (".weight_scale_2", "modelopt without its configuration"),
    (".W_q", "hqq"),
];

/// Finds out how a checkpoint is quantized; `None` if it is not.
///
/// # Errors
/// [`Error::Convention`] naming a convention that is not read yet, or what the layout has to say against the checkpoint.
pub fn read(checkpoint: &Checkpoint) -> Result<Option<Reading>> {
    for &layout in LAYOUTS {
        if let Some(linears) = layout.find(checkpoint)? {
            return Ok(Some(Reading { layout, linears }));
        }
    }
    let foreign = |method: &str| {
        let readable = LAYOUTS.iter().map(|l| l.name()).collect::<Vec<_>>().join(", ");
        Err(Error::Convention { dir: checkpoint.dir().to_owned(), method: method.to_owned(), readable })
    };
    if let Some(config) = stored::any_quantization_config(checkpoint) {
        let method = config.get("quant_method").and_then(Value::as_str);
        let bitsandbytes =
            ["load_in_4bit", "load_in_8bit"].iter().any(|key| config.get(*key) == Some(&true.into()));
        match method {
            Some(method) => return foreign(method),
            None if bitsandbytes => return foreign("bitsandbytes"),
            None => {}
        }
    }
    let telltale = |name: &str| TELLTALES.iter().find(|(suffix, _)| name.ends_with(suffix));
    match checkpoint.tensors().find_map(|t| telltale(&t.entry.name)) {
        Some((_, method)) => foreign(method),
        None => Ok(None),
    }
}
