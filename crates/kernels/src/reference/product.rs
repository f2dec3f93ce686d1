//! Products, one value after the other, in the lanes that the definition names.

use super::codec::{decode_at, value_at};
use crate::product::scales::{AllScales, Scales};
use crate::product::{Factor, LONGEST_BLOCK, Prepared, Rows, ScaleType, Values};
use crate::{Blocks, Element};
use half::{bf16, f16};
use lowbit_scalar::{E4M3, E8M0, pack};

/// `lane[j mod 32] += decode(code_j) * x_j`.
pub(crate) fn dot(rows: Rows<'_>, x: &[f32], out: &mut [f32]) {
    let columns = out.len() / rows.count.max(1);
    for (row, (codes, blocks)) in rows.iter().enumerate() {
        for column in 0..columns {
            let x = &x[column * rows.len..][..rows.len];
            out[row * columns + column] = lanes(x, |j| decode_at(rows.element, codes, blocks, j));
        }
    }
}

/// `lane[j mod 32] += w_j * x_j`.
pub(crate) fn dot_f32(rows: &[f32], x: &[f32], len: usize, out: &mut [f32]) {
    let results = rows.chunks(len).flat_map(|row| x.chunks(len).map(move |x| (row, x)));
    for ((row, x), out) in results.zip(out) {
        *out = lanes(x, |j| row[j]);
    }
}

/// `lane[k mod 16] += (s_k * scale) * x_scale`.
pub(crate) fn dot_prepared(rows: Rows<'_>, scales: AllScales<'_>, x: Prepared<'_>, out: &mut [f32]) {
    let columns = out.len() / rows.count.max(1);
    for (row, (codes, blocks)) in rows.iter().enumerate() {
        let index = |block| row * rows.blocks_per_row() + block;
        let scale = |block| scale_at(scales.scales, index(block));
        let zero = |block| scales.zeros.map(|zeros| scale_at(zeros, index(block)));
        for column in 0..columns {
            out[row * columns + column] =
                row_prepared(rows.element, codes, blocks, (scale, zero), x.column(column));
        }
    }
}

/// `lane[k mod 32] += bias_k * t_k`, where `t_k` is the sum of the activations of block `k`.
pub(crate) fn add_biases(biases: &[f32], block: usize, x: Prepared<'_>, out: &mut [f32]) {
    let blocks = x.len.div_ceil(block);
    let columns = out.len() / (biases.len() / blocks);
    for (i, out) in out.iter_mut().enumerate() {
        let (x, biases) = (x.column(i % columns), &biases[i / columns * blocks..][..blocks]);
        let mut lane = [0.0; 32];
        for (k, bias) in biases.iter().enumerate() {
            lane[k % 32] += bias * block_sum(x, k * block, x.len.min((k + 1).saturating_mul(block)));
        }
        *out += fold_32(lane);
    }
}

/// What is stored, times or divided by the scale of the tensor.
fn scale_at(scales: Scales<'_>, index: usize) -> f32 {
    let all = match scales {
        Scales::F32(all) => return all[index],
        Scales::Stored(all) => all,
    };
    let bytes = all.from(index);
    let stored = match all.kind {
        ScaleType::F16 => f16::from_le_bytes([bytes[0], bytes[1]]).to_f32(),
        ScaleType::Bf16 => bf16::from_le_bytes([bytes[0], bytes[1]]).to_f32(),
        ScaleType::E4m3 => E4M3::from_bits(bytes[0]).to_f32(),
        ScaleType::E8m0 => E8M0::from_bits(bytes[0]).to_f32(),
        ScaleType::U8 => f32::from(bytes[0]),
    };
    match all.factor {
        Factor::None => stored,
        Factor::Multiply(factor) => stored * factor,
        Factor::Divide(factor) => stored / factor,
    }
}

