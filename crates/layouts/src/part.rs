//! The parts of a quantized linear in a file. Each part is a tensor that holds codes, scales, zero
//! points or constants.
//!
//! The same list is used to write and to read. A writer packs each row tile into the
//! [`Part::range`] of each part. A reader reads the same range and unpacks it.

use super::Packing;
use crate::Tensor;
use lowbit_arch::Orientation;
use lowbit_blocks::{Format, QLinear, ScaleKind, Shape};
use lowbit_container::safetensors::Dtype;
use std::ops::Range;

/// A linear, as its unquantized weight describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// Name of the module: the weight's without `.weight`.
    pub module: String,
    /// Name of the unquantized weight in a checkpoint.
    pub weight: String,
    /// Matrices, rows (out), columns (in).
    pub shape: Shape,
    /// Dtype of the unquantized weight.
    pub dtype: lowbit_blocks::Dtype,
    /// Orientation of each matrix in an unquantized checkpoint. In memory it is always `[out, in]`.
    pub orientation: Orientation,
    /// Whether the unquantized checkpoint stores it as a 3-D tensor, even if that has one matrix.
    pub stacked: bool,
    /// Whether the columns are in another order than the input, so that the file has to store the
    /// order.
    pub permuted: bool,
}

impl Default for Linear {
    /// An empty linear, for `..Linear::default()`.
    fn default() -> Self {
        Self {
            module: String::new(),
            weight: String::new(),
            shape: Shape::matrix(0, 0),
            dtype: lowbit_blocks::Dtype::Bf16,
            orientation: Orientation::OutIn,
            stacked: false,
            permuted: false,
        }
    }
}

impl Linear {
    /// Whether the unquantized weight is a 3-D tensor: it is stored so, or has several matrices.
    ///
    /// ```
    /// use lowbit_blocks::Shape;
    /// use lowbit_layouts::Linear;
    /// let experts = Shape { matrices: 3, rows: 48, cols: 64 };
    /// assert!(Linear { shape: experts, ..Linear::default() }.is_stack());
    /// assert!(!Linear { shape: Shape::matrix(48, 64), ..Linear::default() }.is_stack());
    /// ```
    #[must_use]
    pub const fn is_stack(&self) -> bool {
        self.stacked || self.shape.matrices > 1
    }

    /// Rows and columns, for a layout that stores one matrix at a time. An error if there is a
    /// stack.
    pub(super) fn matrix(&self, layout: &str) -> Result<(usize, usize), String> {
        match self.shape {
            Shape { matrices: 1, rows, cols } => Ok((rows, cols)),
            Shape { matrices, .. } => Err(format!("{layout} stores matrices, not a stack of {matrices}")),
        }
    }
}

/// One tensor of a quantized linear.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The tensor's full name.
    pub name: String,
    /// Its dtype in the file.
    pub dtype: Dtype,
    /// Its shape in the file.
    pub shape: Vec<usize>,
    /// Its contents.
    pub holds: Holds,
}

/// The contents of a part.
#[derive(Clone, Debug)]
pub enum Holds {
    /// Codes; `None` if they are arranged as in memory.
    Codes(Option<Packing>),
    /// Block scales; `None` if they are arranged as in memory.
    Scales(Option<Packing>),
    /// Zero points; `None` if they are arranged as in memory.
    Zeros(Option<Packing>),
    /// Tensor scales: one f32 for each matrix.
    TensorScale,
    /// The group of scales of each input column, as I32 (GPTQ's `g_idx`).
    Groups,
    /// A constant: always these bytes.
    Fixed(Vec<u8>),
    /// These bytes repeated: a zero point that is the same everywhere.
    Repeated(Vec<u8>),
    /// Computed from the whole linear, such as absmax values that are quantized themselves. The
    /// layout reads it with its own function ([`Stored::assemble`](super::Stored::assemble)).
    Made(Make),
}

/// Computes the bytes of a part from the whole linear, which is a single matrix. The result has the
/// part's length.
pub type Make = fn(&Linear, &QLinear<'_>, &Part) -> Vec<u8>;

impl PartialEq for Holds {
    /// Whether both hold the same. Computed parts are equal if they have the same function.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Codes(a), Self::Codes(b))
            | (Self::Scales(a), Self::Scales(b))
            | (Self::Zeros(a), Self::Zeros(b)) => a == b,
            (Self::TensorScale, Self::TensorScale) | (Self::Groups, Self::Groups) => true,
            (Self::Fixed(a), Self::Fixed(b)) | (Self::Repeated(a), Self::Repeated(b)) => a == b,
            (Self::Made(a), Self::Made(b)) => std::ptr::fn_addr_eq(*a, *b),
            _ => false,
        }
    }
}

