//! The state of the rows that are being solved: given weights, current values and errors.
//!
//! ```text
//! weights    w         the given weights
//! values     v         element values: decoded codes, without scale
//! decoded    q         (v - z) s
//! errors     w - q
//! ```
//!
//! All are column-major, with rows padded with zeros. Every number is one that decoding the result
//! gives, or a difference of two.

use super::lazy_updates::LANES;
use super::scale_columns::ScaleColumns;

/// Some rows of a matrix.
pub(super) struct Rows {
    pub(super) count: usize,
    pub(super) cols: usize,
    pub(super) scales: ScaleColumns,
    pub(super) weights: Vec<f32>,
    pub(super) values: Vec<f32>,
    pub(super) decoded: Vec<f32>,
}

impl Rows {
    /// The number of rows, padded.
    pub(super) const fn padded(&self) -> usize {
        self.scales.rows
    }

    /// Rounds rows to nearest. `weight` and `values` are whole rows of the matrix.
    pub(super) fn new(scales: ScaleColumns, cols: usize, weight: &[f32]) -> Self {
        let count = weight.len() / cols.max(1);
        let weights = columns(weight, cols, scales.rows);
        let (values, decoded) = (vec![0.0; weights.len()], vec![0.0; weights.len()]);
        let mut rows = Self { count, cols, scales, weights, values, decoded };
        for col in 0..cols {
            let at = rows.column(col);
            let Self { scales, weights, values, decoded, .. } = &mut rows;
            scales.nearest(col, &weights[at.clone()], &mut values[at.clone()], &mut decoded[at]);
        }
        rows
    }

    /// The range of a column.
    pub(super) const fn column(&self, col: usize) -> core::ops::Range<usize> {
        col * self.scales.rows..(col + 1) * self.scales.rows
    }

    /// The errors w - q of all columns, in the order `perm`.
    pub(super) fn errors(&self, perm: impl Iterator<Item = usize>) -> Vec<f32> {
        let mut errors = Vec::with_capacity(self.weights.len());
        for col in perm {
            let at = self.column(col);
            errors.extend(self.weights[at.clone()].iter().zip(&self.decoded[at]).map(|(w, q)| w - q));
        }
        errors
    }

    /// Restores a row from other values and scales.
    pub(super) fn take_row(&mut self, row: usize, from: &Rounded) {
        for at in (row..self.values.len()).step_by(self.scales.rows) {
            self.values[at] = from.values[at];
            self.decoded[at] = from.decoded[at];
        }
        for (own, from) in self.scales.columns.iter_mut().zip(&from.scales.columns) {
            own.set(row, from.stored[row], from.scales[row]);
            own.zeros.iter_mut().zip(&from.zeros).skip(row).take(1).for_each(|(own, from)| *own = *from);
        }
    }

    /// A copy of the current codes and scales.
    pub(super) fn rounded(&self) -> Rounded {
        Rounded { scales: self.scales.clone(), values: self.values.clone(), decoded: self.decoded.clone() }
    }

    /// Sets weights of inputs that are always zero to zero, as the published algorithm does.
    pub(super) fn clear_dead(&mut self, curvature: &[f32]) {
        for col in (0..self.cols).filter(|&col| curvature[col * self.cols + col] <= 0.0) {
            let at = self.column(col);
            self.weights[at].fill(0.0);
        }
    }

    /// Writes the element values row by row.
    pub(super) fn values_by_row(&self, out: &mut [f32]) {
        let rows = self.padded();
        for (row, out) in out.chunks_exact_mut(self.cols).enumerate() {
            out.iter_mut().enumerate().for_each(|(col, out)| *out = self.values[col * rows + row]);
        }
    }
}

/// Saved values and scales of rows.
pub(super) struct Rounded {
    scales: ScaleColumns,
    values: Vec<f32>,
    decoded: Vec<f32>,
}

/// Transposes rows of `cols` numbers into columns of `rows`, padded with zeros.
fn columns(weight: &[f32], cols: usize, rows: usize) -> Vec<f32> {
    debug_assert!(rows.is_multiple_of(LANES));
    let mut out = vec![0.0; cols * rows];
    for (row, weight) in weight.chunks_exact(cols.max(1)).enumerate() {
        weight.iter().enumerate().for_each(|(col, w)| out[col * rows + row] = *w);
    }
    out
}
