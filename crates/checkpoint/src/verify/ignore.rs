//! Checks of the ignored layers of the configuration against the quantized ones. The layout that
//! the configuration names reads its lists.

use super::checks::Code;
use super::finding::Finding;
use super::layers::Layers;
use super::names;
use crate::Checkpoint;
use crate::arch::{Arch, Role};
use crate::layout::of_configuration;

/// Compares the lists with the quantized layers.
pub(super) fn check(checkpoint: &Checkpoint, layers: &Layers, findings: &mut Vec<Finding>) {
    let Some(layout) = of_configuration(checkpoint) else { return };
    let Some(lists) = layout.reader.ignored(checkpoint) else { return };
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
        let meant = match role {
            Role::Linear => true,
            Role::Head => tensor.entry.shape.len() == 2 && lists.means_head,
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
