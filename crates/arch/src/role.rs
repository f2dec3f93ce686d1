//! What a tensor is to the model.

use serde::Serialize;

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
    ///
    /// ```
    /// assert_eq!(lowbit_arch::Role::Head.words(), "output head");
    /// ```
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
    ///
    /// ```
    /// use lowbit_arch::Role;
    /// assert!(Role::Experts.is_linear() && !Role::Router.is_linear());
    /// ```
    pub const fn is_linear(self) -> bool {
        matches!(self, Self::Linear | Self::Experts)
    }
}
