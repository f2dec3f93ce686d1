//! The published algorithm, written out once more in f64, slowly, with an explicit inverse: codes have to be equal.

mod support;

use lowbit_blocks::{Block, Format, ScaleKind, Shape};
use lowbit_calib::{Gptq, Groups, Hessian, Recipe};
use support::inputs::correlated;
use support::normal::normal;
use support::unpack;

/// A square matrix of f64.
type Matrix = Vec<Vec<f64>>;

fn inverse(a: &Matrix) -> Matrix {
    let n = a.len();
    let mut rows: Matrix = (0..n)
        .map(|i| a[i].iter().copied().chain((0..n).map(|j| f64::from(u8::from(i == j)))).collect())
        .collect();
    for k in 0..n {
        let pivot = rows[k][k];
        rows[k].iter_mut().for_each(|x| *x /= pivot);
        let row = rows[k].clone();
        for (_, other) in rows.iter_mut().enumerate().filter(|(i, _)| *i != k) {
            let factor = other[k];
            other.iter_mut().zip(&row).for_each(|(x, y)| *x -= factor * y);
        }
    }
    rows.into_iter().map(|row| row[n..].to_vec()).collect()
}

/// U upper triangular with U^T U = a.
fn upper_cholesky(a: &Matrix) -> Matrix {
    let n = a.len();
    let mut u = vec![vec![0.0; n]; n];
    for i in 0..n {
        for j in i..n {
            let sum: f64 = (0..i).map(|k| u[k][i] * u[k][j]).sum();
            u[i][j] = if i == j { (a[i][i] - sum).sqrt() } else { (a[i][j] - sum) / u[i][i] };
        }
    }
    u
}

/// How a run is set up.
#[derive(Clone, Copy, Debug)]
struct Settings {
    bits: u32,
    symmetric: bool,
    group: usize,
    block: usize,
}

/// Codes, and how near a quotient came to the middle between two.
fn published(weight: &[f32], tokens: &[f32], n: usize, settings: Settings) -> (Vec<Vec<i64>>, f64) {
    let Settings { bits, symmetric, group, block } = settings;
    let count = tokens.len() / n;
    let mut h = vec![vec![0.0; n]; n];
    for x in tokens.chunks_exact(n) {
        for i in 0..n {
            for j in 0..n {
                h[i][j] += 2.0 / count as f64 * f64::from(x[i]) * f64::from(x[j]);
            }
        }
    }
    let mut w: Matrix =
        weight.chunks_exact(n).map(|row| row.iter().map(|x| f64::from(*x)).collect()).collect();
    for i in 0..n {
        if h[i][i] == 0.0 {
            h[i][i] = 1.0;
            w.iter_mut().for_each(|row| row[i] = 0.0);
        }
    }
    let damp = 0.01 * (0..n).map(|i| h[i][i]).sum::<f64>() / n as f64;
    (0..n).for_each(|i| h[i][i] += damp);
    let u = upper_cholesky(&inverse(&h));
    let levels = f64::from((1u32 << bits) - 1);
    let mut margin = f64::INFINITY;
    let mut codes = Vec::new();
    for row in &mut w {
        let mut own = Vec::new();
        let (mut scale, mut zero) = (1.0, 0.0);
        for start in (0..n).step_by(block) {
            let end = n.min(start + block);
            let mut copy = row[start..end].to_vec();
            let mut errors = vec![0.0; end - start];
            for i in start..end {
                if i % group == 0 {
                    // From the row, not from the copy.
                    let slice = &row[i..n.min(i + group)];
                    let mut lo = slice.iter().fold(0.0, |a: f64, x| a.min(*x));
                    let mut hi = slice.iter().fold(0.0, |a: f64, x| a.max(*x));
                    if symmetric {
                        hi = hi.max(lo.abs());
                        lo = -hi;
                    }
                    scale = (hi - lo) / levels;
                    zero = if symmetric { (levels + 1.0) / 2.0 } else { (-lo / scale).round_ties_even() };
                    if !symmetric {
                        margin = margin.min(((-lo / scale).fract().abs() - 0.5).abs());
                    }
                }
                let value = copy[i - start];
                let quotient = value / scale;
                margin = margin.min((quotient.fract().abs() - 0.5).abs());
                let code = (quotient.round_ties_even() + zero).clamp(0.0, levels);
                own.push(code as i64);
                let error = (value - scale * (code - zero)) / u[i][i];
                for k in i..end {
                    copy[k - start] -= error * u[i][k];
                }
                errors[i - start] = error;
            }
            for k in end..n {
                row[k] -= (start..end).map(|i| errors[i - start] * u[i][k]).sum::<f64>();
            }
        }
        codes.push(own);
    }
    (codes, margin)
}

