//! Ranges of inputs: percentiles against sorted values, mse against the error itself, entropy against TensorRT's loop over plain bins.

use crate::support::normal::normal;
use lowbit_calib::{Error, Magnitudes, RangeRule};
use lowbit_kernels::Element;

const INT8: Element = Element::Int { bits: 8 };

fn seen(values: &[f32]) -> Magnitudes {
    let mut seen = Magnitudes::new();
    seen.observe(values).unwrap();
    seen
}

/// Normal numbers with a few outliers, as activations have them.
fn activations() -> Vec<f32> {
    let mut values = normal(5, 60_000);
    values.iter_mut().step_by(2000).for_each(|x| *x *= 12.0);
    values
}

/// Squared error of rounding by codes one at a time.
fn error(values: &[f32], element: Element, amax: f32) -> f64 {
    let scale = amax / element.max();
    let restored = |x: f32| element.decode_one(element.encode_one(x / scale)) * scale;
    values.iter().map(|&x| f64::from(x - restored(x)).powi(2)).sum()
}

#[test]
fn percentiles_are_those_of_sorted_values() {
    let values = activations();
    let mut sorted: Vec<f32> = values.iter().map(|x| x.abs()).collect();
    sorted.sort_by(f32::total_cmp);
    let seen = seen(&values);
    for percent in [0.01f32, 25.0, 50.0, 99.0, 99.9, 99.99, 100.0] {
        let rank = (f64::from(percent) / 100.0 * values.len() as f64).ceil() as usize;
        let (want, got) = (sorted[rank - 1], RangeRule::Percentile(percent).amax(&seen, INT8).unwrap());
        assert!(got >= want && got <= want * 1.0005, "{percent}: {got} {want}");
    }
    assert_eq!(RangeRule::Max.amax(&seen, INT8).unwrap(), *sorted.last().unwrap());
}

#[test]
fn mse_is_within_a_percent_of_the_least_error_for_integers_and_floats() {
    let values = activations();
    let seen = seen(&values);
    for element in [INT8, Element::Int { bits: 4 }, Element::E4m3, Element::E2m1] {
        let chosen = RangeRule::Mse.amax(&seen, element).unwrap();
        assert!(chosen <= seen.amax());
        let tried = (1..=150).map(|i| error(&values, element, seen.amax() * i as f32 / 150.0));
        let least = tried.fold(f64::INFINITY, f64::min);
        let got = error(&values, element, chosen);
        assert!(got <= 1.01 * least, "{}: {got} at {chosen}, {least}", element.name());
    }
    // Clipping pays for INT4 and not for FP8, whose steps shrink with the values.
    let clipped = |element| RangeRule::Mse.amax(&seen, element).unwrap() / seen.amax();
    assert!(clipped(Element::Int { bits: 4 }) < 0.5 && clipped(Element::E4m3) > 0.4);
}

/// The published loop (TensorRT's 8-bit inference): bins of equal width, 128 levels, outliers into the last bin. The divergence of each range from 128 bins on.
fn published_entropy(values: &[f32]) -> Vec<f64> {
    let amax = values.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    let mut counts = vec![0.0f64; 2048];
    for x in values.iter().filter(|x| **x != 0.0) {
        counts[((x.abs() / amax * 2048.0) as usize).min(2047)] += 1.0;
    }
    let divergence = |end: usize| {
        let mut p = counts[..end].to_vec();
        p[end - 1] += counts[end..].iter().sum::<f64>();
        // Code k holds (k - 1/2, k + 1/2) of 127 steps over the range.
        let code = |bin: usize| ((bin as f64 + 0.5) / end as f64 * 127.0).round() as usize;
        let (mut mass, mut filled) = ([0.0; 128], [0.0; 128]);
        for bin in 0..end {
            mass[code(bin)] += counts[bin];
            filled[code(bin)] += if p[bin] > 0.0 { 1.0 } else { 0.0 };
        }
        let q: Vec<f64> = (0..end)
            .map(|bin| if p[bin] > 0.0 { mass[code(bin)] / filled[code(bin)] } else { 0.0 })
            .collect();
        let (all_p, all_q): (f64, f64) = (p.iter().sum(), q.iter().sum());
        let term =
            |(p, q): (&f64, &f64)| if *p > 0.0 { p / all_p * (p / all_p * all_q / q).ln() } else { 0.0 };
        p.iter().zip(&q).map(term).sum()
    };
    (128..=2048).map(divergence).collect()
}

#[test]
fn entropy_finds_the_range_of_the_published_loop() {
    let values = &activations()[..20_000];
    let (got, published) = (RangeRule::Entropy.amax(&seen(values), INT8).unwrap(), published_entropy(values));
    let least = published.iter().copied().fold(f64::INFINITY, f64::min);
    let there = published[(got / seen(values).amax() * 2048.0).round() as usize - 128];
    let of_max = published[2048 - 128];
    assert!(there <= 1.03 * least && there < 0.7 * of_max, "{there} at {got}, {least}, {of_max}");
    assert!(got < 0.5 * seen(values).amax());
    // Zeros (a ReLU's) change nothing, since every range restores them.
    let with_zeros: Vec<f32> = values.iter().flat_map(|&x| [x, 0.0, 0.0]).collect();
    assert_eq!(RangeRule::Entropy.amax(&seen(&with_zeros), INT8).unwrap(), got);
}

#[test]
fn headroom_keeps_small_blocks_in_reach_of_e4m3() {
    let near = seen(&[1.0, 2.0, 50.0]);
    assert_eq!(RangeRule::Headroom.amax(&near, Element::E2m1).unwrap(), 16384.0 * near.percentile(1.0));
    let far = seen(&[1e-3, 2.0, 50.0]);
    assert_eq!(RangeRule::Headroom.amax(&far, Element::E2m1).unwrap(), 50.0);
    // A block of next to nothing is no anchor.
    assert!(RangeRule::Headroom.amax(&seen(&[1e-6, 2.0, 50.0]), Element::E2m1).unwrap() > 16384.0);
}

#[test]
fn counts_merge_in_any_order_and_division() {
    let values = activations();
    let (whole, mut first, mut second) = (seen(&values), seen(&values[..999]), seen(&values[999..]));
    let copy = first.clone();
    first.merge(&second);
    second.merge(&copy);
    assert_eq!(first, whole);
    assert_eq!(second, whole);
}

#[test]
fn nothing_nan_and_zeros_are_defined() {
    for rule in ["max", "percentile", "percentile:99.5", "mse", "entropy", "headroom"] {
        let rule: RangeRule = rule.parse().unwrap();
        assert!(matches!(rule.amax(&Magnitudes::new(), INT8), Err(Error::NoTokens { .. })));
        assert_eq!(rule.amax(&seen(&[0.0; 5]), INT8), Ok(0.0));
        let tiny = rule.amax(&seen(&[1e-44, 3e-45]), INT8).unwrap();
        assert!(tiny > 0.0 && tiny.is_finite());
        assert_eq!(rule.to_string().parse(), Ok(rule));
    }
    let mut counted = seen(&[1.0]);
    assert!(matches!(counted.observe(&[2.0, f32::NAN]), Err(Error::Observed { index: 1, .. })));
    assert_eq!(counted, seen(&[1.0]));
    assert!(RangeRule::Percentile(f32::NAN).amax(&counted, INT8).is_err());
    assert!("kl".parse::<RangeRule>().unwrap_err().to_string().contains("entropy"));
}
