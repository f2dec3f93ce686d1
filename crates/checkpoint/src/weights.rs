//! The weights of a checkpoint as f32, quantized or not, read by rows. Inspection, comparison and
//! running a model share this.

use crate::arch::{Arch, Expert};
use crate::layout::sparse::Sparse;
use crate::layout::{Reading, Stored, read};
use crate::values::{value_dtype, values};
use crate::{Checkpoint, Result};
use lowbit_blocks::Shape;
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

/// Number of values of a row tile.
const TILE_VALUES: usize = 1 << 20;

/// An open checkpoint, owned or borrowed, whose tensors can be read as f32, quantized or not.
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
pub struct Weights<C = Checkpoint> {
    pub(crate) checkpoint: C,
    pub(crate) reading: Option<Reading>,
    by_name: BTreeMap<String, Source>,
    /// Experts of the stacks, by the names that they would have if separate; built on first use.
    experts: OnceLock<BTreeMap<String, Part>>,
}

/// Rows of a stack that are the weight of one expert.
#[derive(Clone, Debug)]
struct Part {
    stack: String,
    first_row: usize,
    step: usize,
    shape: Shape,
}

/// The source of the values of a weight.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// A float tensor.
    Floats,
    /// A quantized linear, by its index in the reading.
    Quantized(usize),
    /// A sparse float matrix, by its index in the reading.
    Sparse(usize),
}

/// A weight of a checkpoint: a float tensor, a quantized linear, or an expert of a stack of either.
#[derive(Clone, Debug)]
pub struct Weight<'a> {
    checkpoint: &'a Checkpoint,
    name: &'a str,
    stored: Option<&'a Stored>,
    sparse: Option<&'a Sparse>,
    smoothed: bool,
    pub(crate) shape: Shape,
    /// Its first row in the stored tensor, and the distance between its rows there; 0 and 1 except
    /// for an expert of a stack.
    first_row: usize,
    step: usize,
}

impl Weights {
    /// Opens a checkpoint directory, or a single safetensors file.
    ///
    /// # Errors
    /// As [`Checkpoint::open`] and [`layout::read`](crate::layout::read).
    pub fn open(path: &Path) -> Result<Self> {
        Self::of(Checkpoint::open(path)?)
    }
}

impl<C: Borrow<Checkpoint>> Weights<C> {
    /// The weights of an open checkpoint.
    ///
    /// # Errors
    /// As [`layout::read`](crate::layout::read): a malformed quantized linear, or a convention that
    /// is not supported.
    pub fn of(checkpoint: C) -> Result<Self> {
        let reading = read(checkpoint.borrow())?;
        Ok(Self::new(checkpoint, reading))
    }

    /// The weights of an open checkpoint whose quantized linears are known.
    pub(crate) fn new(checkpoint: C, reading: Option<Reading>) -> Self {
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
        let floats = checkpoint.borrow().tensors().map(|t| t.entry);
        let floats = floats.filter(|e| value_dtype(e.dtype).is_some() && !parts.contains(e.name.as_str()));
        let floats: Vec<_> = floats.map(|e| (e.name.clone(), Source::Floats)).collect();
        for (name, source) in floats {
            by_name.entry(name).or_insert(source);
        }
        Self { checkpoint, reading, by_name, experts: OnceLock::new() }
    }

    /// The checkpoint.
    pub fn checkpoint(&self) -> &Checkpoint {
        self.checkpoint.borrow()
    }

    /// The quantized linears, if there are any.
    pub fn reading(&self) -> Option<&Reading> {
        self.reading.as_ref()
    }

    /// Names of all weights; for a quantized linear, the name of the unquantized tensor.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// The quantized linear whose weight has this name, if there is one.
    pub fn stored(&self, name: &str) -> Option<&Stored> {
        match self.by_name.get(name)? {
            Source::Quantized(at) => self.reading.as_ref()?.linears.get(*at),
            Source::Floats | Source::Sparse(_) => None,
        }
    }

    /// The sparse matrix at this index of the reading.
    fn sparse(&self, at: usize) -> Option<&Sparse> {
        self.reading.as_ref()?.sparse.get(at)
    }

    /// The weight of this name.
    pub fn get(&self, name: &str) -> Option<Weight<'_>> {
        let (name, source) = self.by_name.get_key_value(name)?;
        let shape = match (source, self.stored(name)) {
            (Source::Quantized(_), Some(stored)) => stored.shape(),
            (Source::Sparse(at), _) => self.sparse(*at)?.shape,
            _ => shape_of(&self.checkpoint().tensor(name)?.entry.shape),
        };
        let (stored, checkpoint) = (self.stored(name), self.checkpoint());
        let sparse = match source {
            Source::Sparse(at) => self.sparse(*at),
            _ => None,
        };
        Some(Weight { checkpoint, name, stored, sparse, smoothed: true, shape, first_row: 0, step: 1 })
    }

    /// The weight of this name, or the expert of a stack that would have this name if separate.
    pub fn find(&self, name: &str) -> Option<Weight<'_>> {
        self.get(name).or_else(|| self.expert(self.parts().get(name)?))
    }

    /// The experts of all stacks, by the names that they would have if separate.
    pub fn experts(&self) -> BTreeMap<String, Weight<'_>> {
        self.parts().iter().filter_map(|(name, part)| Some((name.clone(), self.expert(part)?))).collect()
    }

    fn expert(&self, part: &Part) -> Option<Weight<'_>> {
        let &Part { ref stack, first_row, step, shape } = part;
        Some(Weight { first_row, step, shape, ..self.get(stack)? })
    }

    fn parts(&self) -> &BTreeMap<String, Part> {
        self.experts.get_or_init(|| {
            let arch = Arch::new(self.checkpoint().config());
            let mut parts = BTreeMap::new();
            for stack in self.by_name.keys() {
                let Some(Shape { matrices, rows, cols }) =
                    self.get(stack).map(|w| w.shape).filter(|s| s.matrices > 1 && !s.is_empty())
                else {
                    continue;
                };
                let experts = arch.split_experts(stack, &[matrices, rows, cols]);
                for Expert { module, matrix, first_row, step, rows: own } in experts.into_iter().flatten() {
                    let (first_row, shape) = (matrix * rows + first_row, Shape::matrix(own, cols));
                    let part = Part { stack: stack.clone(), first_row, step, shape };
                    parts.insert(format!("{module}.weight"), part);
                }
            }
            parts
        })
    }
}

