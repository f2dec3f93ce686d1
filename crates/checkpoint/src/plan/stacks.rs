//! Joining of separate experts into the stacks that a layout keeps.
//!
//! ```text
//! experts.e.gate_proj, experts.e.up_proj [I, H]   ->  experts.gate_up_proj [E, 2 I, H]     rows as the architecture has them
//! experts.e.down_proj [H, I]                      ->  experts.down_proj [E, H, I]
//! ```

use super::source::Comb;
use super::units::Target;
use crate::arch::{Arch, Place};
use crate::layout::Linear;
use lowbit_blocks::Shape;
use std::collections::BTreeMap;

/// Joins these linears into stacks. Experts of an incomplete stack, or of one whose experts differ
/// in shape or format, stay separate.
pub(super) fn stack(arch: &Arch, targets: Vec<Target>) -> Vec<Target> {
    let mut stacks: BTreeMap<String, Vec<(Place, Target)>> = BTreeMap::new();
    let mut all = Vec::new();
    for target in targets {
        match arch.place_in_stack(&target.linear.module).filter(|_| !target.linear.stacked) {
            Some(place) => stacks.entry(place.stack.clone()).or_default().push((place, target)),
            None => all.push(target),
        }
    }
    for (name, mut members) in stacks {
        members.sort_by_key(|(place, _)| (place.matrix, place.part));
        match whole(arch, &name, &members) {
            Some(stack) => all.push(stack),
            None => all.extend(members.into_iter().map(|(_, target)| target)),
        }
    }
    all
}

/// The stack of these experts, in order; `None` if the stack is incomplete or its experts differ.
fn whole(arch: &Arch, name: &str, members: &[(Place, Target)]) -> Option<Target> {
    let (Place { parts, .. }, first) = members.first()?;
    let Shape { rows, cols, .. } = first.linear.shape;
    let alike = members.iter().enumerate().all(|(at, (place, target))| {
        (place.matrix, place.part) == (at / parts, at % parts)
            && (target.linear.shape, target.scheme) == (first.linear.shape, first.scheme)
    });
    if !alike || !members.len().is_multiple_of(*parts) {
        return None;
    }
    let strips = members.iter().flat_map(|(place, target)| {
        let (start, step) = arch.rows_in_stack(place, rows);
        target.strips.iter().map(move |strip| {
            let to = Comb {
                matrix: place.matrix,
                first: start + strip.to.first * step,
                step: strip.to.step * step,
            };
            super::source::Strip { to, ..strip.clone() }
        })
    });
    let linear = Linear {
        module: name.to_owned(),
        weight: name.to_owned(),
        shape: Shape { matrices: members.len() / parts, rows: rows.checked_mul(*parts)?, cols },
        orientation: arch.stacks(),
        stacked: true,
        ..first.linear.clone()
    };
    Some(Target { strips: strips.collect(), linear, scheme: first.scheme })
}
