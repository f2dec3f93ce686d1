//! What a quantized linear is in a file: a list of parts, each a tensor that holds codes, scales, zero points or a constant.
//!
//! The same list writes and reads. Writing, each tile of rows goes to [`Part::range`] of its part, arranged by its packing; reading takes the
//! same range and arranges it back.

use super::Packing;
use crate::safetensors::Dtype;
use lowbit_blocks::{Format, ScaleKind, Shape};
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
#[derive(Clone, Debug, PartialEq)]
pub enum Holds {
    /// Codes; `None` is the arrangement in memory.
    Codes(Option<Packing>),
    /// Block scales, as in memory.
    Scales,
    /// Zero points; `None` is the arrangement in memory.
    Zeros(Option<Packing>),
    /// Tensor scales: one f32 for each matrix.
    TensorScale,
    /// Always these bytes.
    Fixed(Vec<u8>),
}

impl Part {
    /// The tensor `OWNER.SUFFIX`, where the owner is the module or the weight.
    pub(super) fn new(owner: &str, suffix: &str, dtype: Dtype, shape: Vec<usize>, holds: Holds) -> Self {
        Self { name: format!("{owner}.{suffix}"), dtype, shape, holds }
    }

    /// Where some rows of one matrix lie in this part, in bytes; empty for parts that rows have no share in.
    ///
    /// `rows` starts at a multiple of [`quantum`] and ends at one or at the last row.
    pub fn range(&self, format: &Format, shape: Shape, matrix: usize, rows: Range<usize>) -> Range<usize> {
        let packed = |packing: &Packing, cols: usize| {
            let base = matrix * packing.packed_len(shape.rows, cols);
            base + packing.packed_len(rows.start, cols)..base + packing.packed_len(rows.end, cols)
        };
        match &self.holds {
            Holds::Codes(None) => format.codes_range(shape, matrix, rows),
            Holds::Codes(Some(packing)) => packed(packing, shape.cols),
            Holds::Scales => format.scales_range(shape, matrix, rows),
            Holds::Zeros(None) => format.zeros_range(shape, matrix, rows),
            Holds::Zeros(Some(packing)) => packed(packing, format.scale_grid(shape).1),
            Holds::TensorScale | Holds::Fixed(_) => 0..0,
        }
    }

    /// How the part is packed, if not as in memory.
    pub const fn packing(&self) -> Option<Packing> {
        match self.holds {
            Holds::Codes(packing) | Holds::Zeros(packing) => packing,
            _ => None,
        }
    }

    /// Length in bytes; `u64::MAX` where it does not fit.
    pub fn len(&self) -> u64 {
        let bits =
            self.shape.iter().try_fold(self.dtype.bitsize() as u128, |bits, &n| bits.checked_mul(n as u128));
        bits.and_then(|bits| u64::try_from(bits / 8).ok()).unwrap_or(u64::MAX)
    }

    /// Whether the part has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Rows that go together in all parts of a linear, and in its format.
pub fn quantum(format: &Format, shape: Shape, parts: &[Part]) -> usize {
    let packings = parts.iter().filter_map(Part::packing).map(Packing::quantum);
    packings.fold(format.row_quantum(shape.cols), lcm)
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

/// The file's dtype for block scales.
pub(super) const fn scale_dtype(scale: ScaleKind) -> Dtype {
    match scale {
        ScaleKind::F32 => Dtype::F32,
        ScaleKind::F16 => Dtype::F16,
        ScaleKind::Bf16 => Dtype::BF16,
        ScaleKind::E4m3 => Dtype::F8_E4M3,
        ScaleKind::E8m0 => Dtype::F8_E8M0,
    }
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
