//! The configuration of a checkpoint with `qweight` tensors, from any of the files that may have
//! it.
//!
//! ```text
//! config.json → quantization_config     read by transformers and vLLM; takes precedence
//! quantize_config.json                  AutoGPTQ, GPTQModel
//! quant_config.json                     AutoAWQ
//!
//! bits | w_bit    group_size | q_group_size (-1: the whole row)    sym | not zero_point    quant_method | method
//! checkpoint_format | format    gptq, gptq_v2, gptq_p: version of the zero points, packing of the codes
//! version                       gemm, gemv, gemv_fast: AWQ's packings
//! packing_format                auto_round:auto_gptq (v1), auto_round | auto_round:gptqmodel (v2), auto_round:auto_awq
//! dynamic                       GPTQModel: {"+:REGEX": {overrides}, "-:REGEX": excluded}; negative ones first, then in order; anchored at the start
//! extra_config                  AutoRound: {NAME or REGEX: {overrides}}, excluded at 16 bits or more; names first, then in order; not anchored
//! ```

use super::super::{LAYOUTS, stored};
use crate::{CONFIG, Error, Pattern, Result};
use lowbit_container::{Checkpoint, read_config};
use serde_json::{Map, Value};

/// Configuration files besides `config.json`, in the order of lookup.
const SIDE_FILES: [&str; 2] = ["quantize_config.json", "quant_config.json"];

/// The arrangement of codes and zero points in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Convention {
    /// GPTQ version 1: zero points are stored minus one.
    Gptq,
    /// GPTQ version 2: zero points are stored unchanged.
    GptqV2,
    /// GPTQ with bit planes.
    GptqPlanar,
    AwqGemm,
    AwqGemv,
    AwqGemvFast,
}

/// The settings of a configuration.
#[derive(Debug)]
pub(in super::super) struct Settings {
    pub(in super::super) convention: Convention,
    /// Whether it is AutoRound's configuration.
    pub(in super::super) auto_round: bool,
    config: Map<String, Value>,
    rules: Vec<Rule>,
    /// The directory, for errors.
    dir: std::path::PathBuf,
}

/// The scheme of a module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) struct Scheme {
    pub(in super::super) bits: u8,
    /// Columns of a group; `None` for whole rows.
    pub(in super::super) group: Option<usize>,
    pub(in super::super) symmetric: bool,
}

/// Settings of single modules. Modules without a change stay unquantized.
#[derive(Debug)]
struct Rule {
    pattern: Pattern,
    change: Option<Map<String, Value>>,
}

impl Settings {
    /// Reads the configuration. `None` for other methods and for unquantized checkpoints.
    pub(in super::super) fn read(checkpoint: &Checkpoint) -> Result<Option<Self>> {
        let mut config = stored::any_quantization_config(checkpoint).cloned().unwrap_or_default();
        let said = method(&config).map(str::to_lowercase);
        let known = |method: &str| matches!(method, "gptq" | "awq") || is_auto_round(method);
        if said.as_deref().is_some_and(|method| !known(method))
            || said.is_none() && (!config.is_empty() || super::modules(checkpoint).next().is_none())
        {
            return Ok(None);
        }
        for file in SIDE_FILES {
            for (key, value) in read_config(&checkpoint.dir().join(file))?.into_iter().flatten() {
                config.entry(key).or_insert(value);
            }
        }
        if config.is_empty() {
            return Ok(None);
        }
        let old_awq = config.contains_key("w_bit") || config.contains_key("zero_point");
        let method = method(&config).unwrap_or(if old_awq { "awq" } else { "gptq" }).to_lowercase();
        let auto_round = is_auto_round(&method);
        let Some(convention) = convention(&method, &config) else {
            // AutoRound also stores non-integer formats, in the tensors of other conventions.
            return if auto_round { Ok(None) } else { Err(unknown(checkpoint, &method, &config)) };
        };
        let rules = if auto_round { named_rules(&config) } else { dynamic_rules(&config) }?;
        Ok(Some(Self { convention, auto_round, config, rules, dir: checkpoint.dir().to_owned() }))
    }

