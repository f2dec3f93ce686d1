//! Squared errors of blocks side by side.

use crate::inputs::{Random, edges};
use crate::levels::under_test;
use lowbit_kernels::{Element, Kernels};

fn check(x: &[[f32; 16]], weights: Option<&[[f32; 16]]>, scales: &[[f32; 16]]) {
    let mut want = vec![[0.0; 16]; scales.len()];
    Kernels::reference().e2m1_errors(x, weights, scales, &mut want);
    for kernels in under_test() {
        let mut got = vec![[1.25; 16]; scales.len()];
        kernels.e2m1_errors(x, weights, scales, &mut got);
        for (got, want) in got.iter().flatten().zip(want.iter().flatten()) {
            let same = got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan());
            assert!(same, "{kernels:?}: {got} instead of {want}, {} values", x.len());
        }
    }
}

fn lanes(values: &[f32]) -> Vec<[f32; 16]> {
    values.as_chunks().0.to_vec()
}

#[test]
fn every_number_of_values_and_scales() {
    let mut random = Random(21);
    for values in 0..=40 {
        for scales in [0, 1, 2, 7, 16] {
            let x = lanes(&random.mixed(16 * values, 8.0));
            let any: Vec<f32> = (0..16 * values).map(|_| random.any()).collect();
            let near: Vec<f32> = (0..16 * values).map(|_| random.near(6.0)).collect();
            let weights = lanes(&random.mixed(16 * values, 1.0));
            for size in [0.1, 1.0, 1e-30] {
                let scales = lanes(&random.mixed(16 * scales, size));
                check(&x, None, &scales);
                check(&x, Some(&weights), &scales);
                check(&lanes(&any), None, &scales);
                check(&lanes(&near), Some(&weights), &scales);
            }
        }
    }
}

/// One value for itself: its distance from the nearest one, on both sides of every tie.
#[test]
fn distances_are_those_to_the_nearest_value() {
    let mut x = edges(Element::E2m1);
    x.extend((0..=1000).map(|i| i as f32 / 100.0));
    x.resize(x.len().next_multiple_of(16), 0.0);
    for x in lanes(&x) {
        check(&[x], None, &[[1.0; 16]]);
        let mut errors = [[0.0; 16]];
        Kernels::best().e2m1_errors(&[x], None, &[[1.0; 16]], &mut errors);
        for (x, error) in x.into_iter().zip(errors[0]).filter(|(x, _)| x.abs() < 1e15) {
            let nearest = Element::E2m1.decode_one(Element::E2m1.encode_one(x));
            assert_eq!(error, (x - nearest) * (x - nearest), "{x}");
        }
    }
}

#[test]
#[should_panic(expected = "2 values need as many weights, got 1")]
fn too_few_weights() {
    Kernels::best().e2m1_errors(&[[1.0; 16]; 2], Some(&[[1.0; 16]]), &[], &mut []);
}
