//! Experts by the numbers in their names: none may be missing among its siblings.

use super::checks::Code;
use super::finding::Finding;
use super::names;
use crate::Checkpoint;
use std::collections::{BTreeMap, BTreeSet};

/// Number of missing experts that a finding names.
const SHOWN: usize = 8;

/// Splits the name of an expert at its number: `model.layers.0.mlp.experts.`, 7, `up_proj`.
pub(super) fn split(module: &str) -> Option<(&str, u32, &str)> {
    let at = module.find("experts.")? + "experts.".len();
    let (number, rest) = module[at..].split_once('.')?;
    Some((&module[..at], number.parse().ok()?, rest))
}

/// Checks that no expert that its siblings have is missing.
pub(super) fn check(checkpoint: &Checkpoint, findings: &mut Vec<Finding>) {
    let mut parents: BTreeMap<&str, (u32, BTreeMap<&str, BTreeSet<u32>>)> = BTreeMap::new();
    for tensor in checkpoint.tensors() {
        if let Some((parent, number, rest)) = split(names::module_of(&tensor.entry.name)) {
            let (last, linears) = parents.entry(parent).or_default();
            *last = (*last).max(number);
            linears.entry(rest).or_default().insert(number);
        }
    }
    for (parent, (last, linears)) in parents {
        for (linear, have) in linears {
            let missing = u64::from(last) + 1 - have.len() as u64;
            if missing == 0 {
                continue;
            }
            let shown: Vec<_> = (0..=last).filter(|n| !have.contains(n)).take(SHOWN).collect();
            let more = if missing > SHOWN as u64 { " …" } else { "" };
            let detail = format!("{missing} of {} have no {linear}: {shown:?}{more}", u64::from(last) + 1);
            let finding = Finding::new(Code::ExpertMissing, detail).with("count", missing);
            findings.push(finding.about(&format!("{parent}{}.{linear}", shown[0])));
        }
    }
}