    /// The scheme of a module; `None` if the configuration excludes it.
    pub(in super::super) fn of(&self, module: &str) -> Result<Option<Scheme>> {
        let change = match self.rules.iter().find(|rule| rule.pattern.matches(module)) {
            Some(Rule { change: None, .. }) => return Ok(None),
            Some(Rule { change, .. }) => change.as_ref(),
            None => None,
        };
        let find = |keys: &[&str]| {
            let maps = change.into_iter().chain([&self.config]);
            maps.flat_map(|map| keys.iter().filter_map(|key| map.get(*key))).find(|value| !value.is_null())
        };
        let wrong = |what: &str, value: Option<&Value>| {
            let value = value.map_or("absent".to_owned(), Value::to_string);
            Error::file(&self.dir.join(CONFIG), format!("quantization_config: {what} of {module} is {value}"))
        };
        let bits = find(&["bits", "w_bit"]);
        let bits = bits.and_then(Value::as_u64).filter(|bits| (2..=8).contains(bits));
        let bits = bits.ok_or_else(|| wrong("bits", find(&["bits", "w_bit"])))?;
        let group = match find(&["group_size", "q_group_size"]) {
            None => None,
            Some(value) => match value.as_i64() {
                Some(..=0) => None,
                Some(group) => Some(usize::try_from(group).map_err(|_| wrong("group_size", Some(value)))?),
                None => return Err(wrong("group_size", Some(value))),
            },
        };
        let sym = find(&["sym"]).and_then(Value::as_bool);
        let zero_point = find(&["zero_point"]).and_then(Value::as_bool);
        let symmetric = sym.or(zero_point.map(|asymmetric| !asymmetric)).unwrap_or(true);
        Ok(Some(Scheme { bits: bits as u8, group, symmetric }))
    }
}

fn text<'a>(config: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a str> {
    keys.iter().filter_map(|key| config.get(*key)).find_map(Value::as_str)
}

fn method(config: &Map<String, Value>) -> Option<&str> {
    text(config, &["quant_method", "method"])
}

/// Whether this `quant_method` is AutoRound's.
pub(in super::super) fn is_auto_round(method: &str) -> bool {
    method.ends_with("auto-round") || method.ends_with("auto_round")
}

/// The checkpoint format of a configuration, under any of its keys, in lower case.
fn format_of(method: &str, config: &Map<String, Value>) -> String {
    let (keys, default): (&[&str], _) = match method {
        "awq" => (&["version", "checkpoint_format", "format"], "gemm"),
        method if is_auto_round(method) => (&["packing_format"], "auto_round:auto_gptq"),
        _ => (&["checkpoint_format", "format"], "gptq"),
    };
    let marlin = config.get("is_marlin_format") == Some(&Value::Bool(true));
    if marlin { "marlin".into() } else { text(config, keys).unwrap_or(default).to_lowercase() }
}

fn convention(method: &str, config: &Map<String, Value>) -> Option<Convention> {
    Some(match format_of(method, config).trim_start_matches("auto_round:") {
        "gptq" | "auto_gptq" | "auto" => Convention::Gptq,
        "gptq_v2" | "gptqmodel" | "auto_round" => Convention::GptqV2,
        "gptq_p" => Convention::GptqPlanar,
        // The last two are other kernels for the same files.
        "gemm" | "awq" | "auto_awq" | "exllama" | "ipex" => Convention::AwqGemm,
        "gemv" => Convention::AwqGemv,
        "gemv_fast" | "llm-awq" => Convention::AwqGemvFast,
        _ => return None,
    })
}

fn unknown(checkpoint: &Checkpoint, method: &str, config: &Map<String, Value>) -> Error {
    let readable = LAYOUTS.iter().map(|l| l.name()).collect::<Vec<_>>().join(", ");
    let method = format!("{method} in the format {}", format_of(method, config));
    Error::Convention { dir: checkpoint.dir().to_owned(), method, readable }
}

fn objects<'a>(
    config: &'a Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = (&'a String, Map<String, Value>)> {
    let entries = config.get(key).and_then(Value::as_object).into_iter().flatten();
    entries.map(|(name, change)| (name, change.as_object().cloned().unwrap_or_default()))
}

/// GPTQModel's overrides.
fn dynamic_rules(config: &Map<String, Value>) -> Result<Vec<Rule>> {
    let rule = |(text, change): (&String, _)| {
        let (regex, change) = match text.split_at_checked(2) {
            Some(("-:", regex)) => (regex, None),
            Some(("+:", regex)) => (regex, Some(change)),
            _ => (text.as_str(), Some(change)),
        };
        Ok(Rule { pattern: Pattern::new(&format!("re:{regex}"))?, change })
    };
    let mut rules: Vec<Rule> = objects(config, "dynamic").map(rule).collect::<Result<_>>()?;
    // The sort is stable: rules of each kind keep their order.
    rules.sort_by_key(|rule| rule.change.is_some());
    Ok(rules)
}

/// AutoRound's overrides.
fn named_rules(config: &Map<String, Value>) -> Result<Vec<Rule>> {
    let entries: Vec<_> = objects(config, "extra_config").collect();
    let mut rules = Vec::new();
    for is_name in [true, false] {
        for (text, change) in &entries {
            let pattern =
                if is_name { Pattern::exact(text) } else { Pattern::new(&format!("re:.*(?:{text})")) };
            let kept = change.get("bits").and_then(Value::as_u64).is_some_and(|bits| bits >= 16);
            rules.push(Rule { pattern: pattern?, change: (!kept).then(|| change.clone()) });
        }
    }
    Ok(rules)
}
