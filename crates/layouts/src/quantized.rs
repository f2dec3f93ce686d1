//! What the configuration of a written checkpoint has to say: which modules are quantized, how, and what is left.

use lowbit_blocks::Format;
use lowbit_calib::Activations;
use serde_json::{Map, Value};

/// How a linear is quantized, as configurations tell linears apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scheme {
    /// Format of the weight.
    pub format: Format,
    /// What engines do with activations.
    pub activations: Activations,
}

/// One quantized module.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedModule {
    /// Its name.
    pub name: String,
    /// How it is quantized.
    pub scheme: Scheme,
    /// Whether its columns stand in another order than its input (`g_idx`).
    pub permuted: bool,
    /// Whether its input's features are multiplied with a `pre_quant_scale`.
    pub smoothed: bool,
}

/// What the configuration of a written checkpoint has to say.
#[derive(Clone, Debug)]
pub struct Quantized<'a> {
    /// Modules that are quantized, in name order; one at least.
    pub modules: &'a [QuantizedModule],
    /// Linear-like modules that are not: heads, routers, excluded layers.
    pub kept: &'a [String],
    /// Embedding modules, which are never quantized.
    pub embeddings: &'a [String],
    /// Whether scales of the key-value cache are among the tensors.
    pub cache: bool,
    /// Type of the unquantized weights.
    pub dtype: lowbit_blocks::Dtype,
    /// `quantization_config` of the checkpoint that this one is converted from, in whatever layout that is in.
    pub source: Option<&'a Map<String, Value>>,
}

impl Quantized<'_> {
    /// The schemes, that of the most modules first, each with the names of its modules.
    pub fn schemes(&self) -> Vec<(Scheme, Vec<&str>)> {
        let mut schemes: Vec<(Scheme, Vec<&str>)> = Vec::new();
        for module in self.modules {
            match schemes.iter_mut().find(|(scheme, _)| *scheme == module.scheme) {
                Some((_, names)) => names.push(&module.name),
                None => schemes.push((module.scheme, vec![&module.name])),
            }
        }
        // Stable, so that equals stand in the order of their first modules.
        schemes.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
        schemes
    }

    /// The scheme of the most modules.
    ///
    /// # Panics
    /// If no module is quantized, which no plan allows.
    pub fn main(&self) -> Scheme {
        self.schemes()[0].0
    }

    /// The modules that are not quantized, as patterns of transformers' `modules_to_not_convert`: each takes the modules whose names begin with it, so
    /// one that a quantized module begins with (`mlp.gate`, `mlp.gate_proj`) says where it ends.
    pub fn left_out(&self) -> Vec<String> {
        let taken = |name: &str| self.names().any(|quantized| quantized.starts_with(name));
        self.kept.iter().map(|name| if taken(name) { format!("{name}$") } else { name.clone() }).collect()
    }

    /// Names of the quantized modules, in name order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.modules.iter().map(|module| module.name.as_str())
    }
}
