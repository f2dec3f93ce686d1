//! The weights of a checkpoint as numbers, quantized or not, read by rows: what inspecting and comparing share.

use crate::arch::{Arch, Expert};
use crate::layout::sparse::Sparse;
use crate::layout::{Reading, Stored, read};
use crate::plan::value_dtype;
use crate::run::values;
use crate::{Checkpoint, Result};
use lowbit_blocks::Shape;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

/// Values of a tile.
const TILE_VALUES: usize = 1 << 20;

/// An open checkpoint whose tensors can be read as f32, whatever they are stored as.
///
/// ```no_run
/// use lowbit_checkpoint::Weights;
/// let weights = Weights::open("llama-awq".as_ref())?;
/// let (mut rows, up) = (Vec::new(), "model.layers.0.mlp.up_proj.weight");
/// if let Some(weight) = weights.get(up) {
///     weight.read(0..2, &mut rows)?; // the first two output features, dequantized
///     assert_eq!(rows.len(), 2 * weight.shape().cols);
/// }
/// # Ok::<(), lowbit_checkpoint::Error>(())
/// ```
#[derive(Debug)]
pub struct Weights {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) reading: Option<Reading>,
    by_name: BTreeMap<String, Source>,
}

/// Where the values of a name come from.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// A tensor of floats.
    Floats,
    /// A quantized linear, by its place in the reading.
    Quantized(usize),
    /// Floats that are stored without their zeros, by their place in the reading.
    Sparse(usize),
}

/// A weight of a checkpoint: a tensor of floats, a quantized linear, or an expert of a stack of either.
#[derive(Clone, Debug)]
pub struct Weight<'a> {
    weights: &'a Weights,
    name: &'a str,
    source: Source,
    pub(crate) shape: Shape,
    /// First row in the tensor that holds it, and from one of its rows to the next; not 0 and 1 for an expert of a stack.
    first_row: usize,
    step: usize,
}

impl Weights {
    /// Opens a checkpoint directory, or a single safetensors file.
    ///
    /// # Errors
    /// As [`Checkpoint::open`] and [`layout::read`](crate::layout::read).
    pub fn open(path: &Path) -> Result<Self> {
        let checkpoint = Checkpoint::open(path)?;
        let reading = read(&checkpoint)?;
        Ok(Self::new(checkpoint, reading))
    }

    /// The weights of a checkpoint that is open and whose quantized linears are known.
    pub(crate) fn new(checkpoint: Checkpoint, reading: Option<Reading>) -> Self {
        let mut by_name: BTreeMap<String, Source> = BTreeMap::new();
        for (at, stored) in reading.iter().flat_map(|r| &r.linears).enumerate() {
            by_name.insert(stored.linear.weight.clone(), Source::Quantized(at));
        }
        let sparse = reading.iter().flat_map(|r| &r.sparse);
        by_name.extend(
            sparse.clone().enumerate().map(|(at, matrix)| (matrix.weight.clone(), Source::Sparse(at))),
        );
        let linears = || reading.iter().flat_map(|r| &r.linears);
        let mut parts: BTreeSet<_> =
            linears().flat_map(|l| l.parts.iter().map(|p| p.name.as_str())).collect();
        parts.extend(linears().flat_map(Stored::companions));
        parts.extend(sparse.flat_map(Sparse::tensors));
        let floats = checkpoint.tensors().map(|t| t.entry);
        let floats = floats.filter(|e| value_dtype(e.dtype).is_some() && !parts.contains(e.name.as_str()));
        let floats: Vec<_> = floats.map(|e| (e.name.clone(), Source::Floats)).collect();
        for (name, source) in floats {
            by_name.entry(name).or_insert(source);
        }
        Self { checkpoint, reading, by_name }
    }

    /// The checkpoint.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Names of all weights; of quantized ones that of the unquantized tensor.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// The quantized linear of this name, if it is one.
    pub fn stored(&self, name: &str) -> Option<&Stored> {
        match self.by_name.get(name)? {
            Source::Quantized(at) => self.reading.as_ref()?.linears.get(*at),
            Source::Floats | Source::Sparse(_) => None,
        }
    }

    /// The matrix at this place in the reading.
    fn sparse(&self, at: usize) -> Option<&Sparse> {
        self.reading.as_ref()?.sparse.get(at)
    }

