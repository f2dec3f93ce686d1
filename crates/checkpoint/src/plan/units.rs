//! Units of work: a linear that becomes several tensors, or a tensor that is copied.

use super::recipes::Recipes;
use super::select::Selection;
use super::source::{Source, Strip};
use super::{Job, natural};
use crate::arch::Orientation;
use crate::layout::sparse::Sparse;
use crate::layout::{Linear, Part, Scheme, quantum};
use crate::safetensors::{Dtype, Entry};
use crate::{Checkpoint, Result};
use lowbit_blocks::transcode::Transcoder;
use lowbit_blocks::{Format, Shape};
use lowbit_calib::{Activations, Recipe, TensorScaleRule};
use std::collections::BTreeMap;

/// One unit of work. Its outputs lie in one file, next to each other in the plan.
#[derive(Debug)]
pub(crate) enum Unit {
    /// A linear to write quantized.
    Quantized(QuantizedUnit),
    /// A linear to write decoded.
    Decoded(Decoded),
    /// A tensor to copy.
    Copied(Copied),
    /// A small tensor whose bytes are known at planning.
    Constant(Constant),
}

/// A linear to quantize, or to transcode.
#[derive(Debug)]
pub(crate) struct QuantizedUnit {
    pub(crate) linear: Linear,
    /// The output format.
    pub(crate) format: Format,
    pub(crate) way: Way,
    /// The reason that a quantized linear is requantized.
    pub(crate) why: Option<String>,
    pub(crate) source: Source,
    pub(crate) parts: Vec<(Part, Placed)>,
    /// Row quantum: tiles start at multiples of this many rows, in the format, in every packing and
    /// in the source.
    pub(crate) quantum: usize,
    /// Units with the same number share their statistics and therefore their tensor scale.
    pub(crate) shares: usize,
    /// The entry that the file's metadata has about it.
    pub(crate) note: Option<(String, String)>,
    /// The input feature of each column, if the columns stay in group order.
    pub(crate) perm: Option<Vec<u32>>,
}

/// How its codes and scales are made.
#[derive(Debug)]
pub(crate) enum Way {
    /// Chosen from the values.
    Quantize(Recipe),
    /// Transcoded from the stored ones.
    Transcode(Box<Transcoder>),
}

/// A linear of the output, its scheme, and the source of its rows.
pub(super) struct Target {
    pub(super) linear: Linear,
    pub(super) strips: Vec<Strip>,
    pub(super) scheme: Scheme,
}

/// A quantized linear to write decoded.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// Its shape, and the name, type and orientation of the output tensor.
    pub(crate) linear: Linear,
    pub(crate) strips: Vec<Strip>,
    pub(crate) quantum: usize,
    /// Whether every value is exact in the output type; assumed of f32 alone.
    pub(crate) exact: bool,
    pub(crate) place: Placed,
}

/// A tensor to copy.
#[derive(Debug)]
pub(crate) struct Copied {
    pub(crate) tensor: String,
    /// The name of the output tensor.
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) len: u64,
    /// The reason that it is not quantized.
    pub(crate) why: String,
    /// Its sparse form, if its file omits the zeros.
    pub(crate) sparse: Option<Sparse>,
    pub(crate) place: Placed,
}

/// A small tensor whose bytes are known at planning.
#[derive(Debug)]
pub(crate) struct Constant {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
    /// Name of the source tensor.
    pub(crate) source: String,
    pub(crate) place: Placed,
}

impl Copied {
    /// An unchanged copy of a tensor.
    pub(super) fn new(entry: &Entry, why: &str) -> Self {
        Self {
            tensor: entry.name.clone(),
            name: entry.name.clone(),
            dtype: entry.dtype,
            shape: entry.shape.clone(),
            len: entry.len(),
            why: why.to_owned(),
            sparse: None,
            place: Placed::default(),
        }
    }

    /// A dense copy of a sparse matrix.
    pub(super) fn restored(sparse: Sparse, dtype: Dtype) -> Self {
        let Shape { rows, cols, .. } = sparse.shape;
        Self {
            tensor: sparse.compressed.clone(),
            name: sparse.weight.clone(),
            dtype,
            shape: vec![rows, cols],
            len: (rows * cols) as u64 * dtype.bitsize() as u64 / 8,
            why: "stored without its zeros".into(),
            sparse: Some(sparse),
            place: Placed::default(),
        }
    }
}

