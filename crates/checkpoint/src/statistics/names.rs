//! llama.cpp's names of linears and those of Hugging Face models.
//!
//! ```text
//! model.layers.3.self_attn.q_proj       blk.3.attn_q.weight
//! model.layers.3.mlp.experts.7.up_proj  blk.3.ffn_up_exps.weight, matrix 7          experts are one stack
//! lm_head                               output.weight
//! ```
//!
//! Source: gguf-py's `tensor_mapping.py`.

/// Modules of a layer and their names there. Of several with one name there, the first is what that name is turned back into.
const LINEARS: &[(&str, &str)] = &[
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.qkv_proj", "attn_qkv"),
    ("self_attn.q_a_proj", "attn_q_a"),
    ("self_attn.q_b_proj", "attn_q_b"),
    ("self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa"),
    ("self_attn.kv_b_proj", "attn_kv_b"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.gate_up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("mlp.gate", "ffn_gate_inp"),
    ("mlp.router", "ffn_gate_inp"),
    ("block_sparse_moe.gate", "ffn_gate_inp"),
    ("mlp.shared_expert_gate", "ffn_gate_inp_shexp"),
    ("mlp.shared_expert.gate_proj", "ffn_gate_shexp"),
    ("mlp.shared_expert.up_proj", "ffn_up_shexp"),
    ("mlp.shared_expert.down_proj", "ffn_down_shexp"),
    ("mlp.shared_experts.gate_proj", "ffn_gate_shexp"),
    ("mlp.shared_experts.up_proj", "ffn_up_shexp"),
    ("mlp.shared_experts.down_proj", "ffn_down_shexp"),
];

/// Linears of experts: what comes before the number, what after it, and the stack.
const EXPERTS: &[(&str, &str, &str)] = &[
    ("mlp.experts", "gate_proj", "ffn_gate_exps"),
    ("mlp.experts", "up_proj", "ffn_up_exps"),
    ("mlp.experts", "down_proj", "ffn_down_exps"),
    ("block_sparse_moe.experts", "w1", "ffn_gate_exps"),
    ("block_sparse_moe.experts", "w3", "ffn_up_exps"),
    ("block_sparse_moe.experts", "w2", "ffn_down_exps"),
];

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
/// use lowbit_checkpoint::statistics::gguf_name;
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
    if let Some((_, stem)) = LINEARS.iter().find(|(linear, _)| *linear == rest) {
        return named(stem, None);
    }
    EXPERTS.iter().find_map(|(before, after, stem)| {
        let expert = rest.strip_prefix(before)?.strip_prefix('.')?.strip_suffix(after)?.strip_suffix('.')?;
        named(stem, Some(expert.parse().ok()?))
    })
}

/// The module of a weight in llama.cpp, with the most common spelling; `None` for a name that is not known.
///
/// ```
/// use lowbit_checkpoint::statistics::module_name;
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
    let linear = match expert {
        None => LINEARS.iter().find(|row| row.1 == stem)?.0.to_owned(),
        Some(expert) => {
            let (before, after, _) = EXPERTS.iter().find(|row| row.2 == stem)?;
            format!("{before}.{expert}.{after}")
        }
    };
    Some(format!("model.layers.{layer}.{linear}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for (linear, stem) in LINEARS {
            let name = gguf_name(&format!("model.layers.12.{linear}")).unwrap();
            assert_eq!((&name.tensor[..], name.expert), (&format!("blk.12.{stem}.weight")[..], None));
            let back = module_name(&name.tensor, None).unwrap();
            assert_eq!(gguf_name(&back), Some(name));
        }
        for (before, after, stem) in EXPERTS {
            let name = gguf_name(&format!("model.language_model.layers.1.{before}.63.{after}")).unwrap();
            assert_eq!((&name.tensor[..], name.expert), (&format!("blk.1.{stem}.weight")[..], Some(63)));
            assert_eq!(gguf_name(&module_name(&name.tensor, name.expert).unwrap()), Some(name));
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
