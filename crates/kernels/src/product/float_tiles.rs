//! Products with f32 by way of a tile: it is decoded once, and multiplied with all columns while it is in the first cache. Rows that are f32 are their own tile.

use super::columns::{COLUMNS, fold_row};
use super::lanes::SumLanes;
use super::prefetch::{Ahead, prefetch};
use super::rows::Rows;
use super::tile::{TILE, Tile};
use crate::lanes::{CHUNK, LANES};
use crate::level::{Level, on};

/// Columns whose lanes are kept.
const KEPT: usize = 16;

/// Rows times columns.
pub(super) fn dot(level: Level, rows: Rows<'_>, x: &[f32], out: &mut [f32]) {
    let columns = out.len() / rows.count;
    let mut tile = Tile::new();
    for (row, ((codes, blocks), out)) in rows.iter().zip(out.chunks_mut(columns)).enumerate() {
        for (out, x) in out.chunks_mut(KEPT).zip(x.chunks(KEPT * rows.len)) {
            let mut lanes = [[0.0; 32]; KEPT];
            for at in (0..rows.len).step_by(TILE) {
                let len = TILE.min(rows.len - at);
                let (start, bytes) = (rows.element.packed_len(at), rows.element.packed_len(len));
                let ahead = Ahead::of_row(rows, row, rows.strides(), start).after(0);
                prefetch(level, &ahead[..bytes.min(ahead.len())]);
                let weights = tile.decode(level, rows.element, &codes[start..], blocks, at, len);
                add_products(level, weights, x, rows.len, at, len, &mut lanes[..out.len()]);
            }
            for (out, lanes) in out.iter_mut().zip(lanes) {
                *out = fold_row_pair(lanes);
            }
        }
    }
}

/// The same for rows that are f32.
pub(super) fn dot_f32(level: Level, rows: &[f32], x: &[f32], len: usize, out: &mut [f32]) {
    let columns = x.len() / len;
    let mut tile = Tile::new();
    for (row, out) in rows.chunks(len).zip(out.chunks_mut(columns)) {
        for (out, x) in out.chunks_mut(KEPT).zip(x.chunks(KEPT * len)) {
            let mut lanes = [[0.0; 32]; KEPT];
            let (chunks, tail) = row.as_chunks();
            let whole = row.len() - tail.len();
            add_products(level, chunks, x, len, 0, whole, &mut lanes[..out.len()]);
            if !tail.is_empty() {
                let last = tile.copy(tail);
                add_products(level, last, x, len, whole, tail.len(), &mut lanes[..out.len()]);
            }
            for (out, lanes) in out.iter_mut().zip(lanes) {
                *out = fold_row_pair(lanes);
            }
        }
    }
}

/// Lanes `l` and `l + 16`, then neighbours until one is left.
pub(super) fn fold_row_pair(lanes: [f32; 2 * LANES]) -> f32 {
    fold_row(core::array::from_fn(|l| lanes[l] + lanes[l + LANES]))
}

/// `lane[j mod 32] += w_j * x_j` for `len` values of each column from `at` on; columns are `stride` apart. Weights are padded with zeros.
pub(super) fn add_products(
    level: Level,
    weights: &[[f32; CHUNK]],
    x: &[f32],
    stride: usize,
    at: usize,
    len: usize,
    lanes: &mut [[f32; 2 * LANES]],
) {
    on!(level, l => add_columns(l, weights, &x[at..], stride, len, lanes));
}

#[inline(always)]
fn add_columns<L: SumLanes>(
    l: L,
    weights: &[[f32; CHUNK]],
    x: &[f32],
    stride: usize,
    len: usize,
    lanes: &mut [[f32; 2 * LANES]],
) {
    let mut column = 0;
    if L::UNROLLED {
        while column + COLUMNS <= lanes.len() {
            let lanes: &mut [_; COLUMNS] = lanes[column..].first_chunk_mut().unwrap();
            add_some(l, weights, &x[column * stride..], stride, len, lanes);
            column += COLUMNS;
        }
    }
    for column in column..lanes.len() {
        let lanes: &mut [_; 1] = lanes[column..].first_chunk_mut().unwrap();
        add_some(l, weights, &x[column * stride..], stride, len, lanes);
    }
}

#[inline(always)]
fn add_some<L: SumLanes, const C: usize>(
    l: L,
    weights: &[[f32; CHUNK]],
    x: &[f32],
    stride: usize,
    len: usize,
    lanes: &mut [[f32; 2 * LANES]; C],
) {
    let weights = weights.as_flattened().as_chunks::<LANES>().0.as_chunks::<2>().0;
    let mut sums = [[l.splat(0.0); 2]; C];
    let mut whole = [&[][..]; C];
    let mut tail = [[[0.0; LANES]; 2]; C];
    for c in 0..C {
        let [a, b] = lanes[c].as_chunks().0 else { unreachable!() };
        sums[c] = [l.load(a), l.load(b)];
        let x = &x[c * stride..][..len];
        let (pairs, last) = x.as_chunks::<{ 2 * LANES }>();
        whole[c] = &x.as_chunks::<LANES>().0.as_chunks::<2>().0[..pairs.len()];
        tail[c].as_flattened_mut()[..last.len()].copy_from_slice(last);
    }
    let pairs = len / (2 * LANES);
    for (i, [a, b]) in weights[..pairs].iter().enumerate() {
        let (a, b) = (l.load(a), l.load(b));
        for c in 0..C {
            let [x_a, x_b] = &whole[c][i];
            sums[c] = [sums[c][0] + a * l.load(x_a), sums[c][1] + b * l.load(x_b)];
        }
    }
    if let Some([a, b]) = weights.get(pairs).filter(|_| !len.is_multiple_of(2 * LANES)) {
        let (a, b) = (l.load(a), l.load(b));
        for c in 0..C {
            let [x_a, x_b] = &tail[c];
            sums[c] = [sums[c][0] + a * l.load(x_a), sums[c][1] + b * l.load(x_b)];
        }
    }
    for c in 0..C {
        let [a, b] = lanes[c].as_chunks_mut().0 else { unreachable!() };
        l.store(sums[c][0], a);
        l.store(sums[c][1], b);
    }
}