impl Part {
    /// The tensor `OWNER.SUFFIX`, where the owner is the module or the weight.
    pub(super) fn new(owner: &str, suffix: &str, dtype: Dtype, shape: Vec<usize>, holds: Holds) -> Self {
        Self { name: format!("{owner}.{suffix}"), dtype, shape, holds }
    }

    /// A part that is read from this tensor and has `bytes` bytes. It has the tensor's shape if
    /// that has the same length, otherwise one dimension. For layouts whose tensor shapes determine
    /// the shape of the linear.
    pub(super) fn found(tensor: Tensor<'_>, bytes: usize, holds: Holds) -> Self {
        let entry = tensor.entry;
        let own = entry.len() == bytes as u64;
        let elements = || vec![bytes.saturating_mul(8) / entry.dtype.bitsize()];
        let shape = if own { entry.shape.clone() } else { elements() };
        Self { name: entry.name.clone(), dtype: entry.dtype, shape, holds }
    }

    /// The byte range of some rows of one matrix in this part. Empty for parts that do not depend
    /// on rows.
    ///
    /// `rows` starts at a multiple of [`quantum`] and ends at one or at the last row.
    pub fn range(&self, format: &Format, shape: Shape, matrix: usize, rows: Range<usize>) -> Range<usize> {
        let packed = |packing: &Packing, all: usize, rows: Range<usize>, cols: usize| {
            let base = matrix * packing.packed_len(all, cols);
            base + packing.packed_len(rows.start, cols)..base + packing.packed_len(rows.end, cols)
        };
        match &self.holds {
            Holds::Codes(None | Some(Packing::HighFirst)) => format.codes_range(shape, matrix, rows),
            Holds::Codes(Some(packing)) => packed(packing, shape.rows, rows, shape.cols),
            Holds::Scales(None) => format.scales_range(shape, matrix, rows),
            Holds::Zeros(None) => format.zeros_range(shape, matrix, rows),
            Holds::Scales(Some(packing)) | Holds::Zeros(Some(packing)) => {
                let (high, wide) = format.scale_grid(shape);
                packed(packing, high, grid_rows(format, rows), wide)
            }
            _ => 0..0,
        }
    }

    /// Packs a row tile for the file. `memory` is the tile as in memory; `file` has the length of
    /// the tile's [`range`](Self::range).
    ///
    /// # Panics
    /// If a length is not that of the tile.
    pub fn pack(&self, format: &Format, shape: Shape, rows: Range<usize>, memory: &[u8], file: &mut [u8]) {
        match self.packing() {
            None => file.copy_from_slice(memory),
            Some(packing) => {
                let (rows, cols) = self.extent(format, shape, rows, file.len());
                packing.pack(rows, cols, memory, file);
            }
        }
    }

    /// The offset of the first byte that is not a valid code, in bytes of the file. Only packings
    /// that store a code in more bits than it has can contain such bytes.
    pub fn stray(&self, file: &[u8]) -> Option<usize> {
        match self.holds {
            // In two's complement, all bits from the sign bit up are equal.
            Holds::Codes(Some(Packing::Wide { bits: bits @ 1..8, .. })) => {
                file.iter().position(|byte| !matches!(byte.cast_signed() >> (bits - 1), 0 | -1))
            }
            Holds::Codes(Some(Packing::OneByte { bits: bits @ 1..8 })) => {
                file.iter().position(|byte| byte >> bits != 0)
            }
            _ => None,
        }
    }

    /// An error of the tensor if there is an invalid code, as [`stray`](Self::stray). `file` starts
    /// at byte `start` of the tensor.
    pub fn refuse_stray(&self, tensor: Tensor<'_>, start: usize, file: &[u8]) -> crate::Result<()> {
        let Some(at) = self.stray(file) else { return Ok(()) };
        let Some(Packing::Wide { bits, .. } | Packing::OneByte { bits }) = self.packing() else {
            return Ok(());
        };
        Err(tensor.error(format!("byte {} is {:#04x}, no code of {bits} bits", start + at, file[at])).into())
    }

