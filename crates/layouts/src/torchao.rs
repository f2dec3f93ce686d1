//! torchao's safetensors form. The fields of each quantized tensor are tensors with names of their
//! own; everything else is in the file's `__metadata__`.
//!
//! ```text
//! __metadata__  tensor_names = ["a.weight", ..]      a.weight = {"_type": CLASS, "_data": {attributes}, "_tensor_data_names": [fields]}
//! tensors       a._weight_FIELD
//!
//! CLASS                     qdata                              scale                              zero_point       besides
//! Float8Tensor              F8_E4M3 | F8_E5M2 [N, K]           F32 [N/b0, K/b1]
//! Int8Tensor                I8 [N, K]                          F32 [N/b0, K/b1]                   I8 as scale      act_quant_scale, act_pre_scale
//! IntxUnpackedToInt8Tensor  I8 [N, K], b bits in a byte        BF16 [N/b0, K/b1]                  I8 as scale
//! Int4Tensor                I8 [N, K/2], low nibble first      BF16 [K/g, N]                      BF16 as scale    act_pre_scale
//! MXTensor                  F8 [N, K]; FP6 U8 [N, K], one      F8_E8M0 [N, K/32]
//!                           a byte; FP4 U8 [N, K/2]
//! NVFP4Tensor               U8 [N, K/2]                        F8_E4M3 [N, K/16]                                   per_tensor_scale F32 []
//! ```
//!
//! `block_size` `[b0, b1]` is the rectangle that shares a scale: `[1, K]` is a row, `[N, K]` the
//! matrix. With `is_swizzled_scales` the scales are in the 128x4 order of tensor cores. Int8 and
//! intx are `(code - zero) * scale`; Int4 is `code * scale + zero` with signed codes. Stacks of
//! experts have one more leading dimension everywhere.
//!
//! The configuration has `quant_method: torchao` and the requested settings. Only the header says
//! how each tensor is quantized, so a directory without a configuration can be read too.
//!
//! Source: `torchao/prototype/safetensors`, `torchao/quantization/quantize_/workflows`,
//! `torchao/prototype/mx_formats` of torchao 0.18.

mod classes;
mod fields;

use super::{Found, ReadLayout, Stored, stored};
use crate::{Checkpoint, Error, Result};
use classes::CLASSES;
use fields::Fields;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// torchao 0.18; read only.
#[derive(Debug)]
pub(super) struct Torchao;

/// The metadata key with the names of all tensors.
const NAMES: &str = "tensor_names";

impl ReadLayout for Torchao {
    fn find(&self, checkpoint: &Checkpoint) -> Result<Option<Found>> {
        let config = stored::any_quantization_config(checkpoint);
        let method = config.and_then(|config| config.get("quant_method")).and_then(Value::as_str);
        if method.is_some_and(|method| method != "torchao") {
            return Ok(None);
        }
        let described = described(checkpoint)?;
        if described.is_empty() && method.is_some() {
            let reason = format!(
                "quant_method is torchao, but no header has {NAMES}, which says what the tensors are"
            );
            return Err(Error::file(&checkpoint.dir().join(crate::CONFIG), reason));
        }
        let found = described.into_iter().map(|(weight, (file, text))| read(checkpoint, file, weight, text));
        let found: Found = found.filter_map(Result::transpose).collect();
        Ok((!found.is_empty()).then_some(found))
    }
}

/// The descriptions of tensors in the headers: the file that has it, and the text.
fn described(checkpoint: &Checkpoint) -> Result<BTreeMap<&str, (&Path, &str)>> {
    let mut described: BTreeMap<&str, (&Path, &str)> = BTreeMap::new();
    for file in checkpoint.files() {
        let metadata = file.metadata();
        let Some(names) = metadata.text(NAMES) else { continue };
        let names: Vec<String> =
            serde_json::from_str(names).map_err(|e| Error::file(file.path(), format!("{NAMES}: {e}")))?;
        for name in &names {
            let Some((name, text)) = metadata.texts().find(|(key, _)| key == name) else {
                return Err(Error::tensor(
                    file.path(),
                    name,
                    format!("{NAMES} has it, but nothing says what it is"),
                ));
            };
            let earlier = described.insert(name, (file.path(), text));
            if let Some((other, _)) = earlier.filter(|(_, other)| *other != text) {
                let reason = format!("the header of {} says something else of it", other.display());
                return Err(Error::tensor(file.path(), name, reason));
            }
        }
    }
    Ok(described)
}

/// Reads the linear of a description; `None` for an unquantized tensor.
fn read(checkpoint: &Checkpoint, file: &Path, weight: &str, text: &str) -> Result<Option<Stored>> {
    let wrong = |reason: String| Error::tensor(file, weight, reason);
    let about: Map<String, Value> =
        serde_json::from_str(text).map_err(|e| wrong(format!("its metadata is not read: {e}")))?;
    let name = about.get("_type").and_then(Value::as_str).unwrap_or_default();
    if matches!(name, "Tensor" | "torch.Tensor") {
        return Ok(None);
    }
    let Some(class) = CLASSES.iter().find(|class| class.name == name) else {
        let known: Vec<_> = CLASSES.iter().map(|class| class.name).collect();
        let reason = format!("is a {name} of torchao, not one of {}", known.join(", "));
        return Err(wrong(reason));
    };
    let fields = Fields::new(checkpoint, file, weight, &about, (class.name, class.fields))?;
    class.read(&fields).map(Some)
}
