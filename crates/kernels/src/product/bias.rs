//! Products of biases, which weights have beside their code times their scale.
//!
//! ```text
//! w_j = code_j * scale + bias      sum(w_j * x_j) = (what the codes give) + sum over blocks of bias * t,   t = sum(x_j) of the block
//! ```
//!
//! Sums of activations are made once for each column, and are few: what is added is a product of f32 rows, a block a value.

use super::float_tiles::{dot_f32, fold_row_pair};
use super::prepared::{Prepared, Values};
use super::tile::TILE;
use crate::lanes::LANES;
use crate::level::Level;

/// Biases of a row, at most. No format has more in rows that fit memory; the reference takes care of them.
pub(super) const LONGEST_ROW: usize = TILE;
/// Rows whose results are added together.
const ROWS: usize = 64;

/// Adds to rows times columns what the biases of blocks of `block` values add.
pub(super) fn add(level: Level, biases: &[f32], block: usize, x: Prepared<'_>, out: &mut [f32]) {
    let blocks = x.len.div_ceil(block);
    let columns = out.len() / (biases.len() / blocks);
    let (mut sums, mut added) = ([0.0; LONGEST_ROW], [0.0; ROWS]);
    for column in 0..columns {
        let x = x.column(column);
        for (k, sum) in sums[..blocks].iter_mut().enumerate() {
            *sum = block_sum(x, k * block, x.len.min((k + 1).saturating_mul(block)));
        }
        for (biases, out) in biases.chunks(ROWS * blocks).zip(out.chunks_mut(ROWS * columns)) {
            let added = &mut added[..biases.len() / blocks];
            dot_f32(level, biases, &sums[..blocks], blocks, added);
            for (out, added) in out.iter_mut().skip(column).step_by(columns).zip(added) {
                *out += *added;
            }
        }
    }
}

/// The sum of the values `start..end` of a column: that of each block of activations, times its scale, from +0.0 and in ascending order.
fn block_sum(x: Prepared<'_>, start: usize, end: usize) -> f32 {
    let mut sum = 0.0;
    let mut at = start;
    while at < end {
        let block = at / x.block;
        let end = end.min((block + 1).saturating_mul(x.block));
        let values = match x.values {
            Values::Int { codes, step, .. } => {
                codes[at..end].iter().map(|&x| i64::from(x)).sum::<i64>() as f32 * step
            }
            Values::Float(x) => sum_of_floats(&x[at..end]),
        };
        sum += values * x.scales[block];
        at = end;
    }
    sum
}

/// In 32 lanes, which are folded.
fn sum_of_floats(x: &[f32]) -> f32 {
    let mut lanes = [0.0; 2 * LANES];
    for x in x.chunks(2 * LANES) {
        lanes.iter_mut().zip(x).for_each(|(lane, x)| *lane += x);
    }
    fold_row_pair(lanes)
}