fn row_prepared(
    e: Element,
    codes: &[u8],
    blocks: Blocks<'_>,
    (scale, zero): (impl Fn(usize) -> f32, impl Fn(usize) -> Option<f32>),
    x: Prepared<'_>,
) -> f32 {
    let block = blocks.len.min(x.block);
    let mut lane = [0.0; 16];
    let (mut k, mut start) = (0, 0);
    while start < x.len {
        let end_of_block = (start / block).saturating_add(1).saturating_mul(block).min(x.len);
        let end = end_of_block.min(start + LONGEST_BLOCK);
        let sum = match (e.exact_step(block), x.values) {
            (Some(w_step), Values::Int { codes: x, step, .. }) => {
                let w = |j| e.decode_one(pack::get(e.bits(), codes, j)) / w_step;
                let exact = (start..end).map(|j| w(j) as i64 * i64::from(x[j])).sum::<i64>() as f32;
                let products =
                    if (start..end).any(|j| w(j).is_nan()) { f32::NAN } else { exact * (w_step * step) };
                let activations = (start..end).map(|j| i32::from(x[j])).sum::<i32>() as f32 * step;
                zero(start / blocks.len).map_or(products, |zero| products - zero * activations)
            }
            (None, Values::Int { codes: x, step, .. }) => {
                block_of_floats(start..end, |j| value_at(e, codes, blocks, j), |j| f32::from(x[j]) * step)
            }
            (_, Values::Float(x)) => block_of_floats(start..end, |j| value_at(e, codes, blocks, j), |j| x[j]),
        };
        lane[k % 16] += (sum * scale(start / blocks.len)) * x.scales[start / x.block];
        (k, start) = (k + 1, end);
    }
    fold(&mut lane)
}

/// The sum of each block of activations within `start..end`, times its scale, added up in ascending order.
fn block_sum(x: Prepared<'_>, start: usize, end: usize) -> f32 {
    let (mut sum, mut at) = (0.0, start);
    while at < end {
        let block = at / x.block;
        let until = end.min((block + 1).saturating_mul(x.block));
        let values = match x.values {
            Values::Int { codes, step, .. } => {
                (at..until).map(|j| i64::from(codes[j])).sum::<i64>() as f32 * step
            }
            Values::Float(x) => block_of_floats(at..until, |_| 1.0, |j| x[j]),
        };
        sum += values * x.scales[block];
        at = until;
    }
    sum
}

/// Products of values, in 32 lanes from the start of the block.
fn block_of_floats(
    values: core::ops::Range<usize>,
    w: impl Fn(usize) -> f32,
    x: impl Fn(usize) -> f32,
) -> f32 {
    let mut lane = [0.0; 32];
    for j in values.clone() {
        lane[(j - values.start) % 32] += w(j) * x(j);
    }
    fold_32(lane)
}

fn lanes(x: &[f32], w: impl Fn(usize) -> f32) -> f32 {
    let mut lane = [0.0; 32];
    for (j, x) in x.iter().enumerate() {
        lane[j % 32] += w(j) * x;
    }
    fold_32(lane)
}

fn fold_32(mut lane: [f32; 32]) -> f32 {
    for l in 0..16 {
        lane[l] += lane[l + 16];
    }
    fold(&mut lane[..16])
}

/// Neighbours are added until one is left.
fn fold(lane: &mut [f32]) -> f32 {
    let mut left = lane.len();
    while left > 1 {
        left /= 2;
        for i in 0..left {
            lane[i] = lane[2 * i] + lane[2 * i + 1];
        }
    }
    lane[0]
}

/// `scale = max |x| / 127`, `code = RNE(x / scale)`.
pub(crate) fn quantize_int8(x: &[f32], block: usize, codes: &mut [u8], scales: &mut [f32]) {
    super::absmax(x, block, scales);
    let e = Element::Int { bits: 8 };
    for ((x, codes), scale) in x.chunks(block).zip(codes.chunks_mut(block)).zip(scales) {
        *scale /= e.max();
        for (x, code) in x.iter().zip(codes) {
            *code = if *scale == 0.0 { 0 } else { e.encode_one(x / *scale) };
        }
    }
}

/// Values in steps, in order and with the halves of bytes apart, and the sum of each 16.
pub(crate) fn expand(e: Element, codes: &[u8], len: usize, out: &mut [i8], sums: &mut [i32]) {
    let (in_order, apart) = out.split_at_mut(out.len() / 2);
    in_order.fill(0);
    for (i, out) in in_order[..len].iter_mut().enumerate() {
        *out = (e.decode_one(pack::get(e.bits(), codes, i)) / e.step().unwrap()) as i8;
    }
    for (i, value) in in_order.iter().enumerate() {
        apart[i / 128 * 128 + i % 2 * 64 + i % 128 / 2] = *value;
    }
    for (values, sum) in in_order.chunks(16).zip(sums) {
        *sum = values.iter().map(|x| i32::from(*x)).sum();
    }
}
