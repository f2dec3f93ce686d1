//! AWQ: its formula against a second one, and that scaling and clipping never do worse than nothing.

use crate::support::normal::normal;
use lowbit_blocks::{Block, Format, NVFP4};
use lowbit_calib::awq::{Awq, Clip, candidate, clip, search, weight_mean};
use lowbit_calib::{ChannelStats, Error, Inputs, Recipe, ScaleRule};

/// Inputs of which a few channels are loud.
fn inputs(tokens: usize, channels: usize) -> Vec<f32> {
    let mut rows = normal(11, tokens * channels);
    for row in rows.chunks_mut(channels) {
        row.iter_mut().step_by(13).for_each(|x| *x *= 20.0);
    }
    rows
}

fn hessian(rows: &[f32], n: usize) -> Vec<f64> {
    let mut sums = vec![0.0; n * n];
    for row in rows.chunks(n) {
        for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))) {
            sums[i * n + j] += f64::from(row[i]) * f64::from(row[j]);
        }
    }
    sums
}

fn int4(group: usize) -> Recipe {
    let format = Format::named("int4-g128").unwrap().with_block(Block::Group(group));
    Recipe::new(format).unwrap().with_scale_rule(ScaleRule::Narrow).unwrap()
}

/// AutoAWQ's formula, written from the paper's and the package's text with tensors as nested vectors.
fn published(x_mean: &[f32], layers: &[&[f32]], group: usize, ratio: f64, duo: bool) -> Vec<f64> {
    let n = x_mean.len();
    let rows: Vec<Vec<f64>> =
        layers.iter().flat_map(|w| w.chunks(n)).map(|r| r.iter().map(|x| f64::from(*x)).collect()).collect();
    let normalised: Vec<Vec<f64>> = rows
        .iter()
        .map(|row| {
            let amax =
                |c: usize| row[c / group * group..][..group].iter().fold(0.0f64, |m, w| m.max(w.abs()));
            (0..n).map(|c| row[c].abs() / (amax(c) + 1e-6)).collect()
        })
        .collect();
    let w_mean: Vec<f64> =
        (0..n).map(|c| normalised.iter().map(|r| r[c]).sum::<f64>() / rows.len() as f64).collect();
    let mut scales: Vec<f64> = (0..n)
        .map(|c| {
            let x = f64::from(x_mean[c]).powf(ratio);
            let s = if duo { x / (w_mean[c].powf(1.0 - ratio) + 1e-4) } else { x };
            if s < 1e-4 { 1e-4 } else { s }
        })
        .collect();
    let max = scales.iter().copied().fold(f64::MIN, f64::max);
    let min = scales.iter().copied().fold(f64::MAX, f64::min);
    scales.iter_mut().for_each(|s| *s /= (max * min).sqrt());
    scales
}

#[test]
fn scales_equal_the_published_formula() {
    let n = 64;
    let (a, b) = (normal(1, 48 * n), normal(2, 16 * n));
    let mut x_mean: Vec<f32> = normal(3, n).iter().map(|x| x.abs()).collect();
    (x_mean[5], x_mean[9]) = (80.0, 1e-7);
    let mean = weight_mean(&[&a, &b], n, 32).unwrap();
    for duo in [true, false] {
        for step in 0..20 {
            let ratio = f64::from(step) / 20.0;
            let got = candidate(&x_mean, duo.then_some(&mean), ratio);
            for (got, want) in got.iter().zip(published(&x_mean, &[&a, &b], 32, ratio, duo)) {
                assert!((f64::from(*got) / want - 1.0).abs() < 1e-6, "{duo} {ratio}: {got} {want}");
            }
        }
    }
    // Without the weight's mean, exponent 0 is the identity; with it, it is not.
    assert_eq!(candidate(&x_mean, None, 0.0), [1.0; 64]);
    assert_ne!(candidate(&x_mean, Some(&mean), 0.0), [1.0; 64]);
    // A channel that was never loud, and one too loud: every scale is a number.
    let odd = candidate(&[0.0, f32::MAX, 1.0], None, 0.95);
    assert!(odd.iter().all(|s| s.is_finite() && *s > 0.0), "{odd:?}");
}

