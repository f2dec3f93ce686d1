//! Checks of fused linears: same format, same tensor scale, same input scale.

use super::checks::Code;
use super::finding::Finding;
use super::layers::Layers;
use super::names;
use crate::arch::Arch;
use crate::layout::{Stored, read_floats};
use crate::{Checkpoint, Result};
use std::collections::BTreeMap;

/// Compares the members of every group of fused linears.
pub(super) fn check(checkpoint: &Checkpoint, layers: &Layers, findings: &mut Vec<Finding>) -> Result<()> {
    let arch = Arch::new(checkpoint.config());
    let mut groups: BTreeMap<String, Vec<&Stored>> = BTreeMap::new();
    for stored in &layers.linears {
        if let Some(key) = arch.shares(&stored.linear.module) {
            groups.entry(key).or_default().push(stored);
        }
    }
    let quantized = names::quantized(checkpoint);
    for tensor in checkpoint.tensors().filter(|t| names::is_float(t.entry.dtype)) {
        let name = &tensor.entry.name;
        let module = names::module_of(name);
        let weight = name.ends_with(".weight") && tensor.entry.shape.len() == 2;
        let group = arch.shares(module).and_then(|key| groups.get(&key));
        if let Some(other) = group
            .and_then(|group| group.first())
            .filter(|_| weight && !layers.broken.contains(module) && !quantized.contains(module))
        {
            let detail =
                format!("is {}, and {} is {}", tensor.entry.dtype, other.linear.module, other.format);
            findings.push(Finding::new(Code::FusedMixed, detail).in_file(tensor.file.path()).about(name));
        }
    }
    for group in groups.values().filter(|group| group.len() > 1) {
        members(checkpoint, group, findings)?;
    }
    Ok(())
}

fn members(checkpoint: &Checkpoint, group: &[&Stored], findings: &mut Vec<Finding>) -> Result<()> {
    let first = group[0];
    let about = |code, stored: &Stored, mine: &str, its: &str| {
        let detail = format!("{mine}, and {} has {its}", first.linear.module);
        Finding::new(code, detail).about(&stored.linear.module)
    };
    let scale = |stored: &Stored| stored.tensor_scale(checkpoint);
    let input = |stored: &Stored| -> Result<Option<Vec<f32>>> {
        let name = stored.input_scale.as_ref().and_then(|(name, _)| checkpoint.tensor(name));
        Ok(name.map(read_floats).transpose()?)
    };
    let (first_scale, first_input) = (scale(first)?, input(first)?);
    for stored in &group[1..] {
        if stored.format != first.format {
            let (mine, its) = (stored.format.to_string(), first.format.to_string());
            findings.push(about(Code::FusedMixed, stored, &mine, &its));
            continue;
        }
        let scale = scale(stored)?;
        // Scales that are NaN or infinite are reported as such; NaN also differs from itself.
        let sound = scale.stored().iter().chain(first_scale.stored()).all(|s| s.is_finite());
        if stored.implied_scale.is_none() && sound && scale != first_scale {
            let (mine, its) = (format!("{:?}", scale.stored()), format!("{:?}", first_scale.stored()));
            findings.push(about(Code::FusedScales, stored, &format!("tensor scale {mine}"), &its));
        }
        let input = input(stored)?;
        let finite = |scales: &Option<Vec<f32>>| scales.iter().flatten().all(|s| s.is_finite() && *s > 0.0);
        if input != first_input && finite(&input) && finite(&first_input) {
            let (mine, its) = (format!("{input:?}"), format!("{first_input:?}"));
            findings.push(about(Code::FusedInputs, stored, &format!("input scale {mine}"), &its));
        }
    }
    Ok(())
}
