//! Checks of the configuration against all layers.

use super::checks::Code;
use super::finding::Finding;
use super::layers::Layers;
use super::names;
use crate::layout::{Claim, any_quantization_config};
use lowbit_container::{CONFIG, Checkpoint, read_config};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The configuration file of ModelOpt, beside `config.json`.
const SIDE_FILE: &str = "hf_quant_config.json";

/// Reads the configuration file of ModelOpt, if there is one.
pub(super) fn side(checkpoint: &Checkpoint, findings: &mut Vec<Finding>) -> Option<Map<String, Value>> {
    match read_config(&checkpoint.dir().join(SIDE_FILE)) {
        Ok(config) => config?.get("quantization").and_then(Value::as_object).cloned(),
        Err(error) => {
            findings.push(Finding::of(Code::ConfigBroken, &error.into()));
            None
        }
    }
}

/// Compares the configuration with the tensors.
pub(super) fn check(
    checkpoint: &Checkpoint,
    side: Option<&Map<String, Value>>,
    layers: &Layers,
    findings: &mut Vec<Finding>,
) {
    let main = any_quantization_config(checkpoint);
    let algorithm = |config: &Map<String, Value>| {
        config.get("quant_algo").and_then(Value::as_str).map(str::to_ascii_uppercase)
    };
    if let (Some(a), Some(b)) = (main.and_then(algorithm), side.and_then(algorithm))
        && a != b
    {
        let detail = format!("{CONFIG} says {a}, {SIDE_FILE} says {b}");
        findings.push(Finding::new(Code::ConfigsDisagree, detail).in_file(&checkpoint.dir().join(SIDE_FILE)));
    }
    let Some(config) = side.or(main) else { return };
    let broken = findings.iter().any(|f| f.code.starts_with("LB-F"));
    // compressed-tensors has a configuration even for a model that is sparse and not quantized.
    let means_it = config.get("config_groups").and_then(Value::as_object).is_none_or(|g| !g.is_empty());
    if means_it
        && names::quantized(checkpoint).is_empty()
        && layers.linears.is_empty()
        && layers.understood
        && !broken
    {
        let detail = format!("none of {} tensors", checkpoint.tensors().len());
        findings.push(Finding::new(Code::NothingQuantized, detail).in_file(&checkpoint.dir().join(CONFIG)));
    }
    groups(&Claim::of(config), layers, findings);
}

/// Checks the group size: engines take it from the configuration, other readers from the tensors.
fn groups(claim: &Claim, layers: &Layers, findings: &mut Vec<Finding>) {
    let Some(said) = claim.group else { return };
    let mut other: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for linear in &layers.linears {
        if let Some(have) = linear.format.block.group()
            && have as u64 != said
        {
            other.entry(have).or_default().push(&linear.linear.module);
        }
    }
    for (have, modules) in other {
        let detail = format!("group size {said} is said, scales of {} layers are of {have}", modules.len());
        let finding = Finding::new(Code::ConfigGroup, detail).with("said", said).with("have", have);
        findings.push(finding.about(modules[0]));
    }
}
