//! The kinds of tensors of a quantized layer, by the end of their names: one table for all
//! conventions.

use crate::safetensors::{Dtype, Entry};
use lowbit_container::Checkpoint;
use std::collections::BTreeSet;

/// The contents of a tensor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Codes, if the name alone says so.
    Codes,
    /// Block scales.
    Scale,
    /// A scale of the whole tensor, on top of block scales.
    TensorScale,
    /// Zero points.
    Zero,
    /// The group of each input column.
    Order,
    /// The static scale of the input.
    InputScale,
    /// A scale of the key-value cache or of attention.
    CacheScale,
    /// The factor of the input: a pre-quant scale.
    PreScale,
    /// A constant of the layout: a shape, the state of a quantizer.
    Constant,
}

/// Ends of names. `biases` of MLX and `quant_map` of bitsandbytes are ordinary numbers.
const ENDS: &[(&str, Kind)] = &[
    (".weight_packed", Kind::Codes),
    (".qweight", Kind::Codes),
    (".codes", Kind::Codes),
    ("_blocks", Kind::Codes),
    (".W_q", Kind::Codes),
    (".weight_scale", Kind::Scale),
    (".weight_scale_inv", Kind::Scale),
    (".scales", Kind::Scale),
    ("_scales", Kind::Scale),
    (".absmax", Kind::Scale),
    (".SCB", Kind::Scale),
    (".weight_global_scale", Kind::TensorScale),
    (".weight_scale_2", Kind::TensorScale),
    (".tensor_scale", Kind::TensorScale),
    (".nested_absmax", Kind::TensorScale),
    (".weight_zero_point", Kind::Zero),
    (".qzeros", Kind::Zero),
    (".zeros", Kind::Zero),
    (".g_idx", Kind::Order),
    (".weight_g_idx", Kind::Order),
    (".input_scale", Kind::InputScale),
    (".input_global_scale", Kind::InputScale),
    (".output_scale", Kind::InputScale),
    (".k_scale", Kind::CacheScale),
    (".v_scale", Kind::CacheScale),
    (".q_scale", Kind::CacheScale),
    (".kv_scale", Kind::CacheScale),
    (".pre_quant_scale", Kind::PreScale),
    (".weight_shape", Kind::Constant),
    (".weight_format", Kind::Constant),
    (".compressed", Kind::Constant),
    (".bitmask", Kind::Constant),
    (".row_offsets", Kind::Constant),
    (".shape", Kind::Constant),
    (".quant_map", Kind::Constant),
    (".nested_quant_map", Kind::Constant),
    (".quant_state.bitsandbytes__nf4", Kind::Constant),
    (".quant_state.bitsandbytes__fp4", Kind::Constant),
];

/// The module that a tensor belongs to, and the tensor's kind; `None` for weights and all other
/// names without such an end.
pub(super) fn part_of(name: &str) -> Option<(&str, Kind)> {
    let (module, kind) = ENDS.iter().find_map(|(end, kind)| Some((name.strip_suffix(end)?, *kind)))?;
    Some((crate::arch::module_of(module), kind))
}

/// The module of any tensor.
pub(super) fn module_of(name: &str) -> &str {
    part_of(name).map_or(crate::arch::module_of(name), |(module, _)| module)
}

/// Whether elements of this type are ordinary numbers, rather than codes.
pub(super) const fn is_float(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16)
}

/// Whether a tensor holds codes of a weight: its name says so, or it is a weight of a type that
/// needs scales.
pub(super) fn is_codes(entry: &Entry) -> bool {
    let named = part_of(&entry.name).is_some_and(|(_, kind)| kind == Kind::Codes);
    // The values of a compressed sparse weight are codes unless they are floats.
    named
        || [".weight", ".compressed"].iter().any(|end| entry.name.ends_with(end))
            && !is_float(entry.dtype)
            && entry.dtype != Dtype::BOOL
}

/// Modules that have codes.
pub(super) fn quantized(checkpoint: &Checkpoint) -> BTreeSet<&str> {
    let codes = checkpoint.tensors().map(|t| t.entry).filter(|entry| is_codes(entry));
    codes.map(|entry| module_of(&entry.name)).collect()
}
