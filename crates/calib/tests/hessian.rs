//! The sum of x x^T: what it is, what it does not depend on, what it refuses.

mod support;

use lowbit_calib::{Error, Hessian};
use support::inputs::correlated;

fn observed(channels: usize, calls: &[&[f32]]) -> Hessian {
    let mut hessian = Hessian::new(channels);
    calls.iter().for_each(|call| hessian.observe(call).unwrap());
    hessian
}

fn bits(hessian: &Hessian) -> Vec<u64> {
    hessian.sums().iter().map(|sum| sum.to_bits()).collect()
}

/// 1300 tokens of small integers: every product and sum is exact.
#[test]
fn sums_of_integers_are_exact() {
    let n = 7;
    let x: Vec<f32> = (0..1300 * n).map(|i| ((i * 31 + i / 5) % 17) as f32 - 8.0).collect();
    let sums = observed(n, &[&x]).sums();
    for a in 0..n {
        for b in 0..n {
            let sum: f64 = x.chunks_exact(n).map(|t| f64::from(t[a]) * f64::from(t[b])).sum();
            assert_eq!(sums[a * n + b], sum, "{a} {b}");
        }
    }
}

/// Close to the sums in f64, channels of more than one panel included.
#[test]
fn sums_are_those_of_f64_but_for_rounding() {
    let n = 200;
    let x = correlated(1, 700, n);
    let hessian = observed(n, &[&x]);
    let (sums, diagonal) = (hessian.sums(), hessian.diagonal());
    for a in (0..n).step_by(13) {
        for b in 0..n {
            let sum: f64 = x.chunks_exact(n).map(|t| f64::from(t[a]) * f64::from(t[b])).sum();
            let scale = (diagonal[a] * diagonal[b]).sqrt();
            assert!((sums[a * n + b] - sum).abs() < 1e-5 * scale, "{a} {b}: {} {sum}", sums[a * n + b]);
            assert_eq!(sums[a * n + b], sums[b * n + a]);
        }
    }
}

#[test]
fn bits_do_not_depend_on_how_tokens_are_cut() {
    let n = 24;
    let x = correlated(2, 1500, n);
    let whole = bits(&observed(n, &[&x]));
    for cut in [1, 7, 511, 512, 513, 1024] {
        let calls: Vec<&[f32]> = x.chunks(cut * n).collect();
        assert_eq!(bits(&observed(n, &calls)), whole, "{cut} tokens a call");
    }
}

#[test]
fn merging_adds() {
    let n = 16;
    let x = correlated(3, 1100, n);
    let (a, b) = x.split_at(600 * n);
    let (mut merged, b) = (observed(n, &[a]), observed(n, &[b]));
    merged.merge(&b).unwrap();
    assert_eq!(merged.tokens(), 1100);
    for (merged, whole) in merged.sums().iter().zip(observed(n, &[&x]).sums()) {
        assert!((merged - whole).abs() < 1e-4 * whole.abs().max(1.0));
    }
    assert_eq!(merged.merge(&Hessian::new(5)), Err(Error::Channels { got: 5, want: 16 }));
}

#[test]
fn no_token_is_a_matrix_of_zeros() {
    let hessian = observed(3, &[&[]]);
    assert_eq!((hessian.tokens(), hessian.sums(), hessian.mean_square()), (0, vec![0.0; 9], vec![0.0; 3]));
    assert!(observed(0, &[&[]]).sums().is_empty());
}

#[test]
fn bad_samples_are_refused_with_their_place() {
    let mut hessian = observed(2, &[&[1.0, 2.0]]);
    let before = bits(&hessian);
    let refused = |error: Error, text: &str| assert_eq!(error.to_string(), text);
    refused(
        hessian.observe(&[1.0, 1.0, 3.0, f32::NEG_INFINITY]).unwrap_err(),
        "activation -inf of token 2, channel 1 is not finite",
    );
    refused(
        hessian.observe(&[f32::NAN, 0.0]).unwrap_err(),
        "activation NaN of token 1, channel 0 is not finite",
    );
    refused(hessian.observe(&[1.0; 3]).unwrap_err(), "3 values are not whole tokens of 2 features");
    assert_eq!((hessian.tokens(), bits(&hessian)), (1, before));
    refused(Hessian::from_sums(2, 1, vec![0.0; 3]).unwrap_err(), "3 channels where there are 4");
    let infinite = Hessian::from_sums(1, 1, vec![f64::INFINITY]).unwrap_err();
    refused(infinite, "entry inf at 0, 0 of the sum of x x^T is not finite, or negative on the diagonal");
    assert!(Hessian::from_sums(1, 1, vec![-1.0]).is_err());
}
