//! The sweep of E4M3 scales against all 126 codes, one after the other.

mod support;

use lowbit_blocks::{Dtype, Element, NVFP4, Shape, TensorScale, Values};
use lowbit_calib::{Importance, Out, Recipe, ScaleRule};
use lowbit_kernels::Kernels;
use proptest::prelude::*;
use support::blocks::any_block;
use support::normal::normal;

/// The weighed squared error of a block under a code.
fn error(block: &[f32], weights: &[f32], tensor_scale: f32, code: u8) -> f64 {
    let scale = Element::E4m3.decode_one(code) * tensor_scale;
    let divisor = if scale == 0.0 { f32::INFINITY } else { scale };
    let decoded =
        block.iter().map(|x| Element::E2m1.decode_one(Element::E2m1.encode_one(x / divisor)) * scale);
    let errors = block.iter().zip(decoded).map(|(x, y)| f64::from(*x) - f64::from(y));
    errors.zip(weights).map(|(e, weight)| e * e * f64::from(*weight)).sum()
}

/// The codes of scales that the recipe chooses for one row.
fn chosen(row: &[f32], tensor_scale: f32, importance: Importance<'_>) -> Vec<u8> {
    chosen_at(Kernels::best(), row, tensor_scale, importance)
}

fn chosen_at(kernels: Kernels, row: &[f32], tensor_scale: f32, importance: Importance<'_>) -> Vec<u8> {
    let recipe = Recipe::new(NVFP4).unwrap().with_scale_rule(ScaleRule::Mse).unwrap();
    let scale = TensorScale::Multiply(vec![tensor_scale]);
    let quantizer = recipe
        .quantizer_with_tensor_scale(Shape::matrix(1, row.len()), Dtype::F32, &scale, kernels)
        .unwrap()
        .with_importance(importance)
        .unwrap();
    let (mut codes, mut scales) = (vec![0; row.len() / 2], vec![0; row.len() / 16]);
    let out = Out { codes: &mut codes, scales: &mut scales, zeros: &mut [] };
    quantizer.quantize_rows(0, 0, Values::F32(row), out).unwrap();
    scales
}

/// Each block has the least error of all codes, but for the last places of a sum in f64.
fn check(row: &[f32], weights: &[f32], tensor_scale: f32, importance: Importance<'_>) {
    for (block, code) in chosen(row, tensor_scale, importance).into_iter().enumerate() {
        let at = block * 16..block * 16 + 16;
        let of = |code| error(&row[at.clone()], &weights[at.clone()], tensor_scale, code);
        let least = (1..=126).map(of).fold(f64::INFINITY, f64::min);
        assert!(
            of(code) <= least * (1.0 + 1e-14),
            "{:?}: code {code}: {} {least}",
            &row[at.clone()],
            of(code)
        );
    }
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn no_code_is_better(row in any_block(Element::E2m1, 64), seed in 0..1000u64) {
        let amax = row.iter().fold(0.0f32, |amax, x| amax.max(x.abs()));
        let weights: Vec<f32> = normal(seed, 64).iter().map(|x| x * x).collect();
        // Scales of every size: the largest, ordinary, and the subnormals of E4M3.
        for largest in [2688.0, 100.0, 1.0, 0.05] {
            let tensor_scale = amax / largest;
            if tensor_scale.is_normal() {
                check(&row, &[1.0; 64], tensor_scale, Importance::Uniform);
                check(&row, &weights, tensor_scale, Importance::Channels(&weights));
            }
        }
    }
}

#[test]
fn no_code_is_better_for_ordinary_weights() {
    let row = normal(1, 1 << 14);
    let weights: Vec<f32> = normal(2, 1 << 14).iter().map(|x| x.exp()).collect();
    check(&row, &vec![1.0; row.len()], 4.0 / 2688.0, Importance::Uniform);
    check(&row, &weights, 4.0 / 2688.0, Importance::Channels(&weights));
}

/// Neither the SIMD level nor the blocks beside a block change what is chosen for it.
#[test]
fn every_level_chooses_the_same_with_any_neighbours() {
    let sizes = [1.0, 0.01, 2.0, 0.0, 8.0, 1e-4, 0.3];
    let row: Vec<f32> = normal(3, 16 * 61).iter().enumerate().map(|(i, x)| x * sizes[i / 16 % 7]).collect();
    let weights: Vec<f32> = normal(4, row.len()).iter().map(|x| (4.0 * x).exp()).collect();
    for tensor_scale in [8.0 / 2688.0, 0.3] {
        for weights in [None, Some(&weights)] {
            let of = |at: core::ops::Range<usize>| {
                weights.map_or(Importance::Uniform, |weights| Importance::Channels(&weights[at]))
            };
            let want: Vec<u8> = (0..row.len())
                .step_by(16)
                .flat_map(|at| chosen(&row[at..at + 16], tensor_scale, of(at..at + 16)))
                .collect();
            for kernels in Kernels::available() {
                assert_eq!(chosen_at(kernels, &row, tensor_scale, of(0..row.len())), want, "{kernels:?}");
            }
        }
    }
}

/// Exact multiples of an odd scale among the subnormals, nine codes above that of amax: no half of it is a code.
#[test]
fn odd_scales_of_small_blocks_are_found() {
    let step = 13.0 / 512.0;
    let row: Vec<f32> = (0..16).map(|i| [0.5, 1.0, 1.5, 2.0][i % 4] * step).collect();
    assert_eq!(chosen(&row, 1.0, Importance::Uniform), [13]);
}

/// Equal errors: the amax code stays.
#[test]
fn exact_blocks_stay_as_they_are() {
    let row: Vec<f32> = (0..16).map(|i| [6.0, -4.0, 3.0, 0.5][i % 4]).collect();
    assert_eq!(chosen(&row, 1.0, Importance::Uniform), [Element::E4m3.encode_one(1.0)]);
}