    /// The weight of this name.
    pub fn get(&self, name: &str) -> Option<Weight<'_>> {
        let (name, source) = self.by_name.get_key_value(name)?;
        let shape = match (source, self.stored(name)) {
            (Source::Quantized(_), Some(stored)) => stored.shape(),
            (Source::Sparse(at), _) => self.sparse(*at)?.shape,
            _ => shape_of(&self.checkpoint.tensor(name)?.entry.shape),
        };
        Some(Weight { weights: self, name, source: *source, shape, first_row: 0, step: 1 })
    }

    /// Per-expert weights, by the names they would have, of the 3-D stacks in this checkpoint.
    pub(crate) fn experts(&self) -> BTreeMap<String, Weight<'_>> {
        let arch = Arch::new(self.checkpoint.config());
        let mut experts = BTreeMap::new();
        for (name, source) in &self.by_name {
            let Some(whole) = self.get(name).filter(|w| w.shape.matrices > 1 && !w.shape.is_empty()) else {
                continue;
            };
            let Shape { matrices, rows, cols } = whole.shape;
            for Expert { module, matrix, first_row, step, rows: own } in
                arch.split_experts(name, &[matrices, rows, cols]).into_iter().flatten()
            {
                let (source, shape) = (*source, Shape::matrix(own, cols));
                let first_row = matrix * rows + first_row;
                let weight = Weight { weights: self, name, source, shape, first_row, step };
                experts.insert(format!("{module}.weight"), weight);
            }
        }
        experts
    }
}

impl Weight<'_> {
    /// Matrices, rows (output features), columns (input features).
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Rows, counted over all matrices.
    pub fn rows(&self) -> usize {
        // A file may hold any number of rows of nothing.
        if self.shape.is_empty() { 0 } else { self.shape.matrices * self.shape.rows }
    }

    /// All rows in tiles of about [`TILE_VALUES`], which start where rows of any format can be read: at multiples of 128, or of all rows of a
    /// matrix that cannot be read in pieces.
    pub fn tiles(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let rows = self.rows();
        let step = (TILE_VALUES / self.shape.cols.max(1)).max(1).next_multiple_of(128);
        let whole = self.weights.stored(self.name).map_or(1, Stored::quantum);
        let step = if whole > 128 { step.next_multiple_of(whole) } else { step };
        (0..rows).step_by(step).map(move |start| start..rows.min(start + step))
    }

    /// Reads rows, counted over all matrices, as f32: dequantized by the layout's formula, factors of the input multiplied in, columns in the order of
    /// the input's features. Rows of a quantized weight start where its format can be read: at a multiple of 128, or of all rows of a matrix.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io), or [`Error::Tensor`](crate::Error::Tensor) where the bytes are no tensor of the format.
    pub fn read(&self, rows: Range<usize>, out: &mut Vec<f32>) -> Result<()> {
        let cols = self.shape.cols;
        if self.step > 1 && !rows.is_empty() {
            // All rows from the first to the last, and those between them dropped.
            let first = self.first_row + rows.start * self.step;
            let all = Self { first_row: first, step: 1, ..self.clone() };
            all.read(0..(rows.len() - 1) * self.step + 1, out)?;
            for row in 1..rows.len() {
                out.copy_within(row * self.step * cols..(row * self.step + 1) * cols, row * cols);
            }
            out.truncate(rows.len() * cols);
            return Ok(());
        }
        out.resize(rows.len() * cols, 0.0);
        let rows = self.first_row + rows.start..self.first_row + rows.end;
        if let (Source::Quantized(_), Some(stored)) = (self.source, self.weights.stored(self.name)) {
            return self.read_quantized(stored, rows, out);
        }
        let sparse = match self.source {
            Source::Sparse(at) => self.weights.sparse(at),
            _ => None,
        };
        let tensor = self.weights.checkpoint.require(sparse.map_or(self.name, |s| &s.compressed))?;
        let dtype = value_dtype(tensor.entry.dtype)
            .ok_or_else(|| tensor.error(format!("is {}", tensor.entry.dtype)))?;
        let size = dtype.bytes();
        let mut words = vec![0u32; (out.len() * size).div_ceil(4)];
        let bytes = &mut bytemuck::cast_slice_mut(&mut words)[..out.len() * size];
        match sparse {
            Some(sparse) => bytes.copy_from_slice(&sparse.rows(&self.weights.checkpoint, rows)?),
            None => tensor.read((rows.start * cols * size) as u64, bytes)?,
        }
        let values = values(bytes, dtype);
        values.widen_into(0..values.len(), out);
        Ok(())
    }

    fn read_quantized(&self, stored: &Stored, rows: Range<usize>, mut out: &mut [f32]) -> Result<()> {
        let (checkpoint, Shape { rows: high, cols, .. }) = (&self.weights.checkpoint, stored.shape());
        let whole = stored.whole(checkpoint, true)?;
        let mut at = rows.start;
        while at < rows.end {
            let (matrix, row) = (at / high, at % high);
            let last = high.min(row + (rows.end - at));
            let (part, rest) = out.split_at_mut((last - row) * cols);
            stored.values(checkpoint, &whole, matrix, row..last, part)?;
            (out, at) = (rest, at + last - row);
        }
        Ok(())
    }
}

/// Any tensor as a stack of matrices: the last two axes are rows and columns, a vector is one row.
fn shape_of(shape: &[usize]) -> Shape {
    match *shape {
        [] => Shape::matrix(1, 1),
        [cols] => Shape::matrix(1, cols),
        [ref above @ .., rows, cols] => Shape { matrices: above.iter().product(), rows, cols },
    }
}
