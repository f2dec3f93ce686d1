//! The unquantized modules, as prefixes if one covers several of them and no quantized module:
//! `a.b*`, else `a.b.*`, else the exact name (`_prefix_wildcard_summarize_exclude_modules`).

use std::collections::{BTreeSet, HashSet};

/// The shortest prefixes, split at dots, that match all of `kept` and none of `quantized`.
pub(super) fn summarize(kept: &[&String], quantized: &[&str]) -> BTreeSet<String> {
    // All prefixes of quantized modules, including the modules themselves.
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
                // ModelOpt looks up the pair {a, a.*} but stores only a.*, so it never finds the
                // pair again. The result is the same.
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