impl Weight<'_> {
    /// Number of matrices, of rows (output features) and of columns (input features). A vector is
    /// one row.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The same weight without smoothing scales, for callers that multiply the input by
    /// `pre_quant_scale` themselves. By default the columns are multiplied.
    #[must_use]
    pub fn unsmoothed(self) -> Self {
        Self { smoothed: false, ..self }
    }

    /// Number of rows, counted over all matrices.
    pub fn rows(&self) -> usize {
        // A file may declare any number of rows of length zero.
        if self.shape.is_empty() { 0 } else { self.shape.matrices * self.shape.rows }
    }

    /// All rows in row tiles of about a million values. Tiles start at multiples of 128 rows, where
    /// rows of any format can be read, or of all rows of a matrix that cannot be read in pieces.
    pub fn tiles(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let rows = self.rows();
        let step = (TILE_VALUES / self.shape.cols.max(1)).max(1).next_multiple_of(128);
        let whole = self.stored.map_or(1, Stored::quantum);
        let step = if whole > 128 { step.next_multiple_of(whole) } else { step };
        (0..rows).step_by(step).map(move |start| start..rows.min(start + step))
    }

    /// Reads rows, counted over all matrices, as f32. They are dequantized by the layout's formula,
    /// with smoothing scales multiplied in (unless [`unsmoothed`](Self::unsmoothed)) and columns in
    /// the order of the input features.
    ///
    /// # Errors
    /// [`Error::Io`](lowbit_container::Error::Io), or
    /// [`Error::Tensor`](lowbit_container::Error::Tensor) if the rows are out of range or the bytes
    /// are malformed.
    pub fn read(&self, rows: Range<usize>, out: &mut Vec<f32>) -> Result<()> {
        let cols = self.shape.cols;
        if rows.start > rows.end || rows.end > self.rows() {
            let reason = format!("rows {rows:?} are asked of {}", self.rows());
            return Err(crate::Error::tensor(self.checkpoint.dir(), self.name, reason));
        }
        if self.step > 1 && !rows.is_empty() {
            // Reads all rows from the first to the last, then drops those in between.
            let (first_row, count) =
                (self.first_row + rows.start * self.step, (rows.len() - 1) * self.step + 1);
            let shape = Shape::matrix(count, cols);
            Self { first_row, step: 1, shape, ..self.clone() }.read(0..count, out)?;
            for row in 1..rows.len() {
                out.copy_within(row * self.step * cols..(row * self.step + 1) * cols, row * cols);
            }
            out.truncate(rows.len() * cols);
            return Ok(());
        }
        out.resize(rows.len() * cols, 0.0);
        let rows = self.first_row + rows.start..self.first_row + rows.end;
        if let Some(stored) = self.stored {
            return self.read_quantized(stored, rows, out);
        }
        let tensor = self.checkpoint.require(self.sparse.map_or(self.name, |s| &s.compressed))?;
        let dtype = value_dtype(tensor.entry.dtype)
            .ok_or_else(|| tensor.error(format!("is {}", tensor.entry.dtype)))?;
        let size = dtype.bytes();
        let mut words = vec![0u32; (out.len() * size).div_ceil(4)];
        let bytes = &mut bytemuck::cast_slice_mut(&mut words)[..out.len() * size];
        match self.sparse {
            Some(sparse) => bytes.copy_from_slice(&sparse.rows(self.checkpoint, rows)?),
            None => tensor.read((rows.start * cols * size) as u64, bytes)?,
        }
        let values = values(bytes, dtype);
        values.widen_into(0..values.len(), out);
        Ok(())
    }

    fn read_quantized(&self, stored: &Stored, rows: Range<usize>, mut out: &mut [f32]) -> Result<()> {
        let (checkpoint, Shape { rows: high, cols, .. }) = (self.checkpoint, stored.shape());
        let whole = stored.whole(checkpoint, self.smoothed)?;
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

/// The shape of any tensor as a stack of matrices: the last two axes are rows and columns, and a
/// vector is one row.
fn shape_of(shape: &[usize]) -> Shape {
    match *shape {
        [] => Shape::matrix(1, 1),
        [cols] => Shape::matrix(1, cols),
        [ref above @ .., rows, cols] => Shape { matrices: above.iter().product(), rows, cols },
    }
}
