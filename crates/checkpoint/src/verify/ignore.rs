//! Which layers the configuration leaves out, against which are quantized.
//!
//! | `quant_method` | list | a layer is in it |
//! |---|---|---|
//! | `compressed-tensors` | `ignore` | by its name, or by a regular expression after `re:` |
//! | `modelopt` | `ignore`, `exclude_modules` | by its name, by one of the modules that hold it, or by a glob |
//! | others | `modules_to_not_convert`, `ignored_layers` | by its name, by the end of it, or by one of the modules that hold it |

use super::checks::Code;
use super::finding::Finding;
use super::layers::Layers;
use super::names;
use crate::arch::{Arch, Role};
use crate::layout::any_quantization_config;
use crate::{Checkpoint, Pattern};
use serde_json::{Map, Value};

/// The layers that are left out, and those that are taken at all.
struct Lists {
    ignored: Vec<Rule>,
    /// `None`: every linear.
    targets: Option<Vec<Pattern>>,
}

enum Rule {
    Pattern(Pattern),
    /// This module, what it holds, and modules that end in this name.
    Part(String),
}

impl Rule {
    fn takes(&self, module: &str) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.matches(module),
            Self::Part(name) => format!(".{module}.").contains(&format!(".{name}.")),
        }
    }
}

impl Lists {
    /// The lists of a configuration; `None` where a convention has none, or decides layer by layer.
    fn read(config: &Map<String, Value>) -> Option<Self> {
        let method = config.get("quant_method").and_then(Value::as_str).unwrap_or("modelopt");
        let texts = |keys: &[&str]| -> Vec<&str> {
            let lists = keys.iter().filter_map(|key| config.get(*key)?.as_array());
            lists.flatten().filter_map(Value::as_str).collect()
        };
        match method {
            "compressed-tensors" => {
                let exact = |text: &&str| Pattern::exact(text).ok().map(Rule::Pattern);
                let ignored = texts(&["ignore"]).iter().filter_map(exact).collect();
                let groups = config.get("config_groups").and_then(Value::as_object)?;
                let targets = groups.values().filter_map(|g| g.get("targets")?.as_array()).flatten();
                let targets: Vec<&str> = targets.filter_map(Value::as_str).collect();
                // A class takes every linear.
                let every = targets.iter().any(|t| !t.contains('.') && !t.starts_with("re:"));
                let named = || targets.iter().filter_map(|text| Pattern::exact(text).ok()).collect();
                Some(Self { ignored, targets: (!every).then(named) })
            }
            // A mixed model lists what is quantized, and nothing that is not.
            "modelopt" if config.contains_key("quantized_layers") => None,
            "modelopt" => {
                let of = |text: &str| match Pattern::new(text) {
                    Ok(pattern) if !pattern.is_name() => Rule::Pattern(pattern),
                    _ => Rule::Part(text.to_owned()),
                };
                let ignored = texts(&["ignore", "exclude_modules"]).into_iter().map(of).collect();
                Some(Self { ignored, targets: None })
            }
            "gptq" | "awq" | "fp8" | "fbgemm_fp8" => {
                let apart = ["dynamic", "modules_in_block_to_quantize", "extra_config"];
                if apart.iter().any(|key| config.get(*key).is_some_and(|v| !v.is_null())) {
                    return None;
                }
                let list = texts(&["modules_to_not_convert", "ignored_layers"]);
                let ignored = list.into_iter().map(|text| Rule::Part(text.to_owned())).collect();
                Some(Self { ignored, targets: None })
            }
            _ => None,
        }
    }

    fn ignores(&self, module: &str) -> bool {
        self.ignored.iter().any(|rule| rule.takes(module))
    }

    fn targets(&self, module: &str) -> bool {
        self.targets.as_ref().is_none_or(|targets| targets.iter().any(|t| t.matches(module)))
    }
}

/// Compares the lists with what is quantized.
pub(super) fn check(
    checkpoint: &Checkpoint,
    side: Option<&Map<String, Value>>,
    layers: &Layers,
    findings: &mut Vec<Finding>,
) {
    let Some(config) = any_quantization_config(checkpoint).or(side) else { return };
    let Some(lists) = Lists::read(config) else { return };
    let method = config.get("quant_method").and_then(Value::as_str).unwrap_or_default();
    let quantized = names::quantized(checkpoint);
    for module in quantized.iter().filter(|module| lists.ignores(module)) {
        findings.push(Finding::new(Code::IgnoredButQuantized, "is ignored and has codes").about(module));
    }
    if quantized.is_empty() {
        return;
    }
    let arch = Arch::new(checkpoint.config());
    for tensor in checkpoint.tensors() {
        let (name, module) = (&tensor.entry.name, names::module_of(&tensor.entry.name));
        let weight = name.ends_with(".weight") && names::is_float(tensor.entry.dtype);
        let role = arch.role(name, &tensor.entry.shape);
        // GPTQ, AWQ and FP8 of transformers leave the head alone whether they are told to or not.
        let meant = match role {
            Role::Linear => true,
            Role::Head => {
                tensor.entry.shape.len() == 2 && ["compressed-tensors", "modelopt"].contains(&method)
            }
            _ => false,
        };
        let known = quantized.contains(module) || layers.broken.contains(module) || lists.ignores(module);
        if weight && meant && !known && lists.targets(module) {
            let detail = format!("is {} {:?} and not ignored", tensor.entry.dtype, tensor.entry.shape);
            findings
                .push(Finding::new(Code::LeftUnquantized, detail).in_file(tensor.file.path()).about(name));
        }
    }
}
