//! Finds the quantized linears of a GPTQ checkpoint. Widths and groups come from the configuration,
//! shapes from the tensors, symmetry from the zero points.

use super::super::{Found, Stored, columns, qweight};
use super::tensors;
use crate::{Checkpoint, Result, Tensor};
use lowbit_blocks::Format;
use qweight::{Convention, Settings, Zeros, constant};

/// All linears of a checkpoint in one of GPTQ's versions.
pub(in super::super) fn linears(checkpoint: &Checkpoint, settings: &Settings) -> Found {
    qweight::modules(checkpoint).map(|module| module_of(checkpoint, settings, module)).collect()
}

fn module_of(checkpoint: &Checkpoint, settings: &Settings, module: &str) -> Result<Stored> {
    let named = |suffix: &str| format!("{module}.{suffix}");
    let codes = checkpoint.require(&named("qweight"))?;
    let scales = checkpoint.require(&named("scales"))?;
    let zeros = checkpoint.require(&named("qzeros"))?;
    let order = checkpoint.tensor(&named("g_idx"));
    let scheme = settings.of(module)?;
    let scheme = scheme.ok_or_else(|| codes.error("the configuration says that it is not quantized"))?;
    let [words, rows] = qweight::matrix(codes)?;
    let bits = u32::from(scheme.bits);
    // Words may be padded; `g_idx` has one number for each column.
    let cols = match order {
        Some(order) => usize::try_from(order.entry.elements()).ok(),
        None => words.checked_mul(32).map(|all| all / bits as usize),
    };
    let cols = cols.ok_or_else(|| codes.error(format!("{words} words are too many")))?;
    let mut linear = qweight::linear(checkpoint, module, rows, cols);
    let mut format = qweight::format(scheme, scales, cols)?;
    format.check(linear.shape).map_err(|e| codes.error(e.to_string()))?;
    let mut convention = settings.convention;
    if convention != Convention::GptqPlanar && matches!(bits, 5..=7) {
        return Err(codes.error(format!("GPTQ has {bits} bits in planes only (gptq_p)")).into());
    }
    let packing = super::zeros(convention, bits);
    let groups = format.scale_grid(linear.shape).1;
    let look = Zeros::look(zeros, packing, bits, (rows, groups), scheme.symmetric)?;
    if look != Zeros::Own && constant(packing, bits, rows).is_some() {
        format = qweight::symmetric(&format);
    }
    if look == Zeros::Mislabelled {
        convention = other(convention);
    }
    let groups = order.map(|order| scattered(order, &format, cols)).transpose()?.flatten();
    linear.permuted = groups.is_some();
    let mut parts = tensors(convention, &linear, &format).map_err(|e| codes.error(e))?;
    parts.retain(|part| checkpoint.tensor(&part.name).is_some() || !part.name.ends_with(".g_idx"));
    let mut stored = Stored::new(checkpoint, linear, format, parts)?;
    stored.groups = groups;
    Ok(stored)
}

/// The other version of zero points.
const fn other(convention: Convention) -> Convention {
    match convention {
        Convention::Gptq => Convention::GptqV2,
        _ => Convention::Gptq,
    }
}

/// The name of the `g_idx`, if it reorders columns.
fn scattered(order: Tensor<'_>, format: &Format, cols: usize) -> Result<Option<String>> {
    let of_tile = || format.block.tile().map(|(_, size)| size);
    let size = format.block.group().or_else(of_tile).unwrap_or(cols);
    let in_order = columns::is_in_order(&columns::of_columns(order, cols)?, size);
    if !in_order && !cols.is_multiple_of(size) {
        return Err(order
            .error(format!("{cols} columns do not divide into groups of {size} in another order"))
            .into());
    }
    Ok((!in_order).then(|| order.entry.name.clone()))
}
