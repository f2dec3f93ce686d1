//! Findings that follow from the counts of a scan.

use super::checks::Code;
use super::counts::{Count, Linear, Numbers};
use super::finding::Finding;
use super::names::Kind;
use crate::Checkpoint;
use crate::layout::{Holds, Part, Stored};
use lowbit_container::Tensor;

/// No weight of a trained model comes near this magnitude.
const HUGE: f64 = (1u64 << 20) as f64;

/// Reports the faults of a quantized linear.
///
/// `alive` says for each matrix whether some weight is not zero; it is empty if that was not
/// collected.
pub(super) fn linear(
    checkpoint: &Checkpoint,
    stored: &Stored,
    seen: &Linear,
    alive: &[bool],
    findings: &mut Vec<Finding>,
) {
    let part = |takes: fn(&Holds) -> bool| stored.parts.iter().find(|part| takes(&part.holds));
    let (scales, tensor_scale) =
        (part(|h| matches!(h, Holds::Scales(_))), part(|h| matches!(h, Holds::TensorScale)));
    let grid = stored.format.scale_grid(stored.shape()).1.max(1) as u64;
    let at = |count: &Count| format!("block {} of row {}", count.first % grid, count.first / grid);
    // Scales of weight-only integers may be negative: producers choose the sign that makes best use
    // of the code -2^(bits-1).
    let free = match stored.format.element.int_bits() {
        Some(bits) => bits < 8 || stored.format.block.is_group(),
        // The nested absmax of a block that is nearly zero may be negative: bitsandbytes rounds it
        // like any other.
        None => stored.format.element.is_codebook() && stored.assemble.is_some(),
    };
    let mut found: Vec<Finding> = Vec::new();
    found.extend(of_scales(&seen.scales, free, at).into_iter().map(|f| place(f, checkpoint, stored, scales)));
    let second = of_scales(&seen.tensor_scales, false, |count| format!("matrix {}", count.first));
    found.extend(second.into_iter().map(|f| place(f, checkpoint, stored, tensor_scale)));
    let sound = found.is_empty();
    if sound && stored.format.scale.kind.is_float() && seen.scales.are_exponents() {
        let detail = format!(
            "all {} scales are whole numbers up to {}; 2^(byte - 127) would be up to {:e}",
            seen.scales.count,
            seen.scales.largest,
            (seen.scales.largest - 127.0).exp2()
        );
        let finding = Finding::new(Code::ExponentsAsNumbers, detail).with("largest", seen.scales.largest);
        found.push(place(finding, checkpoint, stored, scales));
    } else if sound && (seen.reach > HUGE || seen.codes && seen.scales.largest > 0.0) {
        let which = if seen.reach > HUGE { "as large as" } else { "no larger than" };
        let detail = format!("weights may be {which} {:e}", seen.reach);
        let finding = Finding::new(Code::ScaleMagnitude, detail).with("reach", seen.reach);
        // Of two levels of scales, the outer one is usually the faulty one.
        found.push(place(finding, checkpoint, stored, tensor_scale.or(scales)));
    }
    let cols = stored.shape().cols.max(1) as u64;
    if let Some(finding) = some(Code::NanCodes, &seen.bad_codes, "codes are NaN or infinite", |count| {
        format!("row {}, column {}", count.first / cols, count.first % cols)
    }) {
        found.push(place(finding, checkpoint, stored, part(|h| matches!(h, Holds::Codes(_)))));
    }
    if let Some(finding) = some(Code::ZeroRange, &seen.bad_zeros, "zero points are out of range", at) {
        found.push(place(finding, checkpoint, stored, part(|h| matches!(h, Holds::Zeros(_)))));
    }
    if alive.contains(&false) && found.is_empty() {
        let dead: Vec<usize> = (0..alive.len()).filter(|&m| !alive[m]).collect();
        let which = if alive.len() > 1 { format!("matrix {} of ", dead[0]) } else { String::new() };
        let detail = format!("{which}{}: every weight is zero", stored.shape());
        let finding = Finding::new(Code::DeadExpert, detail).with("count", dead.len());
        found.push(place(finding, checkpoint, stored, None));
    }
    findings.extend(found);
}

/// Reports the faults of a float tensor.
pub(super) fn floats(tensor: Tensor<'_>, kind: Option<Kind>, seen: &Numbers, findings: &mut Vec<Finding>) {
    let at = |count: &Count| format!("index {}", count.first);
    let unusable = |code, what| some(code, &seen.unusable(), what, at).into_iter().collect();
    let found: Vec<Finding> = match kind {
        Some(Kind::InputScale) => unusable(Code::InputScale, "scales of the input cannot be used"),
        Some(Kind::CacheScale) => unusable(Code::CacheScale, "scales of the cache cannot be used"),
        Some(Kind::PreScale) => unusable(Code::PreScale, "factors of columns cannot be used"),
        Some(Kind::TensorScale) => of_scales(seen, false, at),
        Some(Kind::Scale) => {
            // Without codes, zeros cannot be judged, and scales of integer groups may be negative.
            let scales = Numbers { zero: Count::default(), ..*seen };
            let mut found = of_scales(&scales, true, at);
            if found.is_empty() && seen.are_exponents() {
                let detail = format!("all {} scales are whole numbers up to {}", seen.count, seen.largest);
                found.push(Finding::new(Code::ExponentsAsNumbers, detail).with("largest", seen.largest));
            }
            found
        }
        _ => {
            let mut bad = seen.nan;
            bad.merge(&seen.infinite);
            some(Code::WeightNonFinite, &bad, "values are NaN or infinite", at).into_iter().collect()
        }
    };
    findings.extend(found.into_iter().map(|f| f.in_file(tensor.file.path()).about(&tensor.entry.name)));
}

/// Findings about scales; `free` ones may be negative.
fn of_scales(seen: &Numbers, free: bool, at: impl Fn(&Count) -> String) -> Vec<Finding> {
    let negative = if free { Count::default() } else { seen.negative };
    let rows = [
        (Code::ScaleNan, seen.nan, "scales are NaN"),
        (Code::ScaleInfinite, seen.infinite, "scales are infinite"),
        (Code::ScaleZero, seen.zero, "scales are zero"),
        (Code::ScaleNegative, negative, "scales are negative"),
    ];
    let finding = |(code, count, what): (Code, Count, &str)| {
        Some(some(code, &count, what, &at)?.with("of", seen.count))
    };
    rows.into_iter().filter_map(finding).collect()
}

/// A finding, if anything was counted: the number of occurrences and the first one.
fn some(code: Code, count: &Count, what: &str, at: impl Fn(&Count) -> String) -> Option<Finding> {
    let detail = || format!("{} {what}, first at {} ({:e})", count.times, at(count), count.value);
    let finding = || Finding::new(code, detail()).with("count", count.times).with("first", count.first);
    (count.times > 0).then(finding)
}

/// Adds the file and the tensor to a finding.
fn place(finding: Finding, checkpoint: &Checkpoint, stored: &Stored, part: Option<&Part>) -> Finding {
    let name = part.map_or(&stored.linear.weight, |part| &part.name);
    let file = part.or(stored.parts.first()).and_then(|part| checkpoint.tensor(&part.name));
    let finding = finding.about(name);
    file.map_or(finding.clone(), |tensor| finding.in_file(tensor.file.path()))
}