    /// The inverse of [`pack`](Self::pack).
    ///
    /// # Panics
    /// If a length is not that of the tile.
    pub fn unpack(&self, format: &Format, shape: Shape, rows: Range<usize>, file: &[u8], memory: &mut [u8]) {
        match self.packing() {
            None => memory.copy_from_slice(file),
            Some(packing) => {
                let (rows, cols) = self.extent(format, shape, rows, file.len());
                packing.unpack(rows, cols, file, memory);
            }
        }
    }

    /// Rows and columns of a tile in units of the packing. `bytes` is the tile's length in the
    /// file.
    fn extent(&self, format: &Format, shape: Shape, rows: Range<usize>, bytes: usize) -> (usize, usize) {
        match self.holds {
            // Rows of a flat format follow each other without padding: one row of bytes.
            Holds::Codes(Some(Packing::HighFirst)) => (1, 2 * bytes),
            Holds::Codes(_) => (rows.len(), shape.cols),
            _ => (grid_rows(format, rows).len(), format.scale_grid(shape).1),
        }
    }

    /// The packing of the part; `None` if it is arranged as in memory.
    pub const fn packing(&self) -> Option<Packing> {
        match self.holds {
            Holds::Codes(packing) | Holds::Scales(packing) | Holds::Zeros(packing) => packing,
            _ => None,
        }
    }

    /// Length in bytes; `u64::MAX` if shape and dtype have no valid length.
    pub fn len(&self) -> u64 {
        self.dtype.bytes(&self.shape).unwrap_or(u64::MAX)
    }

    /// Whether the part has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The smallest number of rows that tiles have to be a multiple of, for the format and all parts.
/// All rows of the linear if a part cannot be split.
pub fn quantum(format: &Format, shape: Shape, parts: &[Part]) -> usize {
    let whole = shape.rows.max(1);
    let of_part = |part: &Part| match (&part.holds, part.packing()) {
        (Holds::Made(_), _) => whole,
        (_, Some(packing)) => packing.quantum(),
        (_, None) => 1,
    };
    let own = format.row_quantum(shape.cols);
    parts.iter().map(of_part).fold(own, |all, one| together(all, one, whole))
}

/// The least common multiple of two numbers of rows; `whole` if either of them or the result is at
/// least that.
pub fn together(a: usize, b: usize, whole: usize) -> usize {
    if a.max(b) >= whole { whole } else { lcm(a, b).min(whole) }
}

/// The rows of the block grid that cover some rows of a matrix.
const fn grid_rows(format: &Format, rows: Range<usize>) -> Range<usize> {
    match format.block.tile() {
        Some((high, _)) => rows.start / high..rows.end.div_ceil(high),
        None if format.block.is_by_row() => rows,
        None => 0..1,
    }
}

fn lcm(a: usize, b: usize) -> usize {
    let gcd = |mut a: usize, mut b: usize| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    (a / gcd(a, b)).saturating_mul(b)
}

/// Kinds of scales that have a dtype in safetensors.
const SCALES: [(ScaleKind, Dtype); 5] = [
    (ScaleKind::F32, Dtype::F32),
    (ScaleKind::F16, Dtype::F16),
    (ScaleKind::Bf16, Dtype::BF16),
    (ScaleKind::E4m3, Dtype::F8_E4M3),
    (ScaleKind::E8m0, Dtype::F8_E8M0),
];

/// The dtype of block scales in a file; U8 for kinds without a dtype.
pub(super) fn scale_dtype(scale: ScaleKind) -> Dtype {
    SCALES.iter().find(|(kind, _)| *kind == scale).map_or(Dtype::U8, |(_, dtype)| *dtype)
}

/// The kind of block scale of a dtype. U8 is E8M0, as in compressed-tensors and ModelOpt.
pub(super) const fn scale_kind(dtype: Dtype) -> Option<ScaleKind> {
    match dtype {
        Dtype::F32 => Some(ScaleKind::F32),
        Dtype::F16 => Some(ScaleKind::F16),
        Dtype::BF16 => Some(ScaleKind::Bf16),
        Dtype::F8_E4M3 => Some(ScaleKind::E4m3),
        Dtype::F8_E8M0 | Dtype::U8 => Some(ScaleKind::E8m0),
        _ => None,
    }
}
