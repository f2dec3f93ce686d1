//! What a quantized linear is in a file: a list of parts, each a tensor that holds codes, scales, zero points or a constant.
//!
//! The same list writes and reads. Writing, each tile of rows goes to [`Part::range`] of its part, arranged by its packing; reading takes the
//! same range and arranges it back.

use super::Packing;
use crate::Tensor;
use lowbit_arch::Orientation;
use lowbit_blocks::{Block, Format, QLinear, ScaleKind, Shape};
use lowbit_container::safetensors::Dtype;
use std::ops::Range;

/// A linear layer as its unquantized weight describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// Name of the module: the weight's without `.weight`.
    pub module: String,
    /// Name that the unquantized weight has in a checkpoint.
    pub weight: String,
    /// Matrices, rows (out), columns (in).
    pub shape: Shape,
    /// Type of the unquantized weight.
    pub dtype: lowbit_blocks::Dtype,
    /// How each matrix lies in an unquantized checkpoint. In memory it is always `[out, in]`.
    pub orientation: Orientation,
    /// Whether its matrices are one 3-D tensor in an unquantized checkpoint, though it be of one matrix.
    pub stacked: bool,
    /// Whether its columns stand in another order than its input, so that a file has to say which.
    pub permuted: bool,
}

impl Default for Linear {
    /// No linear, for `..Linear::default()`: what a layout does not say is as it usually is.
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
    /// Rows and columns, for a layout that stores one matrix at a time.
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
    /// Its type in the file.
    pub dtype: Dtype,
    /// Its shape in the file.
    pub shape: Vec<usize>,
    /// What its bytes are.
    pub holds: Holds,
}

/// What the bytes of a part are.
#[derive(Clone, Debug)]
pub enum Holds {
    /// Codes; `None` is the arrangement in memory.
    Codes(Option<Packing>),
    /// Block scales; `None` is the arrangement in memory.
    Scales(Option<Packing>),
    /// Zero points; `None` is the arrangement in memory.
    Zeros(Option<Packing>),
    /// Tensor scales: one f32 for each matrix.
    TensorScale,
    /// I32 of each input column: the group of scales that it belongs to (GPTQ's `g_idx`).
    Groups,
    /// Always these bytes.
    Fixed(Vec<u8>),
    /// These bytes over and over: a zero point that is the same everywhere.
    Repeated(Vec<u8>),
    /// What is worked out from the whole linear, such as absmax that are quantized themselves. Reading it back is the layout's own business
    /// ([`Stored::assemble`](super::Stored::assemble)).
    Made(Make),
}

