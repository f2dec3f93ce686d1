//! Rows of stored weights times columns of f32: in registers where a level has a loop for that; otherwise a tile is decoded, and meets all columns
//! while it is in the first cache.

use super::Rows;
use super::later::Later;
use super::registers::{self, RowLanes};
use super::tile::{TILE, Tile};
use crate::lanes::{CHUNK, LANES};
use crate::level::Level;

/// Columns whose lanes are kept.
const COLUMNS: usize = 16;

/// Columns that share what is decoded where there are that many.
const TOGETHER: usize = 4;

pub(super) fn dot(level: Level, rows: Rows<'_>, x: &[f32], out: &mut [f32]) {
    if !registers::takes(level, &rows) {
        return tiles(level, rows, x, out);
    }
    let columns = out.len() / rows.count;
    let mut column = 0;
    while level.takes_columns() && columns - column >= TOGETHER - 1 {
        dot_rows::<TOGETHER>(level, rows, x, column, columns, out);
        column = (column + TOGETHER).min(columns);
    }
    for column in column..columns {
        dot_rows::<1>(level, rows, x, column, columns, out);
    }
}

/// Rows of 4 or 8 bits times `C` columns from `column` on, the last of which is repeated if there are fewer.
fn dot_rows<const C: usize>(
    level: Level,
    rows: Rows<'_>,
    x: &[f32],
    column: usize,
    columns: usize,
    out: &mut [f32],
) {
    let len = rows.len;
    let x: [&[f32]; C] = core::array::from_fn(|c| &x[(column + c).min(columns - 1) * len..][..len]);
    let mut lanes: RowLanes<C> = [[[0.0; 2 * LANES]; LANES]; C];
    let mut tile = Tile::new();
    let whole = len / CHUNK * CHUNK;
    for first_row in (0..rows.count).step_by(LANES) {
        let count = LANES.min(rows.count - first_row);
        level.add_rows(rows, first_row..first_row + count, &x, &mut lanes);
        if whole < len {
            for row in 0..count {
                let (codes, blocks) = rows.row(first_row + row);
                let codes = &codes[rows.element.packed_len(whole)..];
                let weights = tile.decode(level, rows.element, codes, blocks, whole, len - whole);
                for (x, lanes) in x.iter().zip(&mut lanes) {
                    level.add_products(weights, x, len, whole, len - whole, &mut lanes[row..=row]);
                }
            }
        }
        for (c, lanes) in lanes.iter().enumerate().take(columns - column) {
            for (row, result) in level.fold_rows(lanes).into_iter().enumerate().take(count) {
                out[(first_row + row) * columns + column + c] = result;
            }
        }
    }
}

fn tiles(level: Level, rows: Rows<'_>, x: &[f32], out: &mut [f32]) {
    let columns = out.len() / rows.count;
    let mut tile = Tile::new();
    for (row, ((codes, blocks), out)) in rows.iter().zip(out.chunks_mut(columns)).enumerate() {
        for (out, x) in out.chunks_mut(COLUMNS).zip(x.chunks(COLUMNS * rows.len)) {
            let mut lanes = [[0.0; 32]; COLUMNS];
            for at in (0..rows.len).step_by(TILE) {
                let len = TILE.min(rows.len - at);
                let (start, bytes) = (rows.element.packed_len(at), rows.element.packed_len(len));
                let later = Later::of_row(rows, row, rows.strides(), start, 0).after(0);
                level.prefetch(&later[..bytes.min(later.len())]);
                let weights = tile.decode(level, rows.element, &codes[start..], blocks, at, len);
                level.add_products(weights, x, rows.len, at, len, &mut lanes[..out.len()]);
            }
            for (out, lanes) in out.iter_mut().zip(lanes) {
                *out = fold(lanes);
            }
        }
    }
}

/// The same for rows that are f32.
pub(super) fn dot_f32(level: Level, rows: &[f32], x: &[f32], len: usize, out: &mut [f32]) {
    let columns = x.len() / len;
    let mut tile = Tile::new();
    for (row, out) in rows.chunks(len).zip(out.chunks_mut(columns)) {
        for (out, x) in out.chunks_mut(COLUMNS).zip(x.chunks(COLUMNS * len)) {
            let mut lanes = [[0.0; 32]; COLUMNS];
            let (chunks, rest) = row.as_chunks();
            let whole = row.len() - rest.len();
            level.add_products(chunks, x, len, 0, whole, &mut lanes[..out.len()]);
            if !rest.is_empty() {
                let last = tile.copy(rest);
                level.add_products(last, x, len, whole, rest.len(), &mut lanes[..out.len()]);
            }
            for (out, lanes) in out.iter_mut().zip(lanes) {
                *out = fold(lanes);
            }
        }
    }
}

/// Lanes `l` and `l + 16`, then neighbours until one is left.
fn fold(lanes: [f32; 2 * LANES]) -> f32 {
    fold_neighbours(core::array::from_fn(|l| lanes[l] + lanes[l + LANES]))
}

/// Neighbours until one is left.
pub(super) fn fold_neighbours(mut lanes: [f32; LANES]) -> f32 {
    for left in [8, 4, 2, 1] {
        for i in 0..left {
            lanes[i] = lanes[2 * i] + lanes[2 * i + 1];
        }
    }
    lanes[0]
}
