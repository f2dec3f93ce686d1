//! The kernels of f32 products: lanes of 32, whatever they are lanes of.

use super::lanes::SumLanes;
use crate::lanes::{CHUNK, LANES};

/// Columns that meet a vector of weights together.
const TOGETHER: usize = 4;

/// `lane[j mod 32] += w_j * x_j` for `len` values of each column from `at` on; columns are `stride` apart. Weights are padded with zeros.
#[inline(always)]
pub(super) fn add_products<L: SumLanes>(
    l: L,
    weights: &[[f32; CHUNK]],
    x: &[f32],
    stride: usize,
    at: usize,
    len: usize,
    lanes: &mut [[f32; 2 * LANES]],
) {
    let mut column = 0;
    if L::UNROLLED {
        while column + TOGETHER <= lanes.len() {
            let lanes: &mut [_; TOGETHER] = lanes[column..].first_chunk_mut().unwrap();
            columns(l, weights, &x[column * stride + at..], stride, len, lanes);
            column += TOGETHER;
        }
    }
    for column in column..lanes.len() {
        let lanes: &mut [_; 1] = lanes[column..].first_chunk_mut().unwrap();
        columns(l, weights, &x[column * stride + at..], stride, len, lanes);
    }
}

#[inline(always)]
fn columns<L: SumLanes, const C: usize>(
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
    let mut rest = [[[0.0; LANES]; 2]; C];
    for c in 0..C {
        let [a, b] = lanes[c].as_chunks().0 else { unreachable!() };
        sums[c] = [l.load(a), l.load(b)];
        let x = &x[c * stride..][..len];
        let (pairs, last) = x.as_chunks::<{ 2 * LANES }>();
        whole[c] = &x.as_chunks::<LANES>().0.as_chunks::<2>().0[..pairs.len()];
        rest[c].as_flattened_mut()[..last.len()].copy_from_slice(last);
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
            let [x_a, x_b] = &rest[c];
            sums[c] = [sums[c][0] + a * l.load(x_a), sums[c][1] + b * l.load(x_b)];
        }
    }
    for c in 0..C {
        let [a, b] = lanes[c].as_chunks_mut().0 else { unreachable!() };
        l.store(sums[c][0], a);
        l.store(sums[c][1], b);
    }
}

/// Adds the products of a tile to the 32 lanes of each of its blocks: `block` values each, of which the first has had `had` before.
#[inline(always)]
pub(super) fn add_to_blocks<L: SumLanes>(
    l: L,
    weights: &[[f32; CHUNK]],
    x: &[[f32; CHUNK]],
    block: usize,
    had: usize,
    lanes: &mut [[f32; 2 * LANES]],
) {
    let (weights, x) = (weights.as_flattened(), x.as_flattened());
    let weights = weights.as_chunks::<LANES>().0;
    let x = &x.as_chunks::<LANES>().0[..weights.len()];
    let (mut vector, mut end) = (0, (block - had) / LANES);
    for lanes in lanes {
        let [low, high] = lanes.as_chunks_mut().0 else { unreachable!() };
        let (mut a, mut b) = (l.load(low), l.load(high));
        let end_here = end.min(weights.len());
        while vector < end_here {
            a = a + l.load(&weights[vector]) * l.load(&x[vector]);
            vector += 1;
            if vector < end_here {
                b = b + l.load(&weights[vector]) * l.load(&x[vector]);
                vector += 1;
            }
        }
        l.store(a, low);
        l.store(b, high);
        end = end.saturating_add(block / LANES);
    }
}

/// The lanes of sixteen blocks to their sums, times both scales, added to sixteen lanes.
#[inline(always)]
pub(super) fn add_block_terms<L: SumLanes>(
    l: L,
    blocks: &[[f32; 2 * LANES]; LANES],
    scales: &[f32; LANES],
    x_scales: &[f32; LANES],
    lanes: &mut [f32; LANES],
) {
    let mut sums = [l.splat(0.0); LANES];
    for (sum, block) in sums.iter_mut().zip(blocks) {
        let [a, b] = block.as_chunks().0 else { unreachable!() };
        *sum = l.load(a) + l.load(b);
    }
    let terms = (l.add_neighbours(sums) * l.load(scales)) * l.load(x_scales);
    l.store(l.load(lanes) + terms, lanes);
}

/// Adds the terms of sixteen blocks of 32 values: one product in each of the 32 lanes of a block.
#[inline(always)]
pub(super) fn add_short_blocks<L: SumLanes>(
    l: L,
    weights: &[[f32; CHUNK]; LANES / 2],
    x: &[[f32; CHUNK]; LANES / 2],
    scales: &[f32; LANES],
    x_scales: &[f32; LANES],
    lanes: &mut [f32; LANES],
) {
    let mut sums = [l.splat(0.0); LANES];
    let weights = weights.as_flattened().as_chunks::<LANES>().0.as_chunks::<2>().0;
    let x = x.as_flattened().as_chunks::<LANES>().0.as_chunks::<2>().0;
    for ((sum, [w_low, w_high]), [x_low, x_high]) in sums.iter_mut().zip(weights).zip(x) {
        // Lanes start at +0.0, adding which would make +0.0 of -0.0. The lanes of the row, which this is added to, make no difference of that.
        *sum = l.load(w_low) * l.load(x_low) + l.load(w_high) * l.load(x_high);
    }
    let terms = (l.add_neighbours(sums) * l.load(scales)) * l.load(x_scales);
    l.store(l.load(lanes) + terms, lanes);
}

/// Integers times their step.
#[inline(always)]
pub(super) fn widen_steps<L: SumLanes>(_: L, codes: &[[i8; CHUNK]], step: f32, out: &mut [[f32; CHUNK]]) {
    // The compiler vectorises this for the level.
    for (out, codes) in out.iter_mut().zip(codes) {
        for (out, code) in out.iter_mut().zip(codes) {
            *out = f32::from(*code) * step;
        }
    }
}
