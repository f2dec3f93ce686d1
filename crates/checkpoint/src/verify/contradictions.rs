//! Contradictions between tensors and configuration, as found by the layout that the configuration
//! names.

use super::checks::Code;
use super::finding::Finding;
use crate::layout::{ContradictionKind, any_quantization_config, of_configuration};
use crate::{Checkpoint, Result};
use std::collections::{BTreeMap, BTreeSet};

/// The check that a contradiction fails.
const fn code(kind: ContradictionKind) -> Code {
    match kind {
        ContradictionKind::Bits => Code::ConfigBits,
        ContradictionKind::Group => Code::ConfigGroup,
        ContradictionKind::ZerosAreV1 => Code::ZerosAreV1,
        ContradictionKind::ZerosAreV2 => Code::ZerosAreV2,
        ContradictionKind::OrderRange => Code::OrderRange,
        ContradictionKind::Order => Code::ConfigOrder,
        _ => Code::ConfigSymmetric,
    }
}

/// Collects the layout's contradictions. The result is the modules for which a reader that trusts
/// the configuration would only repeat the same fault.
pub(super) fn check(checkpoint: &Checkpoint, findings: &mut Vec<Finding>) -> Result<BTreeSet<String>> {
    let mut told = BTreeSet::new();
    let layout = any_quantization_config(checkpoint).and_then(|_| of_configuration(checkpoint));
    let Some(layout) = layout else { return Ok(told) };
    let mut same: BTreeMap<(Code, String), Vec<String>> = BTreeMap::new();
    for found in layout.reader.contradictions(checkpoint)? {
        same.entry((code(found.kind), found.detail)).or_default().push(found.module);
    }
    for ((code, detail), modules) in same {
        let detail =
            if modules.len() > 1 { format!("{detail}, in {} layers", modules.len()) } else { detail };
        findings.push(Finding::new(code, detail).with("count", modules.len()).about(&modules[0]));
        if matches!(code, Code::ConfigBits | Code::ConfigGroup | Code::OrderRange) {
            told.extend(modules);
        }
    }
    Ok(told)
}
