//! Checks of quantized layers: layers that cannot be read, and tensors that belong to no layer.
//! Errors of the layout's reader are sorted into codes.

use super::checks::Code;
use super::finding::Finding;
use super::floats;
use super::names::{self, Kind};
use crate::layout::{Holds, Layout, Stored, any_quantization_config, same_bytes};
use crate::{Checkpoint, Error, Result};
use lowbit_blocks::Format;
use lowbit_container::Error as ContainerError;
use lowbit_container::Tensor;
use lowbit_layouts::Error as LayoutError;
use lowbit_layouts::Mismatch;
use std::collections::{BTreeMap, BTreeSet};

/// The quantized layers of a checkpoint: those that can be read, and the modules of the others.
#[derive(Debug, Default)]
pub(super) struct Layers {
    pub(super) layout: Option<&'static Layout>,
    pub(super) linears: Vec<Stored>,
    /// Modules that have findings already, and modules whose tensors are not reported further.
    pub(super) broken: BTreeSet<String>,
    /// Whether this version supports the convention, or the checkpoint is not quantized.
    pub(super) understood: bool,
}

/// Reads all layers and reports those that cannot be read, except the modules in `told`.
pub(super) fn read(
    checkpoint: &Checkpoint,
    told: BTreeSet<String>,
    findings: &mut Vec<Finding>,
) -> Result<Layers> {
    let mut layers = Layers { understood: true, broken: told, ..Layers::default() };
    let survey = match crate::layout::survey(checkpoint).map_err(Error::from) {
        Ok(survey) => survey,
        Err(error @ Error::Layout(LayoutError::Convention { .. })) => {
            layers.understood = false;
            let unsaid = any_quantization_config(checkpoint).is_none();
            let code = if unsaid { Code::QuantizationUnsaid } else { Code::ConventionUnread };
            findings.push(Finding::of(code, &error));
            return Ok(layers);
        }
        Err(error @ Error::Container(ContainerError::Io { .. })) => return Err(error),
        Err(error) => {
            layers.understood = false;
            // A configuration that is not JSON has been reported as a file.
            if findings.iter().all(|f| f.code != Code::ConfigBroken.check().code) {
                findings.push(Finding::of(Code::ConfigUnusable, &error));
            }
            return Ok(layers);
        }
    };
    let mut errors = Vec::new();
    if let Some(survey) = survey {
        layers.layout = Some(survey.layout);
        for linear in survey.linears {
            match linear.map_err(Error::from) {
                Ok(stored) => layers.linears.push(stored),
                Err(error @ Error::Container(ContainerError::Io { .. })) => return Err(error),
                Err(error) => errors.push(error),
            }
        }
    }
    for stored in &layers.linears {
        shapes(checkpoint, stored, findings);
    }
    let mut found = Vec::new();
    let mut modules = Modules::new();
    for tensor in checkpoint.tensors() {
        modules.entry(names::module_of(&tensor.entry.name)).or_default().push(tensor);
    }
    for error in &errors {
        let (code, module) = sort(&modules, error)?;
        if module.is_none_or(|module| !layers.broken.contains(module)) {
            found.push((code, error));
        }
        layers.broken.extend(module.map(ToOwned::to_owned));
    }
    findings.extend(together(&layers, found));
    // MLX has a key of its own.
    let said = any_quantization_config(checkpoint).is_some()
        || checkpoint.config().is_some_and(|config| config.contains_key("quantization"));
    unclaimed(&modules, said, &mut layers, findings);
    Ok(layers)
}

/// Checks the shapes of a layer's tensors. Readers check only the number of bytes, which a
/// transposed tensor has too. Axes of length 1 are ignored.
fn shapes(checkpoint: &Checkpoint, stored: &Stored, findings: &mut Vec<Finding>) {
    let long = |shape: &[usize]| -> Vec<usize> { shape.iter().copied().filter(|&n| n != 1).collect() };
    for part in &stored.parts {
        let Some(tensor) = checkpoint.tensor(&part.name) else { continue };
        let (have, want) = (&tensor.entry.shape, &part.shape);
        if long(have) != long(want) {
            let code =
                if matches!(part.holds, Holds::Scales(_)) { Code::ScaleShape } else { Code::CodesShape };
            let detail =
                format!("has shape {have:?}, {} of {} has {want:?} there", stored.format, stored.shape());
            findings.push(Finding::new(code, detail).in_file(tensor.file.path()).about(&part.name));
        }
    }
}

