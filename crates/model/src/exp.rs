//! Exponentials of whole slices, compiled for the widest vectors of the machine.
//!
//! ```text
//! e^x = 2^n e^r      n = round(x / ln 2), r = x - n ln 2 in two steps, |r| <= ln 2 / 2
//! f32                e^r by a polynomial of degree 6 (coefficients of Cephes' expf), 1 ulp or two
//! f64                e^r by its series up to r^13 / 13!
//! ```
//!
//! Every operation is rounded on its own, and sums run in sixteen (eight) lanes that are added in one order: all vector widths give the same bits.

use fearless_simd::{Level, Simd, dispatch};

const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Added and taken off again, it leaves a whole number, which is also in the low bits of the sum.
const MAGIC: f32 = 12_582_912.0;
const MAGIC_64: f64 = 6_755_399_441_055_744.0;

/// e^x, for x from -87 to 88; beyond, as at the end. NaN stays NaN.
#[inline(always)]
fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * core::f32::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    let r = x - n * LN2_HIGH - n * LN2_LOW;
    let mut p = 1.987_569_1e-4;
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_6e-1, 0.5] {
        p = p * r + c;
    }
    let e = p * (r * r) + r + 1.0;
    let e = f32::from_bits(e.to_bits().wrapping_add(shifted.to_bits().wrapping_sub(MAGIC.to_bits()) << 23));
    if x.is_nan() { x } else { e }
}

/// e^x, for x from -700 to 700; beyond, as at the end.
#[inline(always)]
fn exp_64(x: f64) -> f64 {
    let x = x.clamp(-700.0, 700.0);
    let shifted = x * core::f64::consts::LOG2_E + MAGIC_64;
    let n = shifted - MAGIC_64;
    let r = x - n * 0.693_145_751_953_125 - n * 1.428_606_820_309_417_2e-6;
    let mut e = 1.0;
    let mut k = 13.0;
    while k > 0.0 {
        e = e * r / k + 1.0;
        k -= 1.0;
    }
    let e =
        f64::from_bits(e.to_bits().wrapping_add(shifted.to_bits().wrapping_sub(MAGIC_64.to_bits()) << 52));
    if x.is_nan() { x } else { e }
}

/// The level of the machine, looked up once.
fn level() -> Level {
    static LEVEL: std::sync::OnceLock<Level> = std::sync::OnceLock::new();
    *LEVEL.get_or_init(Level::new)
}

