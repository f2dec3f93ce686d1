//! Which tensors are linear layers, and which of them share a scale: one table, used for skipping, fusing and checking.
//!
//! Names decide, component by component (`model.layers.0.mlp.gate` has the components `model`, `layers`, `0`, `mlp`, `gate`). [`RULES`] say what a
//! tensor is when it is not a linear; a 2-D `*.weight`, or a 3-D stack of experts, that no rule takes is one. [`FAMILIES`] add what a family of models
//! does differently. [`SHARED`] lists the linears that engines fuse into one, and that therefore share their tensor scale.
//!
//! ```
//! use lowbit_arch::{Arch, Role};
//! let arch = Arch::new(None);
//! assert_eq!(arch.role("model.layers.0.mlp.down_proj.weight", &[256, 512]), Role::Linear);
//! assert_eq!(arch.role("model.layers.0.mlp.gate.weight", &[64, 256]), Role::Router);
//! assert_eq!(arch.role("model.embed_tokens.weight", &[1024, 256]), Role::Embedding);
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod experts;
mod families;
mod feeds;
mod rules;

pub use experts::{Expert, GateUp, Orientation, Place};
pub use families::{FAMILIES, Family};
pub use feeds::{Feed, Producer, feeds};
pub use rules::{At, Is, RULES, Rule, SHARED};

use serde::Serialize;
use serde_json::{Map, Value};

/// What a tensor is to the model.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Role {
    /// The weight of a linear layer, `[out, in]`: what quantization is for.
    Linear,
    /// Linears of all experts in one 3-D tensor, `[experts, out, in]`.
    Experts,
    /// A matrix stored `[in, out]`: blocks along its rows would run along the wrong axis.
    Transposed,
    /// A table of token, position or type embeddings.
    Embedding,
    /// A linear that brings embeddings to the width of the layers.
    Projection,
    /// A normalisation.
    Norm,
    /// A convolution.
    Conv,
    /// Decides between experts, or gates all of a layer: few weights, large effect.
    Router,
    /// Turns the last hidden state into logits or scores.
    Head,
    /// Vision or audio tower and what joins it to the language model.
    Vision,
    /// Multi-token prediction layers.
    Mtp,
    /// Anything else: biases, vectors, buffers.
    Other,
}

impl Role {
    /// Why a tensor of this role is not quantized, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Experts => "experts",
            Self::Transposed => "stored [in, out]",
            Self::Embedding => "embedding",
            Self::Projection => "projection of embeddings",
            Self::Norm => "norm",
            Self::Conv => "convolution",
            Self::Router => "router",
            Self::Head => "output head",
            Self::Vision => "vision or audio tower",
            Self::Mtp => "multi-token prediction",
            Self::Other => "not a weight matrix",
        }
    }

    /// Whether tensors of this role are quantized unless patterns say otherwise.
    pub const fn is_linear(self) -> bool {
        matches!(self, Self::Linear | Self::Experts)
    }
}

/// The table as it applies to one model.
#[derive(Clone, Debug)]
pub struct Arch {
    family: &'static Family,
    hidden_size: Option<usize>,
    first_mtp_layer: Option<usize>,
}

impl Arch {
    /// Picks the family by `model_type`, and what else the rules need out of `config.json` (or its `text_config`).
    pub fn new(config: Option<&Map<String, Value>>) -> Self {
        let text = config.and_then(|c| c.get("text_config")).and_then(Value::as_object);
        let get = |key: &str| [text, config].into_iter().flatten().find_map(|c| c.get(key));
        let number = |key: &str| get(key).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        let types = [config, text].map(|c| c.and_then(|c| c.get("model_type")).and_then(Value::as_str));
        let family = FAMILIES
            .iter()
            .find(|family| types.iter().flatten().any(|t| family.model_types.contains(t)))
            .unwrap_or(&families::GENERIC);
        let predicts = number("num_nextn_predict_layers").is_some_and(|n| n > 0);
        let first_mtp_layer = number("num_hidden_layers").filter(|_| predicts);
        Self { family, hidden_size: number("hidden_size"), first_mtp_layer }
    }

