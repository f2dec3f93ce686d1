//! Root mean square norms.
//!
//! ```text
//! y = w x / sqrt(mean(x^2) + eps)       f32, the sum in sixteen lanes; Gemma's w is 1 + the stored one
//! ```
//!
//! Zhang, Sennrich: Root Mean Square Layer Normalization, 2019.

use crate::{exp, parallel};

/// Values of a job.
const JOB: usize = 1 << 16;

/// The norm of each row of `weight.len()` values, into `out`.
pub(crate) fn norm_into(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let width = weight.len().max(1);
    let chunk = (JOB / width).max(1) * width;
    let jobs: Vec<_> = x.chunks(chunk).zip(out.chunks_mut(chunk)).collect();
    parallel::each(jobs, |(x, out)| {
        for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            let factor = 1.0 / (exp::squares(x) / width as f32 + eps).sqrt();
            for ((out, x), w) in out.iter_mut().zip(x).zip(weight) {
                *out = w * (x * factor);
            }
        }
    });
}

/// The norm of each row in its place.
pub(crate) fn norm(x: &mut [f32], weight: &[f32], eps: f32) {
    let width = weight.len().max(1);
    let chunk = (JOB / width).max(1) * width;
    parallel::each(x.chunks_mut(chunk).collect(), |x| {
        for x in x.chunks_exact_mut(width) {
            let factor = 1.0 / (exp::squares(x) / width as f32 + eps).sqrt();
            for (x, w) in x.iter_mut().zip(weight) {
                *x = w * (*x * factor);
            }
        }
    });
}

/// `x += y`.
pub(crate) fn add(x: &mut [f32], y: &[f32]) {
    let jobs: Vec<_> = x.chunks_mut(JOB).zip(y.chunks(JOB)).collect();
    parallel::each(jobs, |(x, y)| x.iter_mut().zip(y).for_each(|(x, y)| *x += y));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_a_mean_square_of_one() {
        let mut x = [3.0, -3.0, 3.0, 3.0, 0.0, 0.0, 0.0, 0.0];
        let mut y = [9.0; 8];
        norm_into(&x, &[1.0, 1.0, 2.0, 0.5], 0.0, &mut y[..4]);
        assert_eq!(y[..4], [1.0, -1.0, 2.0, 0.5]);
        norm(&mut x, &[1.0, 1.0, 2.0, 0.5], 1e-6);
        assert_eq!(x[4..], [0.0; 4], "a row of zeros stays one");
        add(&mut y[..4], &[1.0; 4]);
        assert_eq!(y[..4], [2.0, 0.0, 3.0, 1.5]);
    }
}
