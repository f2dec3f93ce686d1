//! Blocks that hurt: extremes of both signs, values at and next to every decision point, many sizes.

use lowbit_blocks::{Element, QTensor, Shape, Values};
use lowbit_calib::Recipe;
use proptest::prelude::*;

/// What the f32 roundings of scale, quotient and product may add to an error, relative to amax: a value that falls on the wrong side of
/// a decision point is off by its distance from there, a few ulp of amax.
pub const SLACK: f64 = 3.0 / (1u32 << 24) as f64;

/// A number in [-1, 1]: anywhere, an end, or next to a decision point of the element when its largest value stands for 1.
fn fraction(element: Element) -> impl Strategy<Value = f64> {
    let codes = 1u32 << element.bits();
    let max = f64::from(element.max());
    let midpoint = (0..codes, 0..codes, -1..=1i32).prop_map(move |(a, b, nudge)| {
        let value = |code: u32| f64::from(element.decode_one(code as u8));
        let middle = (value(a) + value(a ^ (b & 1))) / 2.0 / max;
        if middle.is_finite() { (middle * (1.0 + f64::from(nudge) * 1e-7)).clamp(-1.0, 1.0) } else { 0.5 }
    });
    prop_oneof![4 => -1.0..=1.0f64, 1 => Just(1.0), 1 => Just(-1.0), 1 => Just(0.0), 3 => midpoint]
}

/// `len` values with the largest magnitude exactly `amax`, at any place and of either sign.
pub fn block(element: Element, len: usize, amax: f32) -> impl Strategy<Value = Vec<f32>> {
    let values = prop::collection::vec(fraction(element), len);
    (values, 0..len, any::<bool>()).prop_map(move |(fractions, at, negative)| {
        let mut block: Vec<f32> = fractions.iter().map(|f| (f * f64::from(amax)) as f32).collect();
        block[at] = if negative { -amax } else { amax };
        block
    })
}

/// 2^-20 to 2^20 with any mantissa, often one near a power of two, 1.5 or 1.75.
pub fn amax() -> impl Strategy<Value = f32> {
    let mantissa = prop_oneof![
        2 => 1.0..2.0f64,
        1 => prop::sample::select(vec![1.0, 1.0000001, 1.25, 1.4999999, 1.5, 1.5000002, 1.7499999, 1.75, 1.7500002, 1.9999999]),
    ];
    (mantissa, -20..20i32).prop_map(|(m, e)| (m * f64::from(e).exp2()) as f32)
}

/// A block with an amax of its own.
pub fn any_block(element: Element, len: usize) -> impl Strategy<Value = Vec<f32>> {
    amax().prop_flat_map(move |amax| block(element, len, amax))
}

/// One row, quantized.
pub fn quantize_row(recipe: &Recipe, row: &[f32]) -> QTensor<'static> {
    recipe.quantize(Shape::matrix(1, row.len()), Values::F32(row)).unwrap()
}

/// |x - x̂| of each value.
pub fn errors(row: &[f32], q: &QTensor<'_>) -> Vec<f64> {
    let decoded = q.to_f32_vec();
    row.iter().zip(&decoded).map(|(x, y)| (f64::from(*x) - f64::from(*y)).abs()).collect()
}

pub fn largest(row: &[f32]) -> f64 {
    row.iter().fold(0.0, |a, x| f64::max(a, f64::from(x.abs())))
}

pub fn sse(errors: &[f64]) -> f64 {
    errors.iter().map(|e| e * e).sum()
}
