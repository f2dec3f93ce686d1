//! llama.cpp's names of linears and those of Hugging Face models.
//!
//! ```text
//! model.layers.3.self_attn.q_proj       blk.3.attn_q.weight
//! model.layers.3.mlp.experts.7.up_proj  blk.3.ffn_up_exps.weight, matrix 7          experts are one stack
//! lm_head                               output.weight
//! ```
//!
//! Source: gguf-py's `tensor_mapping.py`.

use crate::FAMILIES;
use crate::Name;

/// Linears and routers of all rows, in their order: of several with one name in GGUF, the first is what that name is translated back to.
fn names() -> impl Iterator<Item = (&'static Name, &'static str)> {
    let of_layers = FAMILIES.iter().flat_map(|family| family.names());
    let single = of_layers.filter_map(|name| match name.gguf {
        [stem] if name.slot.is_in_layer() && name.is_weight => Some((name, *stem)),
        _ => None,
    });
    single.filter(|(name, _)| name.slot.is_linear() || name.slot.role() == crate::Role::Router)
}

/// A weight in llama.cpp.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct GgufName {
    /// Name of the tensor, `blk.3.ffn_up_exps.weight`.
    pub tensor: String,
    /// Which matrix of a stack of experts.
    pub expert: Option<usize>,
}

/// llama.cpp's name of a module's weight; `None` where it has none that is known.
///
/// ```
/// use lowbit_arch::gguf_name;
/// assert_eq!(gguf_name("model.layers.3.self_attn.o_proj").unwrap().tensor, "blk.3.attn_output.weight");
/// let expert = gguf_name("model.layers.0.mlp.experts.7.up_proj").unwrap();
/// assert_eq!((&expert.tensor[..], expert.expert), ("blk.0.ffn_up_exps.weight", Some(7)));
/// ```
#[must_use]
pub fn gguf_name(module: &str) -> Option<GgufName> {
    if module == "lm_head" {
        return Some(GgufName { tensor: "output.weight".into(), expert: None });
    }
    let (_, rest) =
        module.split_once("layers.").filter(|(before, _)| before.is_empty() || before.ends_with('.'))?;
    let (layer, rest) = rest.split_once('.')?;
    let layer: u32 = layer.parse().ok()?;
    let named = |stem: &str, expert| Some(GgufName { tensor: format!("blk.{layer}.{stem}.weight"), expert });
    names().find_map(|(name, stem)| match name.module.split_once('*') {
        None => (name.module == rest).then(|| named(stem, None))?,
        Some((before, after)) => {
            let expert = rest.strip_prefix(before)?.strip_suffix(after)?;
            named(stem, Some(expert.parse().ok()?))
        }
    })
}

/// The module of a weight in llama.cpp, with the most common spelling; `None` for a name that is not known.
///
/// ```
/// use lowbit_arch::module_name;
/// assert_eq!(module_name("blk.3.attn_output.weight", None).unwrap(), "model.layers.3.self_attn.o_proj");
/// assert_eq!(module_name("blk.0.ffn_up_exps.weight", Some(7)).unwrap(), "model.layers.0.mlp.experts.7.up_proj");
/// ```
#[must_use]
pub fn module_name(tensor: &str, expert: Option<usize>) -> Option<String> {
    if tensor == "output.weight" {
        return Some("lm_head".into());
    }
    let (layer, stem) = tensor.strip_prefix("blk.")?.strip_suffix(".weight")?.split_once('.')?;
    let layer: u32 = layer.parse().ok()?;
    let (name, _) = names().find(|(name, s)| *s == stem && name.module.contains('*') == expert.is_some())?;
    let linear =
        expert.map_or(name.module.to_owned(), |expert| name.module.replace('*', &expert.to_string()));
    Some(format!("model.layers.{layer}.{linear}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for (name, stem) in names() {
            let expert = name.module.contains('*').then_some(63);
            let module = name.module.replace('*', "63");
            let found = gguf_name(&format!("model.language_model.layers.12.{module}")).unwrap();
            assert_eq!((&found.tensor[..], found.expert), (&format!("blk.12.{stem}.weight")[..], expert));
            let back = module_name(&found.tensor, found.expert).unwrap();
            assert_eq!(gguf_name(&back), Some(found));
        }
        for unknown in [
            "",
            "layers.",
            "model.layers.x.mlp.up_proj",
            "model.layers.0.mlp.experts.x.up_proj",
            "model.norm",
            "players.0.mlp.up_proj",
        ] {
            assert_eq!(gguf_name(unknown), None, "{unknown}");
        }
        for unknown in ["", "blk.0", "blk.0.attn_q.bias", "blk.-1.attn_q.weight", "blk.0.what.weight"] {
            assert_eq!(module_name(unknown, None), None, "{unknown}");
        }
    }
}
