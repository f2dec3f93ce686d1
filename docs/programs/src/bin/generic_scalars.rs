//! Code over all scalar types: the mean squared error of rounding to each.

use lowbit::prelude::*;
use lowbit::scalar::{E2M1, E3M0, E4M3, Int4, Nf4};

fn error<T: LowBit>(x: &[f32]) -> f32 {
    let scale = T::MAX.to_f32();
    let mut codes = vec![T::from_f32(0.0); x.len()];
    codes.convert_from_f32_slice(&x.iter().map(|x| x * scale).collect::<Vec<_>>());
    let squared = x.iter().zip(&codes).map(|(x, code)| (x - code.to_f32() / scale).powi(2));
    squared.sum::<f32>() / x.len() as f32
}

fn main() {
    let x: Vec<f32> = (-100..=100).map(|i| i as f32 / 100.0).collect();
    let (e2m1, e3m0, e4m3) = (error::<E2M1>(&x), error::<E3M0>(&x), error::<E4M3>(&x));
    println!(
        "E2M1 {e2m1}, E3M0 {e3m0}, E4M3 {e4m3}, {} {}, {} {}",
        Int4::NAME,
        error::<Int4>(&x),
        Nf4::NAME,
        error::<Nf4>(&x)
    );
    assert!(e4m3 < e2m1 && e2m1 < e3m0);
}
