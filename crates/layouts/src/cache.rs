//! Scales and biases of the key-value cache, recognised by the names of their tensors.
//!
//! ```text
//! A.k_scale         A.v_scale         A.q_scale        compressed-tensors, vLLM
//! A.k_proj.k_scale  A.v_proj.v_scale                   ModelOpt; with affine caches also A.k_proj.k_bias, A.v_proj.v_bias
//! A.k_proj.output_scale  A.v_proj.output_scale         Quark
//! ```

use crate::Checkpoint;

/// A tensor of attention that is cached or quantized with the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cache {
    /// Keys.
    Key,
    /// Values.
    Value,
    /// Queries. They are not cached, but quantized like the keys.
    Query,
}

/// A number that an attention module has for its key-value cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CacheNumber {
    /// The scale: the step size.
    Scale(Cache),
    /// The bias: subtracted before quantization and added afterwards.
    Bias(Cache),
}

/// A tensor of a checkpoint that holds numbers of a key-value cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheTensor {
    /// Name of the attention module.
    pub attention: String,
    /// The kind of number that the tensor holds.
    pub number: CacheNumber,
    /// Name of the tensor.
    pub tensor: String,
}

/// Name suffixes that follow the name of the attention module.
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