fn format(settings: Settings) -> Format {
    let bits = settings.bits as u8;
    let block = Block::Group(settings.group);
    let format = if settings.symmetric { Format::int(bits, block) } else { Format::uint(bits, block) };
    format.with_scale(ScaleKind::F32)
}

/// Our codes in the same order, counted from zero.
fn codes(gptq: &Gptq<'_>, weight: &[f32], hessian: &Hessian, settings: Settings) -> Vec<Vec<i64>> {
    let n = hessian.size();
    let recipe = Recipe::new(format(settings)).unwrap();
    let shape = Shape::matrix(weight.len() / n, n);
    let solved = gptq.quantize(&recipe, shape, weight, hessian, &[]).unwrap();
    let codes = unpack(settings.bits as usize, solved.weight.codes(), weight.len());
    let half = 1 << (settings.bits - 1);
    let offset =
        |code: u8| if settings.symmetric { (i64::from(code) + half) % (2 * half) } else { i64::from(code) };
    codes.chunks_exact(n).map(|row| row.iter().copied().map(offset).collect()).collect()
}

/// Rounding in f32 may move a quotient by this much.
const DOUBT: f64 = 2e-5;

#[test]
fn codes_are_those_of_the_published_algorithm() {
    let (rows, n) = (3, 64);
    let mut compared = 0;
    for seed in 0..6 {
        let weight = normal(100 + seed, rows * n);
        let mut tokens = correlated(200 + seed, 150, n);
        if seed % 2 == 1 {
            tokens.chunks_exact_mut(n).for_each(|token| token[9] = 0.0); // a dead channel
        }
        let mut hessian = Hessian::new(n);
        hessian.observe(&tokens).unwrap();
        for (bits, symmetric) in [(4, true), (4, false), (3, true), (2, false), (8, true)] {
            for (group, block) in [(64, 16), (16, 64), (32, 32), (8, 32), (32, 16)] {
                let settings = Settings { bits, symmetric, group, block };
                let (want, margin) = published(&weight, &tokens, n, settings);
                if margin > DOUBT * f64::from(1u32 << bits) {
                    compared += 1;
                    let gptq = Gptq { block, ..Gptq::published() };
                    assert_eq!(codes(&gptq, &weight, &hessian, settings), want, "seed {seed}, {settings:?}");
                }
            }
        }
    }
    assert!(compared >= 75, "{compared} of 150 problems are far enough from ties");
}

/// Scales from what the feedback has left, whatever the block: as the published loop has them where a block is a group.
#[test]
fn live_groups_are_those_of_blocks_of_one_group() {
    let (rows, n) = (4, 64);
    let mut compared = 0;
    for seed in 0..6 {
        let weight = normal(300 + seed, rows * n);
        let tokens = correlated(400 + seed, 150, n);
        let mut hessian = Hessian::new(n);
        hessian.observe(&tokens).unwrap();
        for (symmetric, group, block) in [(true, 16, 64), (false, 16, 32), (true, 32, 16), (false, 64, 32)] {
            let settings = Settings { bits: 4, symmetric, group, block: group };
            let (want, margin) = published(&weight, &tokens, n, settings);
            if margin > DOUBT * 16.0 {
                compared += 1;
                let gptq = Gptq { block, groups: Groups::Live, ..Gptq::published() };
                assert_eq!(codes(&gptq, &weight, &hessian, settings), want, "seed {seed}, {settings:?}");
            }
        }
    }
    assert!(compared >= 8, "{compared} of 24 problems are far enough from ties");
}
