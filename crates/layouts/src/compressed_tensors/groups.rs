//! The groups of a configuration, and the group of a module.
//!
//! As in `utils/match.py`, targets are sorted by text, with regular expressions last. The first
//! target that equals or matches the module's name decides. Names of classes (`Linear`) come after
//! that. Only the model's code knows the class of a module: here, embeddings are of class
//! `Embedding`, and all other modules are of class `Linear` if a group targets it.

use crate::Pattern;
use lowbit_arch::{Arch, Role};
use lowbit_calib::Activations;
use serde_json::{Map, Value};

/// An entry of `config_groups` that quantizes weights.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// Its `weights`, as `QuantizationArgs`.
    pub(super) weights: Map<String, Value>,
    /// Its `input_activations`; null if there are none.
    pub(super) input: Value,
    /// Its `output_activations`.
    pub(super) output: Value,
}

impl Group {
    pub(super) fn activations(&self) -> Activations {
        match self.input.get("dynamic") {
            _ if !self.input.is_object() => Activations::None,
            Some(Value::Bool(true)) => Activations::Dynamic,
            // `false`, or `"local"`: dynamic block scales under a static tensor scale.
            _ => Activations::Static,
        }
    }
}

/// The groups and their targets.
#[derive(Debug)]
pub(super) struct Groups {
    groups: Vec<Group>,
    targets: Vec<Target>,
}

#[derive(Debug)]
struct Target {
    text: String,
    /// `None` for a name that may be a class.
    pattern: Option<Pattern>,
    group: usize,
}

impl Groups {
    /// The groups of a `quantization_config`. An error if it is malformed.
    pub(super) fn read(config: &Map<String, Value>) -> Result<Self, String> {
        let entries = config.get("config_groups").and_then(Value::as_object).ok_or("no config_groups")?;
        let (mut groups, mut targets) = (Vec::new(), Vec::new());
        for (name, group) in entries {
            if group.is_array() {
                return Err(format!("group {name} is the name of a preset, which only llm-compressor knows"));
            }
            let Some(weights) = group.get("weights").and_then(Value::as_object) else { continue };
            let list = group.get("targets").and_then(Value::as_array);
            for target in list.ok_or_else(|| format!("group {name} has no targets"))? {
                let text = target.as_str().ok_or_else(|| format!("group {name}: a target is not text"))?;
                let is_class = !text.starts_with("re:") && !text.contains('.');
                let pattern = (!is_class).then(|| Pattern::exact(text)).transpose();
                targets.push(Target {
                    text: text.to_owned(),
                    pattern: pattern.map_err(|e| e.to_string())?,
                    group: groups.len(),
                });
            }
            let value = |key: &str| group.get(key).cloned().unwrap_or_default();
            groups.push(Group {
                weights: weights.clone(),
                input: value("input_activations"),
                output: value("output_activations"),
            });
        }
        targets.sort_by(|a, b| (a.text.contains("re:"), &a.text).cmp(&(b.text.contains("re:"), &b.text)));
        Ok(Self { groups, targets })
    }

    /// The group that a module belongs to.
    pub(super) fn of(&self, arch: &Arch, module: &str) -> Option<&Group> {
        let named = |target: &&Target| match &target.pattern {
            Some(pattern) => pattern.matches(module),
            None => target.text == module,
        };
        let class = || {
            let embedding = arch.role(&format!("{module}.weight"), &[1, 1]) == Role::Embedding;
            let likely = if embedding { "Embedding" } else { "Linear" };
            let mut classes = self.targets.iter().filter(|target| target.pattern.is_none());
            classes.clone().find(|target| target.text == likely).or_else(|| classes.next())
        };
        self.targets.iter().find(named).or_else(class).map(|target| &self.groups[target.group])
    }
}
