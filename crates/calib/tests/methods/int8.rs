//! LLM.int8 and bias correction.

use crate::support::normal::normal;
use lowbit_calib::outliers::{Int8Rows, OUTLIER, columns, product};
use lowbit_calib::{ChannelStats, bias_correction};

fn exact(tokens: &[f32], weight: &[f32], n: usize) -> Vec<f64> {
    let dot = |x: &[f32], w: &[f32]| x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum::<f64>();
    tokens.chunks(n).flat_map(|x| weight.chunks(n).map(move |w| dot(x, w))).collect()
}

fn relative(got: &[f32], want: &[f64]) -> f64 {
    let error: f64 = got.iter().zip(want).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum();
    (error / want.iter().map(|b| b * b).sum::<f64>()).sqrt()
}

#[test]
fn outliers_in_two_columns_cost_eight_bits_their_accuracy_unless_taken_out() {
    let (n, tokens, rows) = (96, 12, 40);
    let mut x = normal(1, tokens * n);
    x.iter_mut().for_each(|x| *x = x.clamp(-4.0, 4.0));
    for row in x.chunks_mut(n) {
        row[17] += 60.0;
        row[64] *= 30.0;
    }
    x[64] = 100.0;
    let w = normal(2, rows * n);
    let weight = Int8Rows::new(&w, n).unwrap();
    assert_eq!(columns(&x, n, OUTLIER), [17, 64]);
    let want = exact(&x, &w, n);
    let plain = relative(&product(&x, &weight, n, 0.0).unwrap(), &want);
    let split = relative(&product(&x, &weight, n, OUTLIER).unwrap(), &want);
    assert!(split < 0.01 && plain > 2.0 * split, "{plain} {split}");

    // The formula written out for one output: inliers by codes, outliers as they are.
    let got = product(&x, &weight, n, OUTLIER).unwrap()[3 * rows + 5];
    let (token, row, scb) = (&x[3 * n..4 * n], &w[5 * n..6 * n], weight.absmax[5]);
    let sca = token.iter().filter(|a| a.abs() < 6.0).fold(0.0f32, |m, a| m.max(a.abs()));
    let (mut int, mut float) = (0i32, 0.0f64);
    for c in 0..n {
        let b = (row[c] * (127.0 / scb)).round_ties_even();
        match c {
            17 | 64 => float += f64::from(token[c]) * f64::from(b) * f64::from(scb) / 127.0,
            _ => int += ((token[c] * (127.0 / sca)).round_ties_even() * b) as i32,
        }
    }
    let want = f64::from(int) * f64::from(sca) * f64::from(scb) / 16129.0 + float;
    assert!((f64::from(got) - want).abs() < 1e-4 * want.abs().max(1.0), "{got} {want}");
}

#[test]
fn zero_rows_single_tokens_and_bad_values_are_defined() {
    let weight = Int8Rows::new(&[0.0, 0.0, 1.0, -1.0], 2).unwrap();
    assert_eq!((&weight.codes[..], &weight.absmax[..]), (&[0, 0, 127, -127][..], &[0.0, 1.0][..]));
    assert_eq!(product(&[0.0, 0.0], &weight, 2, OUTLIER).unwrap(), [0.0, 0.0]);
    // All of a token's values are outliers.
    let y = product(&[8.0, -7.0], &weight, 2, OUTLIER).unwrap();
    assert_eq!(y, [0.0, 15.0]);
    assert!(product(&[1.0, f32::NAN], &weight, 2, OUTLIER).is_err());
    assert!(product(&[1.0], &weight, 2, OUTLIER).is_err());
    assert!(Int8Rows::new(&[1.0, f32::INFINITY], 2).is_err());
    assert!(Int8Rows::new(&[1.0], 0).is_err());
}

#[test]
fn corrected_biases_restore_the_mean_of_outputs() {
    let (n, tokens, rows) = (24, 60, 10);
    let x: Vec<f32> = normal(3, tokens * n).iter().map(|x| x + 0.7).collect();
    let w = normal(4, rows * n);
    let rounded: Vec<f32> = w.iter().map(|w| (w * 2.0).round() / 2.0).collect();
    let mut stats = ChannelStats::new(n);
    stats.observe(&x).unwrap();
    let correction = bias_correction(&w, &rounded, &stats.mean()).unwrap();
    let (want, got) = (exact(&x, &w, n), exact(&x, &rounded, n));
    for (row, correction) in correction.iter().enumerate() {
        let mean = |y: &[f64]| y.iter().skip(row).step_by(rows).sum::<f64>() / tokens as f64;
        let (want, before) = (mean(&want), mean(&got));
        assert!((before + f64::from(*correction) - want).abs() < 1e-5 * (1.0 + want.abs()));
        assert!((before - want).abs() > 1e-3);
    }
    assert!(bias_correction(&w, &rounded[1..], &stats.mean()).is_err());
    assert!(bias_correction(&w, &rounded, &[]).is_err());
}