/// Works out the bytes of a part from the whole linear, which is a single matrix; the result has the part's length.
pub type Make = fn(&Linear, &QLinear<'_>, &Part) -> Vec<u8>;

impl PartialEq for Holds {
    /// Whether both hold the same; of what is worked out, whether it is worked out the same way.
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

    /// A part that is read out of this tensor and has so many bytes. Its shape is the tensor's, if that is as many: of layouts whose own shapes say what
    /// the linear's is.
    pub(super) fn found(tensor: Tensor<'_>, bytes: usize, holds: Holds) -> Self {
        let entry = tensor.entry;
        let own = entry.len() == bytes as u64;
        let elements = || vec![bytes.saturating_mul(8) / entry.dtype.bitsize()];
        let shape = if own { entry.shape.clone() } else { elements() };
        Self { name: entry.name.clone(), dtype: entry.dtype, shape, holds }
    }

    /// Where some rows of one matrix lie in this part, in bytes; empty for parts that rows have no share in.
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

    /// Arranges what a tile of rows has in memory for this part of the file; `file` is as long as the tile's [`range`](Self::range).
    ///
    /// # Panics
    /// If the lengths are not those of the tile.
    pub fn pack(&self, format: &Format, shape: Shape, rows: Range<usize>, memory: &[u8], file: &mut [u8]) {
        match self.packing() {
            None => file.copy_from_slice(memory),
            Some(packing) => {
                let (rows, cols) = self.extent(format, shape, rows, file.len());
                packing.pack(rows, cols, memory, file);
            }
        }
    }

    /// Where the first byte stands that is no code, in bytes of the file that belong to this part: packings that give codes more bits than they have
    /// can hold others.
    pub fn stray(&self, file: &[u8]) -> Option<usize> {
        match self.holds {
            // The sign and everything above it are the same.
            Holds::Codes(Some(Packing::Wide { bits: bits @ 1..8, .. })) => {
                file.iter().position(|byte| !matches!(byte.cast_signed() >> (bits - 1), 0 | -1))
            }
            Holds::Codes(Some(Packing::OneByte { bits: bits @ 1..8 })) => {
                file.iter().position(|byte| byte >> bits != 0)
            }
            _ => None,
        }
    }

    /// The same as an error of the tensor, of bytes that stand at `start` of it.
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
    /// If the lengths are not those of the tile.
    pub fn unpack(&self, format: &Format, shape: Shape, rows: Range<usize>, file: &[u8], memory: &mut [u8]) {
        match self.packing() {
            None => memory.copy_from_slice(file),
            Some(packing) => {
                let (rows, cols) = self.extent(format, shape, rows, file.len());
                packing.unpack(rows, cols, file, memory);
            }
        }
    }

    /// Rows and columns of a tile as the packing counts them. `bytes` is the tile's length in the file.
    fn extent(&self, format: &Format, shape: Shape, rows: Range<usize>, bytes: usize) -> (usize, usize) {
        match self.holds {
            // Rows of a flat format run on without a gap: one row of bytes.
            Holds::Codes(Some(Packing::HighFirst)) => (1, 2 * bytes),
            Holds::Codes(_) => (rows.len(), shape.cols),
            _ => (grid_rows(format, rows).len(), format.scale_grid(shape).1),
        }
    }

    /// How the part is packed, if not as in memory.
    pub const fn packing(&self) -> Option<Packing> {
        match self.holds {
            Holds::Codes(packing) | Holds::Scales(packing) | Holds::Zeros(packing) => packing,
            _ => None,
        }
    }

    /// Length in bytes; `u64::MAX` where there is no such tensor.
    pub fn len(&self) -> u64 {
        self.dtype.bytes(&self.shape).unwrap_or(u64::MAX)
    }

    /// Whether the part has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Rows that go together in all parts of a linear, and in its format; all of its rows where a part is not cut.
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

/// Rows that go together where `a` and `b` do; all of them, `whole`, where one of these is more.
pub fn together(a: usize, b: usize, whole: usize) -> usize {
    if a.max(b) >= whole { whole } else { lcm(a, b).min(whole) }
}

/// The rows of the grid of blocks that some rows of a matrix have.
const fn grid_rows(format: &Format, rows: Range<usize>) -> Range<usize> {
    match format.block {
        Block::Channel | Block::Group(_) => rows,
        Block::Tile { rows: high, .. } => rows.start / high..rows.end.div_ceil(high),
        Block::Tensor | Block::Flat(_) => 0..1,
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

/// Types of scales that safetensors has.
const SCALES: [(ScaleKind, Dtype); 5] = [
    (ScaleKind::F32, Dtype::F32),
    (ScaleKind::F16, Dtype::F16),
    (ScaleKind::Bf16, Dtype::BF16),
    (ScaleKind::E4m3, Dtype::F8_E4M3),
    (ScaleKind::E8m0, Dtype::F8_E8M0),
];

/// The file's dtype for block scales; bytes for those that have none.
pub(super) fn scale_dtype(scale: ScaleKind) -> Dtype {
    SCALES.iter().find(|(kind, _)| *kind == scale).map_or(Dtype::U8, |(_, dtype)| *dtype)
}

/// The block scale that a file's dtype is; U8 is E8M0, as compressed-tensors and ModelOpt store it.
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
