//! The layers that a configuration excludes from quantization.
//!
//! | convention | list | matches a layer |
//! |---|---|---|
//! | compressed-tensors | `ignore` | by its name, or by a regular expression after `re:` |
//! | ModelOpt | `ignore`, `exclude_modules` | by its name, the name of a parent module, or a glob |
//! | transformers | `modules_to_not_convert`, `ignored_layers` | by its name, the end of its name, or the name of a parent module |

use crate::pattern::Pattern;
use serde_json::{Map, Value};

/// The excluded layers of a configuration, and the layers that it targets.
#[derive(Clone, Debug)]
pub struct Ignored {
    ignored: Vec<Rule>,
    /// `None` targets every linear.
    targets: Option<Vec<Pattern>>,
    /// Whether an output head that is not in the list is meant to be quantized. In transformers,
    /// GPTQ, AWQ and FP8 never quantize it, whether it is listed or not.
    pub means_head: bool,
}

#[derive(Clone, Debug)]
enum Rule {
    Pattern(Pattern),
    /// This module, its submodules, and modules whose names end with this name.
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

/// The strings in these lists.
fn texts<'a>(config: &'a Map<String, Value>, keys: &[&str]) -> Vec<&'a str> {
    let lists = keys.iter().filter_map(|key| config.get(*key)?.as_array());
    lists.flatten().filter_map(Value::as_str).collect()
}

impl Ignored {
    /// The lists of compressed-tensors: exact names and regular expressions in `ignore`, and the
    /// classes or names that the groups target.
    pub(crate) fn of_compressed_tensors(config: &Map<String, Value>) -> Option<Self> {
        let exact = |text: &&str| Pattern::exact(text).ok().map(Rule::Pattern);
        let ignored = texts(config, &["ignore"]).iter().filter_map(exact).collect();
        let groups = config.get("config_groups").and_then(Value::as_object)?;
        let targets = groups.values().filter_map(|g| g.get("targets")?.as_array()).flatten();
        let targets: Vec<&str> = targets.filter_map(Value::as_str).collect();
        // The name of a class, which targets every linear.
        let every = targets.iter().any(|t| !t.contains('.') && !t.starts_with("re:"));
        let named = || targets.iter().filter_map(|text| Pattern::exact(text).ok()).collect();
        Some(Self { ignored, targets: (!every).then(named), means_head: true })
    }

    /// The lists of ModelOpt: names and globs. The configuration of a mixed model lists only the
    /// quantized modules.
    pub(crate) fn of_modelopt(config: &Map<String, Value>) -> Option<Self> {
        if config.contains_key("quantized_layers") {
            return None;
        }
        let of = |text: &str| match Pattern::new(text) {
            Ok(pattern) if !pattern.is_name() => Rule::Pattern(pattern),
            _ => Rule::Part(text.to_owned()),
        };
        let ignored = texts(config, &["ignore", "exclude_modules"]).into_iter().map(of).collect();
        Some(Self { ignored, targets: None, means_head: config.contains_key("quant_method") })
    }

    /// The lists of transformers; `None` if the convention decides for each layer.
    pub(crate) fn of_transformers(config: &Map<String, Value>) -> Option<Self> {
        let apart = ["dynamic", "modules_in_block_to_quantize", "extra_config"];
        if apart.iter().any(|key| config.get(*key).is_some_and(|v| !v.is_null())) {
            return None;
        }
        let list = texts(config, &["modules_to_not_convert", "ignored_layers"]);
        let ignored = list.into_iter().map(|text| Rule::Part(text.to_owned())).collect();
        Some(Self { ignored, targets: None, means_head: false })
    }

    /// Whether the list excludes this module.
    pub fn ignores(&self, module: &str) -> bool {
        self.ignored.iter().any(|rule| rule.takes(module))
    }

    /// Whether the configuration targets this module, if it is not excluded.
    pub fn targets(&self, module: &str) -> bool {
        self.targets.as_ref().is_none_or(|targets| targets.iter().any(|t| t.matches(module)))
    }
}
