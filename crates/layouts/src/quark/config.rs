//! Quark's configuration, and the settings of a module in it.

use crate::{Checkpoint, Error, Pattern, Result};
use lowbit_calib::Activations;
use serde_json::{Map, Value};

/// The configuration with compiled patterns.
pub(super) struct Config<'a> {
    layers: Vec<(Pattern, &'a Value)>,
    /// The settings of linears that match no pattern.
    rest: &'a Value,
    exclude: Vec<Pattern>,
}

/// The settings of one module.
pub(super) struct Layer<'a> {
    /// The specifications of the weight, with the outer level last. Empty for an excluded module.
    pub(super) weight: Vec<&'a Map<String, Value>>,
    /// How engines quantize its input.
    pub(super) activations: Activations,
}

impl<'a> Config<'a> {
    /// # Errors
    /// A pattern does not compile, or the weights are not stored quantized.
    pub(super) fn read(checkpoint: &Checkpoint, config: &'a Map<String, Value>) -> Result<Self> {
        let wrong = |reason: String| Error::file(&checkpoint.dir().join(crate::CONFIG), reason);
        let format =
            config.get("export").and_then(|export| export.get("weight_format")).and_then(Value::as_str);
        if let Some(other) = format.filter(|format| *format != "real_quantized") {
            return Err(wrong(format!("quantization_config: weight_format {other} is not real_quantized")));
        }
        let object = |key: &str| config.get(key).and_then(Value::as_object);
        let compile = |text: &str| Pattern::fnmatch(text).map_err(|e| wrong(e.to_string()));
        let layers = object("layer_quant_config").into_iter().flatten();
        let layers = layers.map(|(pattern, layer)| Ok((compile(pattern)?, layer)));
        let exclude = config.get("exclude").and_then(Value::as_array).into_iter().flatten();
        let of_linears =
            |name: &&str| object("layer_type_quant_config").is_some_and(|types| types.contains_key(*name));
        let linear =
            ["nn.Linear", "Linear", "<class 'torch.nn.modules.linear.Linear'>"].into_iter().find(of_linears);
        let rest = match linear {
            Some(name) => config.get("layer_type_quant_config").and_then(|types| types.get(name)),
            None => config.get("global_quant_config"),
        };
        Ok(Self {
            layers: layers.collect::<Result<_>>()?,
            rest: rest.unwrap_or(&Value::Null),
            exclude: exclude.filter_map(Value::as_str).map(compile).collect::<Result<_>>()?,
        })
    }

    pub(super) fn of(&self, module: &str) -> Layer<'a> {
        if self.exclude.iter().any(|pattern| pattern.matches(module)) {
            return Layer { weight: Vec::new(), activations: Activations::None };
        }
        let layer = self.layers.iter().find(|(pattern, _)| pattern.matches(module));
        let layer = layer.map_or(self.rest, |(_, layer)| *layer);
        let input = specifications(layer.get("input_tensors"));
        let is_dynamic = input.first().map(|input| input.get("is_dynamic") == Some(&true.into()));
        let activations = match is_dynamic {
            None => Activations::None,
            Some(true) => Activations::Dynamic,
            Some(false) => Activations::Static,
        };
        Layer { weight: specifications(layer.get("weight")), activations }
    }
}

/// A single specification, or a list of them.
fn specifications(value: Option<&Value>) -> Vec<&Map<String, Value>> {
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_object).collect(),
        Some(value) => value.as_object().into_iter().collect(),
        None => Vec::new(),
    }
}
