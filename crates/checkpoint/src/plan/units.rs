//! Units of work: one linear that becomes several tensors, or one tensor that is copied.

use super::recipes::Recipes;
use super::select::Selection;
use super::{Job, natural};
use crate::layout::{Linear, Part, quantum};
use crate::safetensors::Dtype;
use crate::{Checkpoint, Result};
use lowbit_calib::{Activations, Recipe, TensorScaleRule};
use std::collections::BTreeMap;

/// One thing to do; its outputs are in one file, next to each other in the plan.
#[derive(Debug)]
pub(crate) enum Unit {
    Quantized(QuantizedUnit),
    Copied(Copied),
}

/// A linear to quantize.
#[derive(Debug)]
pub(crate) struct QuantizedUnit {
    pub(crate) linear: Linear,
    pub(crate) recipe: Recipe,
    /// The source tensor, and the first of the linear's values in it.
    pub(crate) tensor: String,
    pub(crate) first: u64,
    pub(crate) parts: Vec<(Part, Placed)>,
    /// Rows that go together in the format and in every packing.
    pub(crate) quantum: usize,
    /// Units with the same number share their statistics, and thereby the tensor scale.
    pub(crate) shares: usize,
    /// What the file's metadata says of it.
    pub(crate) note: Option<(String, String)>,
}

/// A tensor to copy.
#[derive(Debug)]
pub(crate) struct Copied {
    pub(crate) tensor: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) len: u64,
    /// Why it is not quantized.
    pub(crate) why: String,
    pub(crate) place: Placed,
}

/// Where an output tensor lies: which file, and its first byte there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) file: usize,
    pub(crate) begin: u64,
}

impl Unit {
    /// Name of the source tensor.
    pub(crate) fn source(&self) -> &str {
        match self {
            Self::Quantized(unit) => &unit.tensor,
            Self::Copied(unit) => &unit.tensor,
        }
    }

    /// Name that stands for the unit in messages: the module of a linear.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Quantized(unit) => &unit.linear.module,
            Self::Copied(unit) => &unit.tensor,
        }
    }

    /// Bytes of its outputs.
    pub(crate) fn output_len(&self) -> u64 {
        match self {
            Self::Quantized(unit) => unit.parts.iter().map(|(part, _)| part.len()).sum(),
            Self::Copied(unit) => unit.len,
        }
    }
}

/// The units of a selection, in name order, not placed yet.
pub(super) fn units(
    checkpoint: &Checkpoint,
    job: &Job,
    activations: Activations,
    recipes: &Recipes,
    selection: &Selection,
) -> Result<Vec<Unit>> {
    let arch = crate::arch::Arch::new(checkpoint.config());
    let mut units = Vec::new();
    let mut groups = BTreeMap::new();
    for (at, picked) in selection.picked.iter().enumerate() {
        let (linear, recipe) = (picked.linear.clone(), *recipes.of(picked.linear.dtype));
        let tensor = checkpoint.require(&picked.tensor)?;
        let refuse =
            |reason: String| tensor.error(format!("{reason}; leave it out with --exclude {}", linear.module));
        recipe.format.check(linear.shape).map_err(|e| refuse(e.to_string()))?;
        let parts = job.layout.parts(&linear, &recipe.format, activations).map_err(refuse)?;
        let key = arch.shares(&linear.module).filter(|_| recipe.format.tensor_scale);
        let shares = key.map_or(at, |key| *groups.entry(key).or_insert(at));
        let divides = matches!(recipe.tensor_scale, TensorScaleRule::Divide { .. });
        units.push(Unit::Quantized(QuantizedUnit {
            quantum: quantum(&recipe.format, linear.shape, &parts),
            note: job.layout.note(&linear, &recipe.format, divides),
            parts: parts.into_iter().map(|part| (part, Placed::default())).collect(),
            linear,
            recipe,
            tensor: picked.tensor.clone(),
            first: picked.first,
            shares,
        }));
    }
    for (name, why) in &selection.copied {
        let entry = checkpoint.require(name)?.entry;
        units.push(Unit::Copied(Copied {
            tensor: name.clone(),
            dtype: entry.dtype,
            shape: entry.shape.clone(),
            len: entry.len(),
            why: why.clone(),
            place: Placed::default(),
        }));
    }
    // `shares` counts picked linears, which keep their order here; copies only come between them.
    units.sort_by(|a, b| natural(a.source(), b.source()));
    Ok(units)
}
