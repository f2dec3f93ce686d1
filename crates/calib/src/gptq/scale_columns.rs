//! The representable weights of some rows: codes of the element under the scales of their blocks.
//!
//! ```text
//! nearest(t) = (v - z) s,   v = the element value nearest to t / s + z        one f32 operation each, as decoding computes it
//! ```
//!
//! Scales of one block of columns are contiguous, one for each row. A block whose effective scale
//! is 0 decodes to zeros.

use core::ops::Range;

use lowbit_blocks::{Element, QTensor, ScaleKind, TensorScale};
use lowbit_kernels::{Blocks, Kernels};

use super::lazy_updates::LANES;

/// Scales and zero points of one block of columns, one for each row.
#[derive(Clone, Default)]
pub(super) struct ScaleColumn {
    /// Effective scales.
    pub(super) scales: Vec<f32>,
    /// Divisors of quotients: infinity in place of a scale of 0.
    divisors: Vec<f32>,
    /// Zero points or biases; empty if the format has none.
    pub(super) zeros: Vec<f32>,
    /// Whether `zeros` are biases, added after the scale, instead of zero points.
    added: bool,
    /// Stored scales: one byte in the first place, or all four. Zeros if super-blocks store them.
    pub(super) stored: Vec<[u8; 4]>,
}

/// Scales and zero points of some rows of one matrix.
#[derive(Clone)]
pub(super) struct ScaleColumns {
    pub(super) rounder: Rounder,
    /// The number of rows, padded.
    pub(super) rows: usize,
    /// Columns that share a scale in every row.
    pub(super) width: usize,
    pub(super) columns: Vec<ScaleColumn>,
}

/// Rounds to the element, with a buffer for codes.
#[derive(Clone)]
pub(super) struct Rounder {
    element: Element,
    kernels: Kernels,
    codes: Vec<u8>,
}

/// Effective scales and zero points of a whole tensor, one for each block.
pub(super) struct EffectiveScales {
    added: bool,
    stored: Vec<[u8; 4]>,
    scales: Vec<f32>,
    zeros: Vec<f32>,
}

impl EffectiveScales {
    pub(super) fn of(tensor: &QTensor<'_>) -> Self {
        let (levels, scales) = (tensor.format().scale, tensor.effective_scales(0));
        let mut stored = vec![[0; 4]; scales.len()];
        if levels.outer.count().is_none() {
            for (to, from) in stored.iter_mut().zip(tensor.scales().chunks_exact(levels.kind.bytes())) {
                to[..from.len()].copy_from_slice(from);
            }
        }
        Self { added: tensor.format().zero.is_added(), stored, scales, zeros: tensor.block_zeros(0) }
    }
}

impl ScaleColumn {
    /// Scales of 1 for `rows` rows.
    fn ones(rows: usize, zeros: bool, added: bool) -> Self {
        let zeros = vec![0.0; if zeros { rows } else { 0 }];
        Self { scales: vec![1.0; rows], divisors: vec![1.0; rows], zeros, added, stored: vec![[0; 4]; rows] }
    }

    /// Replaces the scale of one row.
    pub(super) fn set(&mut self, row: usize, stored: [u8; 4], scale: f32) {
        self.stored[row] = stored;
        self.scales[row] = scale;
        self.divisors[row] = if scale == 0.0 { f32::INFINITY } else { scale };
    }

    /// Replaces all scales by stored ones.
    pub(super) fn store(
        &mut self,
        kind: ScaleKind,
        tensor_scale: &TensorScale,
        stored: impl Iterator<Item = [u8; 4]>,
    ) {
        let mut bytes = Vec::with_capacity(kind.bytes() * self.stored.len());
        for (own, stored) in self.stored.iter_mut().zip(stored) {
            *own = stored;
            bytes.extend_from_slice(&stored[..kind.bytes()]);
        }
        kind.decode_into(&bytes, &mut self.scales);
        tensor_scale.apply(0, &mut self.scales);
        for (divisor, &scale) in self.divisors.iter_mut().zip(&self.scales) {
            *divisor = if scale == 0.0 { f32::INFINITY } else { scale };
        }
    }

    /// Decodes element values.
    pub(super) fn decode(&self, values: &[f32], decoded: &mut [f32]) {
        if self.zeros.is_empty() {
            let pairs = values.iter().zip(&self.scales);
            return decoded.iter_mut().zip(pairs).for_each(|(out, (value, scale))| *out = value * scale);
        }
        let triples = decoded.iter_mut().zip(values.iter().zip(&self.zeros).zip(&self.scales));
        if self.added {
            triples.for_each(|(out, ((value, zero), scale))| *out = value * scale + zero);
        } else {
            triples.for_each(|(out, ((value, zero), scale))| *out = (value - zero) * scale);
        }
    }
}

impl Rounder {
    /// Rounds one number in each row to the nearest element value, and decodes it.
    pub(super) fn nearest(
        &mut self,
        column: &ScaleColumn,
        targets: &[f32],
        values: &mut [f32],
        decoded: &mut [f32],
    ) {
        if column.added {
            let triples = values.iter_mut().zip(targets).zip(column.zeros.iter().zip(&column.divisors));
            triples.for_each(|((value, target), (zero, divisor))| *value = (target - zero) / divisor);
        } else {
            let pairs = values.iter_mut().zip(targets).zip(&column.divisors);
            pairs.for_each(|((value, target), divisor)| *value = target / divisor);
        }
        if !column.added && !column.zeros.is_empty() {
            values.iter_mut().zip(&column.zeros).for_each(|(value, zero)| *value += zero);
        }
        self.codes.resize(self.element.packed_len(values.len()), 0);
        self.kernels.encode(self.element, values, Blocks::whole(&1.0), &mut self.codes);
        self.kernels.decode(self.element, &self.codes, Blocks::whole(&1.0), values);
        column.decode(values, decoded);
    }
}

impl ScaleColumns {
    /// The scales of `count` rows from row `first` of a quantized matrix, padded with rows of scale
    /// 1.
    pub(super) fn new(tensor: &QTensor<'_>, of: &EffectiveScales, first: usize, count: usize) -> Self {
        let grid = tensor.grid();
        let (rows, width) = (count.next_multiple_of(LANES), grid.shared_columns());
        let blocks = grid.shape().cols.div_ceil(width);
        let column = |block| {
            let mut column = ScaleColumn::ones(rows, !of.zeros.is_empty(), of.added);
            for row in 0..count {
                let from = grid.block(0, first + row, block * width);
                column.set(row, of.stored[from], of.scales[from]);
                if !of.zeros.is_empty() {
                    column.zeros[row] = of.zeros[from];
                }
            }
            column
        };
        let rounder = Rounder { element: grid.format().element, kernels: Kernels::best(), codes: Vec::new() };
        Self { rounder, rows, width, columns: (0..blocks).map(column).collect() }
    }

    /// Rounds one number in each row of a column.
    pub(super) fn nearest(&mut self, col: usize, targets: &[f32], values: &mut [f32], decoded: &mut [f32]) {
        self.rounder.nearest(&self.columns[col / self.width], targets, values, decoded);
    }

    /// The stored bytes of scales and zero points of some rows.
    pub(super) fn stored(&self, rows: Range<usize>, kind: ScaleKind) -> (Vec<u8>, Vec<u8>) {
        let (mut scales, mut zeros) = (Vec::new(), Vec::new());
        for row in rows {
            for column in &self.columns {
                scales.extend_from_slice(&column.stored[row][..kind.bytes()]);
                zeros.extend(column.zeros.get(row).map(|zero| *zero as u8));
            }
        }
        (scales, zeros)
    }
}