/// Puts e^(scale (x - max)) in the place of every x, and gives their sum.
pub(crate) fn exp_less(values: &mut [f32], max: f32, scale: f32) -> f32 {
    #[inline(always)]
    fn run(values: &mut [f32], max: f32, scale: f32) -> f32 {
        let mut lanes = [0.0_f32; 16];
        let (whole, rest) = values.as_chunks_mut::<16>();
        for chunk in whole {
            for (value, lane) in chunk.iter_mut().zip(&mut lanes) {
                *value = exp((*value - max) * scale);
                *lane += *value;
            }
        }
        for (value, lane) in rest.iter_mut().zip(&mut lanes) {
            *value = exp((*value - max) * scale);
            *lane += *value;
        }
        lanes.iter().sum()
    }
    dispatch!(level(), simd => simd.vectorize(#[inline(always)] || run(values, max, scale)))
}

/// Puts `silu(gate) * up`, that is `gate / (1 + e^-gate) * up`, in the place of every gate.
pub(crate) fn silu_times(gate: &mut [f32], up: &[f32]) {
    #[inline(always)]
    fn run(gate: &mut [f32], up: &[f32]) {
        for (g, u) in gate.iter_mut().zip(up) {
            *g = *g / (1.0 + exp(-*g)) * u;
        }
    }
    dispatch!(level(), simd => simd.vectorize(#[inline(always)] || run(gate, up)));
}

/// Puts `gelu(gate) * up` in the place of every gate, with `gelu(x) = x / (1 + e^(-2 sqrt(2 / pi) (x + 0.044715 x^3)))`: the tanh form.
pub(crate) fn gelu_times(gate: &mut [f32], up: &[f32]) {
    const FACTOR: f32 = core::f32::consts::FRAC_2_SQRT_PI * core::f32::consts::SQRT_2;
    #[inline(always)]
    fn run(gate: &mut [f32], up: &[f32]) {
        for (g, u) in gate.iter_mut().zip(up) {
            let x = *g;
            *g = x / (1.0 + exp(-FACTOR * (x + 0.044_715 * (x * x * x)))) * u;
        }
    }
    dispatch!(level(), simd => simd.vectorize(#[inline(always)] || run(gate, up)));
}

/// The sums of e^(a - max) and of e^(a - max) (a - b); the second is 0 without `b`.
pub(crate) fn exp_sums(a: &[f32], max: f32, b: Option<&[f32]>) -> (f64, f64) {
    #[inline(always)]
    fn run(a: &[f32], max: f32, b: &[f32]) -> (f64, f64) {
        let max = f64::from(max);
        let (mut plain, mut weighted) = ([0.0_f64; 8], [0.0_f64; 8]);
        for (a, b) in a.chunks(8).zip(b.chunks(8)) {
            for (((a, b), plain), weighted) in a.iter().zip(b).zip(&mut plain).zip(&mut weighted) {
                let e = exp_64(f64::from(*a) - max);
                *plain += e;
                *weighted += e * (f64::from(*a) - f64::from(*b));
            }
        }
        (plain.iter().sum(), weighted.iter().sum())
    }
    dispatch!(level(), simd => simd.vectorize(#[inline(always)] || run(a, max, b.unwrap_or(a))))
}

/// The sum of the squares.
pub(crate) fn squares(values: &[f32]) -> f32 {
    #[inline(always)]
    fn run(values: &[f32]) -> f32 {
        let mut lanes = [0.0_f32; 16];
        for chunk in values.chunks(16) {
            for (value, lane) in chunk.iter().zip(&mut lanes) {
                *lane += value * value;
            }
        }
        lanes.iter().sum()
    }
    dispatch!(level(), simd => simd.vectorize(#[inline(always)] || run(values)))
}

/// The largest value; minus infinity of none. NaN is passed over.
pub(crate) fn largest(values: &[f32]) -> f32 {
    #[inline(always)]
    fn run(values: &[f32]) -> f32 {
        let mut lanes = [f32::NEG_INFINITY; 16];
        for chunk in values.chunks(16) {
            for (value, lane) in chunk.iter().zip(&mut lanes) {
                *lane = if *value > *lane { *value } else { *lane };
            }
        }
        lanes.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }
    dispatch!(level(), simd => simd.vectorize(#[inline(always)] || run(values)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_within_two_ulps() {
        for i in -87_000..88_000 {
            let x = i as f32 / 1000.0;
            let want = f64::from(x).exp();
            let ulp = f64::from(f32::EPSILON) * want;
            assert!((f64::from(exp(x)) - want).abs() <= 2.0 * ulp, "{x}: {} {want}", exp(x));
            let wide = exp_64(f64::from(x) * 7.5);
            let want = (f64::from(x) * 7.5).exp();
            assert!((wide - want).abs() <= 1e-15 * want, "{x}: {wide} {want}");
        }
        assert_eq!((exp(0.0), exp_64(0.0)), (1.0, 1.0));
        assert!(exp(f32::NAN).is_nan() && exp_64(f64::NAN).is_nan());
    }

    #[test]
    fn sums_are_those_of_the_parts() {
        let mut x: Vec<f32> = (0..37).map(|i| i as f32 / 8.0).collect();
        assert_eq!(largest(&x), 4.5);
        assert_eq!(squares(&x), (0..37).map(|i| (i * i) as f32 / 64.0).sum::<f32>());
        let y = vec![0.0; 37];
        let (plain, weighted) = exp_sums(&x, 4.5, Some(&y));
        let want: f64 = x.iter().map(|&x| (f64::from(x) - 4.5).exp()).sum();
        let times: f64 = x.iter().map(|&x| (f64::from(x) - 4.5).exp() * f64::from(x)).sum();
        assert!((plain - want).abs() < 1e-12 && (weighted - times).abs() < 1e-12);
        let sum = exp_less(&mut x, 4.5, 1.0);
        assert!((f64::from(sum) - want).abs() < 1e-5 && x[36] == 1.0);
    }

    #[test]
    fn gates_are_silu_and_gelu() {
        let (mut silu, mut gelu) = ([0.0, 1.0, -2.0, 200.0, -200.0], [0.0, 1.0, -2.0, 200.0, -200.0]);
        silu_times(&mut silu, &[2.0; 5]);
        gelu_times(&mut gelu, &[2.0; 5]);
        let close = |got: [f32; 5], want: [f32; 5]| got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-5);
        assert!(close(silu, [0.0, 1.462_117_2, -0.476_811_7, 400.0, 0.0]), "{silu:?}");
        assert!(close(gelu, [0.0, 1.682_384, -0.090_804_6, 400.0, 0.0]), "{gelu:?}");
    }
}