    /// Name of the family's row.
    pub fn family(&self) -> &'static str {
        self.family.name
    }

    /// Module of the output head in engines, whether the checkpoint has a tensor for it or not.
    pub fn head(&self) -> &'static str {
        self.family.head
    }

    /// What the tensor of this name and shape is.
    pub fn role(&self, name: &str, shape: &[usize]) -> Role {
        let module = module_of(name);
        if let Some(first) = self.first_mtp_layer
            && layer_of(module).is_some_and(|layer| layer >= first)
        {
            return Role::Mtp;
        }
        if let Some(rule) = self.family.rules.iter().chain(RULES).find(|rule| rule.takes(module)) {
            return rule.role;
        }
        match shape {
            [_, _] if name.len() > module.len() => Role::Linear,
            &[_, rows, cols] if experts::is_stack(module) => {
                let by_shape = experts::by_shape(module, rows, cols, self.hidden_size);
                match self.family.experts.unwrap_or(by_shape) {
                    Orientation::OutIn => Role::Experts,
                    Orientation::InOut => Role::Transposed,
                }
            }
            _ => Role::Other,
        }
    }

    /// What linears of this module's parent share one tensor scale with it: a key that is equal for all of them.
    ///
    /// ```
    /// let arch = lowbit_arch::Arch::new(None);
    /// assert_eq!(arch.shares("l.0.attn.q_proj"), arch.shares("l.0.attn.v_proj"));
    /// assert_ne!(arch.shares("l.0.attn.q_proj"), arch.shares("l.1.attn.q_proj"));
    /// assert_eq!(arch.shares("l.0.attn.o_proj"), None);
    /// ```
    pub fn shares(&self, module: &str) -> Option<String> {
        let (parent, last) = module.rsplit_once('.').unwrap_or(("", module));
        let row = SHARED.iter().find(|row| row.contains(&last))?;
        Some(format!("{parent}.{}", row.join("+")))
    }

    /// The per-expert linears that a 3-D stack of experts is cut into; `None` if it has no such names.
    pub fn split_experts(&self, name: &str, shape: &[usize]) -> Option<Vec<Expert>> {
        experts::split(module_of(name), shape, self.family.gate_up)
    }

    /// Where the linear of an expert goes in a stack; `None` if it is no such linear.
    ///
    /// ```
    /// let place = lowbit_arch::Arch::new(None).place_in_stack("l.0.mlp.experts.7.up_proj").unwrap();
    /// assert_eq!((&place.stack[..], place.matrix, place.part, place.parts), ("l.0.mlp.experts.gate_up_proj", 7, 1, 2));
    /// ```
    pub fn place_in_stack(&self, module: &str) -> Option<Place> {
        experts::place(module)
    }

    /// The first row in its matrix of a linear with so many rows, and from one of its rows to the next.
    pub fn rows_in_stack(&self, place: &Place, rows: usize) -> (usize, usize) {
        self.family.gate_up.rows(place.part, place.parts, rows)
    }

    /// How stacks of this family lie in an unquantized checkpoint, where shapes need not be asked.
    pub fn stacks(&self) -> Orientation {
        self.family.experts.unwrap_or(Orientation::OutIn)
    }
}

/// The module of a tensor: its name without `.weight`.
///
/// ```
/// use lowbit_arch::module_of;
/// assert_eq!(module_of("model.norm.weight"), "model.norm");
/// assert_eq!(module_of("model.layers.0.mlp.experts.down_proj"), "model.layers.0.mlp.experts.down_proj");
/// ```
pub fn module_of(name: &str) -> &str {
    name.strip_suffix(".weight").unwrap_or(name)
}

/// The layer number in a name: the component after the first `layers`.
fn layer_of(module: &str) -> Option<usize> {
    let mut components = module.split('.');
    components.find(|c| *c == "layers")?;
    components.next()?.parse().ok()
}