/// The place of an output tensor: the index of its file, and the offset of its first byte there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) file: usize,
    pub(crate) begin: u64,
}

impl QuantizedUnit {
    /// The recipe, if scales are chosen.
    pub(crate) const fn recipe(&self) -> Option<&Recipe> {
        match &self.way {
            Way::Quantize(recipe) => Some(recipe),
            Way::Transcode(_) => None,
        }
    }

    /// Type of the values that are quantized. Quantized linears are decoded to f32 first.
    pub(crate) const fn value_dtype(&self) -> lowbit_blocks::Dtype {
        match self.source {
            Source::Floats { .. } => self.linear.dtype,
            Source::Quantized(_) => lowbit_blocks::Dtype::F32,
        }
    }

    /// Name of its source: the tensor, or the weight of the quantized linear.
    pub(crate) fn from(&self) -> &str {
        match &self.source {
            Source::Floats { tensor, .. } => tensor,
            Source::Quantized(_) => &self.linear.weight,
        }
    }
}

impl Unit {
    /// Name of the source tensor.
    pub(crate) fn source(&self) -> &str {
        match self {
            Self::Quantized(unit) => unit.from(),
            Self::Decoded(unit) => &unit.linear.weight,
            Self::Copied(unit) => &unit.tensor,
            Self::Constant(unit) => &unit.name,
        }
    }

    /// Name of the unit in messages; for a linear, its module.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Quantized(unit) => &unit.linear.module,
            Self::Decoded(unit) => &unit.linear.module,
            Self::Copied(unit) => &unit.tensor,
            Self::Constant(unit) => &unit.name,
        }
    }

    /// Total bytes of its outputs.
    pub(crate) fn output_len(&self) -> u64 {
        match self {
            Self::Quantized(unit) => unit.parts.iter().map(|(part, _)| part.len()).sum(),
            Self::Decoded(unit) => unit.len(),
            Self::Copied(unit) => unit.len,
            Self::Constant(unit) => unit.bytes.len() as u64,
        }
    }
}

impl Decoded {
    /// The whole of the linear at index `at` of the source.
    pub(super) fn new(linear: Linear, at: usize, quantum: usize) -> Self {
        let Shape { matrices, rows, .. } = linear.shape;
        let strips = (0..matrices).map(|matrix| Strip::whole(at, matrix, rows)).collect();
        // A transposed matrix is transposed in one piece.
        let quantum = if linear.orientation == Orientation::InOut { rows.max(1) } else { quantum };
        let exact = linear.dtype == lowbit_blocks::Dtype::F32;
        Self { linear, strips, quantum, exact, place: Placed::default() }
    }

    /// Length of the tensor in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.linear.shape.len().unwrap_or(0) as u64 * self.linear.dtype.bytes() as u64
    }

    /// Its shape in the file.
    pub(crate) fn shape(&self) -> Vec<usize> {
        let Shape { matrices, rows, cols } = self.linear.shape;
        let matrix = match self.linear.orientation {
            Orientation::OutIn => [rows, cols],
            Orientation::InOut => [cols, rows],
        };
        if self.linear.is_stack() { [&[matrices][..], &matrix].concat() } else { matrix.to_vec() }
    }
}

/// The units of a selection, in name order, without their places.
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
        let key = arch.shares(&linear.module).filter(|_| recipe.format.has_tensor_scale());
        let shares = key.map_or(at, |key| *groups.entry(key).or_insert(at));
        let divides = matches!(recipe.tensor_scale, TensorScaleRule::Divide { .. });
        units.push(Unit::Quantized(QuantizedUnit {
            quantum: quantum(&recipe.format, linear.shape, &parts),
            note: job.layout.note(&linear, &Scheme { format: recipe.format, activations }, divides),
            parts: parts.into_iter().map(|part| (part, Placed::default())).collect(),
            linear,
            format: recipe.format,
            way: Way::Quantize(recipe),
            why: None,
            source: Source::Floats { tensor: picked.tensor.clone(), first: picked.first },
            shares,
            perm: None,
        }));
    }
    for (name, why) in &selection.copied {
        units.push(Unit::Copied(Copied::new(checkpoint.require(name)?.entry, why)));
    }
    // `shares` counts picked linears, whose order is kept here; copies only come between them.
    units.sort_by(|a, b| natural(a.source(), b.source()));
    Ok(units)
}