/// The tensors of each module.
type Modules<'a> = BTreeMap<&'a str, Vec<Tensor<'a>>>;

/// The code of an error of the reader, and the module that it is about.
fn sort<'a>(modules: &Modules<'_>, error: &'a Error) -> Result<(Code, Option<&'a str>)> {
    let name = match error {
        Error::Container(ContainerError::Missing { tensor, .. })
        | Error::Container(ContainerError::Tensor { tensor, .. }) => tensor,
        Error::Layout(LayoutError::Mismatch(mismatch)) => &mismatch.tensor,
        Error::Layout(LayoutError::Convention { .. }) => return Ok((Code::ConventionUnread, None)),
        _ => return Ok((Code::LayerUnreadable, None)),
    };
    let (module, kind) = (names::module_of(name), names::part_of(name).map(|(_, kind)| kind));
    let own = || modules.get(module).into_iter().flatten();
    // Readers report two faults in many ways: exponents that are stored as numbers, and scales
    // without codes.
    for scale in own().filter(|t| is(t, Kind::Scale) && names::is_float(t.entry.dtype)) {
        if floats::scan_all(*scale)?.are_exponents() {
            return Ok((Code::ExponentsAsNumbers, Some(module)));
        }
    }
    if own().any(|t| is(t, Kind::Scale)) && !own().any(|t| names::is_codes(t.entry)) {
        return Ok((Code::CodesMissing, Some(module)));
    }
    let code = match (error, kind) {
        (Error::Container(ContainerError::Missing { .. }), Some(Kind::Scale)) => Code::ScaleMissing,
        (Error::Container(ContainerError::Missing { .. }), Some(Kind::TensorScale)) => {
            Code::TensorScaleMissing
        }
        (Error::Container(ContainerError::Missing { .. }), Some(Kind::Zero)) => Code::ZeroMissing,
        (Error::Container(ContainerError::Missing { .. }), Some(Kind::Codes) | None) => Code::CodesMissing,
        (Error::Layout(LayoutError::Mismatch(m)), Some(Kind::Scale | Kind::TensorScale))
            if !same_bytes(m.have.0, m.want.0) =>
        {
            Code::ScaleDtype
        }
        (Error::Layout(LayoutError::Mismatch(_)), Some(Kind::Scale | Kind::TensorScale)) => Code::ScaleShape,
        (Error::Layout(LayoutError::Mismatch(_)), _) => Code::CodesShape,
        _ => Code::LayerUnreadable,
    };
    Ok((code, Some(module)))
}

/// Whether the name of a tensor says that it is of this kind.
fn is(tensor: &Tensor<'_>, kind: Kind) -> bool {
    names::part_of(&tensor.entry.name).is_some_and(|(_, of)| of == kind)
}

/// Merges what all layers of a format have in common into one finding about the configuration,
/// where their format comes from.
fn together(layers: &Layers, found: Vec<(Code, &Error)>) -> Vec<Finding> {
    let mut alike: BTreeMap<(Code, String), Vec<&Error>> = BTreeMap::new();
    for (code, error) in found {
        let key = match error {
            Error::Container(ContainerError::Missing { .. }) if code == Code::ZeroMissing => String::new(),
            _ => implied(code, error).map_or_else(|| error.to_string(), |(_, detail)| detail),
        };
        alike.entry((code, key)).or_default().push(error);
    }
    let mut findings = Vec::new();
    for ((code, _), errors) in alike {
        let readable = |format: Format| layers.linears.iter().any(|linear| linear.format == format);
        let said = implied(code, errors[0]).filter(|_| errors.len() > 1);
        let said = said.filter(|_| !mismatch(errors[0]).is_some_and(|m| readable(m.format)));
        let missing_all = code == Code::ZeroMissing && errors.len() > 1 && layers.linears.is_empty();
        match (said, missing_all) {
            (Some((code, detail)), _) => {
                let detail = format!("{detail}, in all {} layers", errors.len());
                findings.push(Finding::of(code, errors[0]).detail(detail).with("count", errors.len()));
            }
            (None, true) => {
                let detail = format!("asymmetric, but none of {} layers has zero points", errors.len());
                findings.push(Finding::new(Code::ConfigSymmetric, detail).with("count", errors.len()));
            }
            (None, false) if code == Code::ConventionUnread => findings.push(Finding::of(code, errors[0])),
            _ => findings.extend(errors.iter().map(|error| Finding::of(code, error))),
        }
    }
    findings
}

