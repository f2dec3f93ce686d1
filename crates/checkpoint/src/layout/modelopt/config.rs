//! `hf_quant_config.json`, and the same in `config.json`.
//!
//! Modules that are not quantized are listed as prefixes where one covers several and no quantized module: `a.b*`, else `a.b.*`, else the exact name
//! (`_prefix_wildcard_summarize_exclude_modules`).

use super::super::Quantized;
use super::{AWQ, algorithm};
use crate::{CONFIG, json};
use serde_json::{Map, Value, json};
use std::collections::{BTreeSet, HashSet};

/// Name of ModelOpt's own configuration file.
pub(super) const SIDE_FILE: &str = "hf_quant_config.json";

/// Both files.
pub(super) fn write(quantized: &Quantized<'_>, config: &Map<String, Value>) -> Vec<(String, Vec<u8>)> {
    let format = quantized.main().format;
    let Some(algorithm) = algorithm(&format) else { return Vec::new() };
    let kept: Vec<&String> = quantized.kept.iter().chain(quantized.embeddings).collect();
    let names: Vec<&str> = quantized.names().collect();
    let exclude = summarize(&kept, &names);
    let producer = json!({"name": "modelopt", "version": "0.47.0"});
    let group = match format.block {
        lowbit_blocks::Block::Group(group) => group,
        _ => 0,
    };
    let mut quantization = Map::new();
    quantization.insert("quant_algo".into(), algorithm.name.into());
    quantization.insert("kv_cache_quant_algo".into(), Value::Null);
    if algorithm.group_size {
        quantization.insert("group_size".into(), group.into());
    }
    if algorithm.name == AWQ {
        quantization.insert("has_zero_point".into(), false.into());
        quantization.insert("pre_quant_scale".into(), true.into());
    }
    quantization.insert("exclude_modules".into(), json!(exclude));
    let side = json!({"producer": producer, "quantization": quantization});

    let mut inner = Map::new();
    if algorithm.groups {
        let bits = format.element.bits();
        let weights = json!({"dynamic": false, "num_bits": bits, "type": "float", "group_size": group});
        inner.insert("config_groups".into(), json!({"group_0": {"weights": weights, "targets": ["Linear"]}}));
    }
    inner.insert("ignore".into(), json!(exclude));
    inner.insert("quant_algo".into(), algorithm.name.into());
    inner.insert("producer".into(), producer);
    inner.insert("quant_method".into(), "modelopt".into());
    let mut config = config.clone();
    config.insert("quantization_config".into(), inner.into());
    vec![(SIDE_FILE.into(), json::dumps(&side, 4)), (CONFIG.into(), json::dumps(&Value::Object(config), 4))]
}

/// The shortest prefixes, cut at dots, that cover `kept` and none of `quantized`.
fn summarize(kept: &[&String], quantized: &[&str]) -> BTreeSet<String> {
    // Prefixes that some quantized module begins with, the module itself among them.
    let mut taken = HashSet::new();
    for module in quantized {
        taken.extend((0..=module.len()).filter(|&i| module.is_char_boundary(i)).map(|i| &module[..i]));
    }
    let full: HashSet<&str> = quantized.iter().copied().collect();
    let mut summary = BTreeSet::new();
    'modules: for module in kept {
        for (dot, _) in module.match_indices('.') {
            let prefix = &module[..dot];
            let (wild, under) = (format!("{prefix}*"), format!("{prefix}.*"));
            if !taken.contains(prefix) {
                summary.insert(wild);
                continue 'modules;
            }
            if !taken.contains(&module[..=dot]) && !full.contains(prefix) {
                // ModelOpt looks for the pair {a, a.*} and writes only a.*, so it never finds the pair again: the same name twice.
                summary.insert(under);
                continue 'modules;
            }
        }
        if !full.contains(module.as_str()) {
            summary.insert((*module).clone());
        }
    }
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|&s| s.to_owned()).collect()
    }

    #[test]
    fn prefixes_cover_what_is_kept_and_nothing_quantized() {
        let kept =
            names(&["lm_head", "model.embed_tokens", "model.visual.blocks.0.attn", "model.visual.merger"]);
        let quantized = ["model.layers.0.mlp.up_proj", "model.layers.1.mlp.up_proj"];
        let summary = summarize(&kept.iter().collect::<Vec<_>>(), &quantized);
        assert_eq!(
            summary.into_iter().collect::<Vec<_>>(),
            ["lm_head", "model.embed_tokens", "model.visual*"]
        );
    }

    #[test]
    fn a_prefix_that_another_name_begins_with_is_cut_at_the_dot() {
        // `model.layers.1*` would take layer 10 too.
        let kept = names(&["model.layers.1.mlp.up_proj"]);
        let summary = summarize(&kept.iter().collect::<Vec<_>>(), &["model.layers.10.mlp.up_proj"]);
        assert_eq!(summary.into_iter().collect::<Vec<_>>(), ["model.layers.1.*"]);
    }
}
