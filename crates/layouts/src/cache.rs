//! Scales and biases of the key-value cache: which attention module they belong to, by the names that the conventions give them.
//!
//! ```text
//! A.k_scale         A.v_scale         A.q_scale        compressed-tensors, vLLM
//! A.k_proj.k_scale  A.v_proj.v_scale                   ModelOpt; with affine caches also A.k_proj.k_bias, A.v_proj.v_bias
//! A.k_proj.output_scale  A.v_proj.output_scale         Quark
//! ```

use crate::Checkpoint;

/// What is cached, or scaled beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cache {
    /// Keys.
    Key,
    /// Values.
    Value,
    /// Queries, which are not cached but quantized with the keys.
    Query,
}

/// A number that an attention module has for its cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CacheNumber {
    /// What one step is.
    Scale(Cache),
    /// What is taken off before quantizing and added afterwards.
    Bias(Cache),
}

/// A cache tensor of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheTensor {
    /// Name of the attention module.
    pub attention: String,
    /// What the tensor holds.
    pub number: CacheNumber,
    /// Name of the tensor.
    pub tensor: String,
}

/// Ends of names, after the attention module.
const ENDS: &[(&str, CacheNumber)] = {
    use Cache::{Key, Query, Value};
    use CacheNumber::{Bias, Scale};
    &[
        (".k_proj.k_scale", Scale(Key)),
        (".v_proj.v_scale", Scale(Value)),
        (".k_proj.output_scale", Scale(Key)),
        (".v_proj.output_scale", Scale(Value)),
        (".k_proj.k_bias", Bias(Key)),
        (".v_proj.v_bias", Bias(Value)),
        (".attn.k_scale", Scale(Key)),
        (".attn.v_scale", Scale(Value)),
        (".attn.q_scale", Scale(Query)),
        (".k_scale", Scale(Key)),
        (".v_scale", Scale(Value)),
        (".q_scale", Scale(Query)),
    ]
};

/// Whether a tensor of this name belongs to a cache.
pub(super) fn is_cache(name: &str) -> bool {
    ENDS.iter().any(|(end, _)| name.ends_with(end))
}

/// All cache tensors, in name order.
pub(crate) fn find(checkpoint: &Checkpoint) -> Vec<CacheTensor> {
    let of = |name: &str| {
        let (end, number) = ENDS.iter().find(|(end, _)| name.ends_with(end))?;
        let attention = name.strip_suffix(end)?.to_owned();
        Some(CacheTensor { attention, number: *number, tensor: name.to_owned() })
    };
    checkpoint.tensors().filter_map(|tensor| of(&tensor.entry.name)).collect()
}