fn mismatch(error: &Error) -> Option<&Mismatch> {
    match error {
        Error::Layout(LayoutError::Mismatch(mismatch)) => Some(mismatch),
        _ => None,
    }
}

/// The value of the configuration for which a tensor would fit.
fn implied(code: Code, error: &Error) -> Option<(Code, String)> {
    let m = mismatch(error)?;
    let (&[rows, have], &[wanted_rows, want]) = (&m.have.1[..], &m.want.1[..]) else { return None };
    if rows != wanted_rows || have == 0 || have == want || m.have.0 != m.want.0 {
        return None;
    }
    match (code, m.format.block.group()) {
        (Code::ScaleShape, Some(group)) => {
            let size = m.shape.cols / have;
            let fits = m.shape.cols % have == 0 && size > 1;
            fits.then(|| (Code::ConfigGroup, format!("group size {group} is said, scales are of {size}")))
        }
        (Code::CodesShape, _) => {
            let bits = m.format.element.bits() as usize;
            let all = bits.checked_mul(have)?;
            let real = all.checked_div(want)?;
            let fits = all.is_multiple_of(want) && (1..=8).contains(&real);
            fits.then(|| (Code::ConfigBits, format!("{bits} bits are said, codes have {real}")))
        }
        _ => None,
    }
}

/// Reports tensors that look quantized and belong to no layer.
///
/// `said` is whether any configuration mentions quantization.
fn unclaimed(modules: &Modules<'_>, said: bool, layers: &mut Layers, findings: &mut Vec<Finding>) {
    let parts = layers.linears.iter().flat_map(|l| l.parts.iter().map(|p| p.name.as_str()));
    let mut claimed: BTreeSet<&str> = parts.collect();
    claimed.extend(layers.linears.iter().flat_map(Stored::companions));
    let linears: BTreeMap<&str, &Stored> =
        layers.linears.iter().map(|l| (l.linear.module.as_str(), l)).collect();
    let (mut unsaid, mut zeros, mut broken) = (Vec::new(), Vec::new(), Vec::new());
    for (&module, tensors) in modules.iter().filter(|(module, _)| !layers.broken.contains(**module)) {
        let scaled = tensors.iter().any(|t| is(t, Kind::Scale));
        let coded = tensors.iter().any(|t| names::is_codes(t.entry));
        for tensor in tensors.iter().filter(|t| !claimed.contains(t.entry.name.as_str())) {
            let name = tensor.entry.name.as_str();
            let mut found = |code, detail: &str| {
                findings.push(Finding::new(code, detail).in_file(tensor.file.path()).about(name));
            };
            match (names::part_of(name).map(|(_, kind)| kind), linears.get(module)) {
                (Some(Kind::Zero), Some(_)) => zeros.push(name),
                (None, Some(stored)) if name == stored.linear.weight => {
                    found(Code::WeightTwice, "is there besides the codes");
                }
                (_, None) if names::is_codes(tensor.entry) && layers.layout.is_none() => unsaid.push(name),
                // A module with codes and scales is a layer of an unknown kind, which is reported.
                (_, None) if names::is_codes(tensor.entry) && !scaled => {
                    let (dtype, shape) = (tensor.entry.dtype, &tensor.entry.shape);
                    found(Code::ScaleMissing, &format!("is {dtype} {shape:?} and has no scales"));
                    broken.push(module.to_owned());
                }
                (Some(Kind::Scale), None) if layers.layout.is_some() && !coded => {
                    found(Code::CodesMissing, "scales nothing");
                    broken.push(module.to_owned());
                }
                _ => {}
            }
        }
    }
    if let Some(first) = unsaid.first().filter(|_| !said) {
        let detail = format!("{} tensors look quantized", unsaid.len());
        let finding = Finding::new(Code::QuantizationUnsaid, detail).with("count", unsaid.len());
        findings.push(finding.about(first));
    }
    if let Some(first) = zeros.first() {
        let detail = format!("symmetric, but {} layers have zero points", zeros.len());
        let finding = Finding::new(Code::ConfigSymmetric, detail).with("count", zeros.len());
        findings.push(finding.about(first));
    }
    layers.broken.extend(broken);
}