#[test]
fn loud_channels_gain_and_all_kinds_of_inputs_agree() {
    let (n, tokens) = (64, 96);
    let rows = inputs(tokens, n);
    let mut stats = ChannelStats::new(n);
    stats.observe(&rows).unwrap();
    let (means, mean_square, sums) = (stats.mean_abs(), stats.mean_square(), hessian(&rows, n));
    let (q, k) = (normal(21, 24 * n), normal(22, 8 * n));
    for recipe in [int4(32), Recipe::new(NVFP4).unwrap()] {
        let awq = Awq { group: 32, ..Awq::default() };
        let found = |inputs| search(&awq, &recipe, &[&q, &k], &means, inputs).unwrap();
        let samples = found(Inputs::Rows { rows: &rows, channels: n });
        let by_hessian = found(Inputs::Hessian { sums: &sums, tokens: tokens as u64 });
        assert_eq!((&samples.scales, samples.exponent), (&by_hessian.scales, by_hessian.exponent));
        assert!((samples.error / by_hessian.error - 1.0).abs() < 1e-6);
        assert!(samples.error < 0.8 * samples.unscaled, "{} {}", samples.error, samples.unscaled);
        assert!(found(Inputs::MeanSquare(&mean_square)).error < samples.unscaled);
    }
}

#[test]
fn identity_is_never_beaten_by_something_worse() {
    // Nothing is lost by this rounding, so that no scaling can gain.
    let exact = |w: &[f32]| w.to_vec();
    let weight = normal(31, 8 * 32);
    let means: Vec<f32> = normal(32, 32).iter().map(|x| x.abs()).collect();
    let found =
        search(&Awq { group: 32, ..Awq::default() }, &exact, &[&weight], &means, Inputs::MeanSquare(&means))
            .unwrap();
    assert_eq!((found.exponent, found.error, &found.scales[..]), (None, 0.0, &[1.0; 32][..]));
    let without = Awq { group: 32, identity: false, ..Awq::default() };
    assert!(
        search(&without, &exact, &[&weight], &means, Inputs::MeanSquare(&means)).unwrap().exponent.is_some()
    );
    let nothing = Awq { grid: 0, ..without };
    assert!(matches!(
        search(&nothing, &exact, &[&weight], &means, Inputs::MeanSquare(&means)),
        Err(Error::Option { .. })
    ));
    let short = Inputs::MeanSquare(&means[..31]);
    assert_eq!(
        search(&Awq::default(), &exact, &[&weight], &means, short),
        Err(Error::Channels { got: 31, want: 32 })
    );
    let nan = [f32::NAN; 32];
    assert!(search(&Awq::default(), &exact, &[&weight], &nan, Inputs::MeanSquare(&means)).is_err());
}

#[test]
fn clipping_gains_on_every_group_or_leaves_it() {
    let (n, tokens) = (64, 80);
    let rows = inputs(tokens, n);
    let sums = hessian(&rows, n);
    let weight: Vec<f32> = normal(41, 12 * n).iter().map(|w| w * w * w).collect();
    let options = Clip { group: 32, ..Clip::default() };
    let recipe = int4(32);
    let restore = |w: &[f32]| {
        let q = recipe.quantize(lowbit_blocks::Shape::matrix(w.len() / n, n), w).unwrap();
        q.to_f32_vec()
    };
    let by_rows = clip(&options, &recipe, &weight, Inputs::Rows { rows: &rows, channels: n }).unwrap();
    let by_hessian =
        clip(&options, &restore, &weight, Inputs::Hessian { sums: &sums, tokens: tokens as u64 }).unwrap();
    assert_eq!(by_rows, by_hessian);
    // The error of one group alone, with and without clipping, from outputs.
    let group_error = |restored: &[f32], row: usize, group: usize| -> f64 {
        let columns = group * 32..(group + 1) * 32;
        let output = |x: &[f32]| -> f64 {
            columns
                .clone()
                .map(|c| f64::from(x[c]) * f64::from(restored[row * n + c] - weight[row * n + c]))
                .sum()
        };
        rows.chunks(n).map(|x| output(x).powi(2)).sum()
    };
    let (plain, clipped) = (restore(&weight), restore(&by_rows));
    let (mut better, mut total) = (0, (0.0, 0.0));
    for (row, group) in (0..12).flat_map(|r| [(r, 0), (r, 1)]) {
        let (before, after) = (group_error(&plain, row, group), group_error(&clipped, row, group));
        assert!(after <= before * (1.0 + 1e-9), "{row} {group}: {after} {before}");
        better += usize::from(after < before);
        total = (total.0 + before, total.1 + after);
        // What is clamped is clamped to one of ten limits.
        let of = |w: &[f32]| w[row * n + group * 32..][..32].iter().fold(0.0f32, |m, w| m.max(w.abs()));
        let share = f64::from(of(&by_rows)) / f64::from(of(&weight)) * 20.0;
        assert!((share - share.round()).abs() < 1e-4 && (11.0..=20.0).contains(&share.round()), "{share}");
    }
    assert!(better > 6 && total.1 < 0.9 * total.0, "{better} {total:?}");
    assert!(clip(&Clip { grid: 0, ..options }, &recipe, &weight, Inputs::MeanSquare(&[1.0; 64])).is_err());
    assert!(clip(&options, &recipe, &weight[1..], Inputs::MeanSquare(&[1.0; 64])).is_err());
}
