//! Products of tokens and weights, `Y = X W^T`, cut into blocks of fixed size.
//!
//! ```text
//! Y [tokens, out] = X [tokens, in] W [out, in]^T      a job: 256 tokens x 1024 outputs (few tokens: 128), one thread, faer's f32 product
//! ```
//!
//! How a product is cut depends on its shape alone, so the sums run in the same order on any number of threads. That order is faer's, and with it
//! the last bits depend on the vector width of the machine.

use crate::parallel;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// Tokens of a job.
const TOKENS: usize = 256;
/// Outputs of a job.
const OUTPUTS: usize = 1024;
/// Fewer tokens than this are a step of generation, whose work is to read the weight: more jobs.
const FEW_TOKENS: usize = 64;
/// Outputs of a job of few tokens.
const FEW_OUTPUTS: usize = 128;

/// Y = X W^T: rows of `inputs` features times a weight of `outputs` rows of `inputs` values.
pub(crate) fn product(
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    inputs: usize,
    outputs: usize,
    y: &mut [f32],
) {
    if inputs == 0 || outputs == 0 {
        y.fill(0.0);
        return;
    }
    let tokens = x.len() / inputs;
    let high = if tokens < FEW_TOKENS { FEW_OUTPUTS } else { OUTPUTS };
    let mut jobs = Vec::new();
    let mut rest = MatMut::from_row_major_slice_mut(y, tokens, outputs);
    for first in (0..tokens).step_by(TOKENS) {
        let (mut band, below) = rest.split_at_row_mut(TOKENS.min(tokens - first));
        for output in (0..outputs).step_by(high) {
            let (block, right) = band.split_at_col_mut(high.min(outputs - output));
            jobs.push((first, output, block));
            band = right;
        }
        rest = below;
    }
    parallel::each(jobs, |(token, output, mut block)| {
        let (rows, cols) = (block.nrows(), block.ncols());
        let x = MatRef::from_row_major_slice(&x[token * inputs..][..rows * inputs], rows, inputs);
        let w = MatRef::from_row_major_slice(&w[output * inputs..][..cols * inputs], cols, inputs);
        matmul(block.as_mut(), Accum::Replace, x, w.transpose(), 1.0, Par::Seq);
        if let Some(bias) = bias {
            for row in 0..rows {
                for (col, bias) in bias[output..output + cols].iter().enumerate() {
                    block[(row, col)] += bias;
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_products_are_exact() {
        let mut y = [9.0; 4];
        product(&[1.0, 2.0, 3.0, 4.0], &[1.0, 10.0, 100.0, 1000.0], Some(&[0.5, 0.0]), 2, 2, &mut y);
        assert_eq!(y, [21.5, 2100.0, 43.5, 4300.0]);
    }

    #[test]
    fn blocks_fit_together() {
        // Whole numbers, so that every order of sums is exact.
        let (tokens, inputs, outputs) = (2 * TOKENS + 3, 5, OUTPUTS + 7);
        let x: Vec<f32> = (0..tokens * inputs).map(|i| (i % 7) as f32).collect();
        let w: Vec<f32> = (0..outputs * inputs).map(|i| (i % 11) as f32 - 5.0).collect();
        let mut y = vec![0.0; tokens * outputs];
        product(&x, &w, None, inputs, outputs, &mut y);
        for token in [0, 255, 256, 511, 514] {
            for output in [0, 1023, 1024, 1030] {
                let want: f32 = (0..inputs).map(|i| x[token * inputs + i] * w[output * inputs + i]).sum();
                assert_eq!(y[token * outputs + output], want, "token {token}, output {output}");
            }
        }
    }
}
