//! Code over all scalar types: the mean squared error of rounding to each.

use lowbit::prelude::*;
use lowbit::scalar::{E2M1, E3M0, E4M3};

fn error<T: LowBit>(x: &[f32]) -> f32 {
    let scale = T::MAX.to_f32();
    let mut codes = vec![T::from_f32(0.0); x.len()];
    codes.convert_from_f32_slice(&x.iter().map(|x| x * scale).collect::<Vec<_>>());
    let squares = x.iter().zip(&codes).map(|(x, code)| (x - code.to_f32() / scale).powi(2));
    squares.sum::<f32>() / x.len() as f32
}

fn main() {
    let x: Vec<f32> = (-100..=100).map(|i| i as f32 / 100.0).collect();
    let errors = [error::<E4M3>(&x), error::<E2M1>(&x), error::<E3M0>(&x)];
    println!("{}, {}, {}: {errors:?}", E4M3::NAME, E2M1::NAME, E3M0::NAME);
    assert!(errors.is_sorted());
}
