//! `quantization_config` of compressed-tensors 0.19: a group for each scheme, and the list of
//! unquantized modules.
//!
//! The largest group targets `Linear`; the others list their modules, because names take precedence
//! over classes. If the source is in the same convention, its other settings are kept: the
//! arguments of activations, the scheme of the cache, transforms.

use super::super::Quantized;
use super::groups::Groups;
use super::{Compression, METHOD, args};
use crate::{CONFIG, json};
use lowbit_arch::Arch;
use lowbit_blocks::Format;
use serde_json::{Map, Value, json};

/// The version of compressed-tensors that writes such files.
const VERSION: &str = "0.19.0";

/// A group: its settings and its modules.
struct Group<'a> {
    format: Format,
    permuted: bool,
    compression: Option<&'static str>,
    activations: Value,
    modules: Vec<&'a str>,
}

/// The `config.json` with its `quantization_config`.
pub(super) fn write(quantized: &Quantized<'_>, config: &Map<String, Value>) -> Vec<(String, Vec<u8>)> {
    let source = quantized.source.filter(|source| source.get("quant_method") == Some(&METHOD.into()));
    let groups = groups(quantized, source, &Arch::new(Some(config)));
    let format = match &groups[..] {
        [first, rest @ ..] if rest.iter().all(|g| g.compression == first.compression) => first.compression,
        _ => Some("mixed-precision"),
    };
    let entries: Map<_, _> = groups
        .iter()
        .enumerate()
        .map(|(at, group)| {
            let targets = if at == 0 { json!(["Linear"]) } else { json!(group.modules) };
            let group = json!({
                "format": group.compression,
                "input_activations": group.activations,
                "output_activations": null,
                "targets": targets,
                "weights": args::weights(&group.format, group.permuted),
            });
            (format!("group_{at}"), group)
        })
        .collect();
    let kept = |key: &str| source.and_then(|source| source.get(key)).cloned();
    let cache = quantized.cache.then(|| kept("kv_cache_scheme").unwrap_or_else(|| cache(quantized.source)));
    let mut config = config.clone();
    config.insert(
        "quantization_config".into(),
        json!({
            "config_groups": entries,
            "format": format,
            "global_compression_ratio": null,
            "ignore": quantized.kept,
            "kv_cache_scheme": cache,
            "quant_method": METHOD,
            "quantization_status": "compressed",
            "sparsity_config": {},
            "transform_config": kept("transform_config").unwrap_or_else(|| json!({})),
            "version": VERSION,
        }),
    );
    vec![(CONFIG.into(), json::dumps(&json::sorted(&Value::Object(config)), 2))]
}

/// The groups, largest first.
fn groups<'a>(quantized: &Quantized<'a>, source: Option<&Map<String, Value>>, arch: &Arch) -> Vec<Group<'a>> {
    let before = source.and_then(|source| Groups::read(source).ok());
    let mut groups: Vec<Group<'a>> = Vec::new();
    for module in quantized.modules {
        let scheme = module.scheme;
        let said = before.as_ref().and_then(|groups| groups.of(arch, &module.name));
        let said = said.filter(|group| group.activations() == scheme.activations);
        let group = Group {
            format: scheme.format,
            permuted: module.permuted,
            compression: Compression::of(&scheme.format, scheme.activations).map(Compression::name),
            activations: said.map_or_else(
                || args::activations(&scheme.format, scheme.activations),
                |group| group.input.clone(),
            ),
            modules: vec![&module.name],
        };
        let same = |other: &&mut Group<'_>| {
            (other.format, other.permuted, other.compression)
                == (group.format, group.permuted, group.compression)
                && other.activations == group.activations
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.modules.push(&module.name),
            None => groups.push(group),
        }
    }
    // The sort is stable: groups of equal size stay in the order of their first modules.
    groups.sort_by_key(|group| std::cmp::Reverse(group.modules.len()));
    groups
}

/// The scheme of a cache whose scales come from another convention: INT8 if ModelOpt says so,
/// otherwise FP8.
fn cache(source: Option<&Map<String, Value>>) -> Value {
    let algorithm = source.and_then(|source| source.get("kv_cache_scheme")).and_then(Value::as_str);
    let format = if algorithm == Some("INT8") { lowbit_blocks::INT8_TENSOR } else { lowbit_blocks::FP8 };
    args::activations(&format, lowbit_calib::Activations::Static)
}
