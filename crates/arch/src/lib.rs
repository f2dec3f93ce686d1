//! The architecture table: what the tensors of a language model are, and what its layers compute. A row for each family of models.
//!
//! | question | answer | file |
//! |---|---|---|
//! | what is this tensor | [`Arch::role`]: a linear, an embedding, a norm, a router … | `rules.rs`, `families.rs` |
//! | which linears share a tensor scale | [`Arch::shares`]: those that engines fuse | `rules.rs` |
//! | which norm or linear feeds which linear | [`Arch::feeds`] | `feeds.rs` |
//! | how do experts lie in a 3-D tensor | [`Arch::split_experts`], [`Arch::stacks`] | `experts.rs` |
//! | what is this tensor called in GGUF | [`Family::names`], [`gguf_name`] | `names.rs`, `gguf.rs` |
//! | what does the model compute | [`Description`]: norms, positions, windows, experts, caches | `decoder.rs`, `description.rs` |
//!
//! Names decide, component by component (`model.layers.0.mlp.gate` has the components `model`, `layers`, `0`, `mlp`, `gate`). [`RULES`] say what a
//! tensor is when it is not a linear; a 2-D `*.weight`, or a 3-D stack of experts, that no rule takes is one. A family without a row is treated by these
//! rules alone. Settings come from `config.json`, or from any other source of [`Keys`].
//!
//! To add a family: one row in `families.rs`, its names in `names.rs` where no other family has them, a configuration with public numbers in
//! `testdata/configs/` and what it says in `tests/families.rs`.
//!
//! ```
//! use lowbit_arch::{Arch, Role};
//! let arch = Arch::generic();
//! assert_eq!(arch.role("model.layers.0.mlp.down_proj.weight", &[256, 512]), Role::Linear);
//! assert_eq!(arch.role("model.layers.0.mlp.gate.weight", &[64, 256]), Role::Router);
//! assert_eq!(arch.role("model.embed_tokens.weight", &[1024, 256]), Role::Embedding);
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod arch;
mod decoder;
mod description;
mod error;
mod experts;
mod families;
mod feeds;
mod gguf;
mod keys;
mod mixture;
mod names;
mod reader;
mod role;
mod rope;
mod rules;

pub use arch::{Arch, module_of};
pub use decoder::{Act, Decoder, ExpertColumns, NormKind, Placement, RopePairs, Routing, Windows};
pub use description::{Cache, Description, Latent};
pub use error::{Error, Result};
pub use experts::{Expert, GateUp, Orientation, Place};
pub use families::{FAMILIES, Family};
pub use feeds::{Feed, NormFeed, Producer};
pub use gguf::{GgufName, gguf_name, module_name};
pub use keys::{GGUF_KEYS, Keys, Setting, gguf_key};
pub use mixture::Experts;
pub use names::{Name, Slot};
pub use role::Role;
pub use rope::{Rope, RopeScaling};
pub use rules::{At, Is, RULES, Rule, SHARED};
