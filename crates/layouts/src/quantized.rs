//! The content of a written configuration: the quantized modules, their schemes, and the modules
//! that stay unquantized.

use lowbit_blocks::Format;
use lowbit_calib::Activations;
use serde_json::{Map, Value};

/// The scheme of a quantized linear, as configurations distinguish them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scheme {
    /// Format of the weight.
    pub format: Format,
    /// How engines quantize activations.
    pub activations: Activations,
}

/// One quantized module.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedModule {
    /// Its name.
    pub name: String,
    /// Its scheme.
    pub scheme: Scheme,
    /// Whether its columns are in another order than its input (`g_idx`).
    pub permuted: bool,
    /// Whether its input is multiplied by a `pre_quant_scale`.
    pub smoothed: bool,
}

/// The content of a written configuration.
#[derive(Clone, Debug)]
pub struct Quantized<'a> {
    /// The quantized modules, in name order; at least one.
    pub modules: &'a [QuantizedModule],
    /// Linear-like modules that stay unquantized: heads, routers, excluded layers.
    pub kept: &'a [String],
    /// Embedding modules, which are never quantized.
    pub embeddings: &'a [String],
    /// Whether the checkpoint has scales of the key-value cache.
    pub cache: bool,
    /// Dtype of the unquantized weights.
    pub dtype: lowbit_blocks::Dtype,
    /// The `quantization_config` of the source checkpoint, in the source's layout.
    pub source: Option<&'a Map<String, Value>>,
}

impl Quantized<'_> {
    /// All schemes with the names of their modules, most frequent first.
    pub fn schemes(&self) -> Vec<(Scheme, Vec<&str>)> {
        let mut schemes: Vec<(Scheme, Vec<&str>)> = Vec::new();
        for module in self.modules {
            match schemes.iter_mut().find(|(scheme, _)| *scheme == module.scheme) {
                Some((_, names)) => names.push(&module.name),
                None => schemes.push((module.scheme, vec![&module.name])),
            }
        }
        // The sort is stable: schemes of equal frequency stay in the order of their first modules.
        schemes.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
        schemes
    }

    /// The most frequent scheme.
    ///
    /// # Panics
    /// If no module is quantized. Plans do not allow that.
    pub fn main(&self) -> Scheme {
        self.schemes()[0].0
    }

    /// The unquantized modules, as patterns of transformers' `modules_to_not_convert`. A pattern
    /// matches all modules whose names start with it, so a name that is a prefix of a quantized
    /// module's name (`mlp.gate`, `mlp.gate_proj`) gets an end anchor.
    pub fn left_out(&self) -> Vec<String> {
        let taken = |name: &str| self.names().any(|quantized| quantized.starts_with(name));
        self.kept.iter().map(|name| if taken(name) { format!("{name}$") } else { name.clone() }).collect()
    }

    /// Names of the quantized modules, in name order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.modules.iter().map(|module| module.name.as_str())
    }
}
