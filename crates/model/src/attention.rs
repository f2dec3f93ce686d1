//! Causal attention with grouped queries, sequence by sequence, block by block.
//!
//! ```text
//! S = scale Q K^T       128 queries x the keys up to the last of them
//! S_ij = -inf           for j > i, and for j <= i - window; i counts from the first key
//! O = softmax(S) V      weights are e^(S - max), sums divide at the end
//! ```
//!
//! A job is one block of queries of one head of one sequence: scores take 128 x keys of f32, whatever the number of sequences.

use crate::{exp, parallel};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// Queries of a job.
const QUERIES: usize = 128;

/// The heads of a layer; only the window differs between layers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heads {
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) scale: f32,
    pub(crate) cap: Option<f32>,
    pub(crate) window: Option<usize>,
}

/// Keys and values that the last tokens of a sequence attend to: rows of `kv_heads * head_dim`, from its first token on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sequence<'a> {
    /// How many tokens are queries.
    pub(crate) queries: usize,
    pub(crate) keys: &'a [f32],
    pub(crate) values: &'a [f32],
}

/// Attention of all sequences: `q` has rows of `heads * head_dim` for the queries of each, one after the other.
pub(crate) fn attention(h: &Heads, sequences: &[Sequence<'_>], q: &[f32]) -> Vec<f32> {
    let (wide, narrow) = (h.heads * h.head_dim, h.kv_heads * h.head_dim);
    let tokens: usize = sequences.iter().map(|s| s.queries).sum();
    let mut out = vec![0.0; tokens * wide];
    let q = MatRef::from_row_major_slice(q, tokens, wide);
    let (mut jobs, mut start) = (Vec::new(), 0);
    let mut rest = MatMut::from_row_major_slice_mut(&mut out, tokens, wide);
    for sequence in sequences {
        for first in (0..sequence.queries).step_by(QUERIES) {
            let (mut band, below) = rest.split_at_row_mut(QUERIES.min(sequence.queries - first));
            for head in 0..h.heads {
                let (block, right) = band.split_at_col_mut(h.head_dim);
                jobs.push((sequence, start + first, first, head, block));
                band = right;
            }
            rest = below;
        }
        start += sequence.queries;
    }
    parallel::each(jobs, |(sequence, row, first, head, mut out)| {
        let (rows, dim) = (out.nrows(), h.head_dim);
        let kv = head / (h.heads / h.kv_heads) * dim;
        let known = sequence.keys.len() / narrow;
        let [k, v] = [sequence.keys, sequence.values].map(|x| MatRef::from_row_major_slice(x, known, narrow));
        // Places in the sequence.
        let first = first + known - sequence.queries;
        let oldest = h.window.map_or(0, |window| (first + 1).saturating_sub(window));
        let keys = first + rows - oldest;
        let mut scores = vec![0.0; rows * keys];
        let query = q.submatrix(row, head * dim, rows, dim);
        let key = k.submatrix(oldest, kv, keys, dim);
        let s = MatMut::from_row_major_slice_mut(&mut scores, rows, keys);
        matmul(s, Accum::Replace, query, key.transpose(), 1.0, Par::Seq);
        let mut sums = vec![0.0; rows];
        for ((row, scores), sum) in scores.chunks_exact_mut(keys).enumerate().zip(&mut sums) {
            let last = first + row + 1 - oldest;
            let begin = h.window.map_or(0, |window| last.saturating_sub(window));
            scores[..begin].fill(0.0);
            scores[last..].fill(0.0);
            let seen = &mut scores[begin..last];
            if let Some(cap) = h.cap {
                seen.iter_mut().for_each(|s| *s = cap / h.scale * (*s * h.scale / cap).tanh());
            }
            *sum = exp::exp_less(seen, exp::largest(seen), h.scale);
        }
        let s = MatRef::from_row_major_slice(&scores, rows, keys);
        let value = v.submatrix(oldest, kv, keys, dim);
        matmul(out.as_mut(), Accum::Replace, s, value, 1.0, Par::Seq);
        for (row, sum) in sums.into_iter().enumerate() {
            let factor = 1.0 / sum;
            (0..dim).for_each(|col| out[(row, col)] *= factor);
        }
    });
    out
}

/// Rotates each head of each row by its position in its sequence: feature i and feature i + d / 2 of a head are a pair.
pub(crate) fn rotate(
    x: &mut [f32],
    head_dim: usize,
    width: usize,
    lengths: &[usize],
    cos: &[f32],
    sin: &[f32],
) {
    let (mut jobs, mut rest) = (Vec::new(), x);
    for &length in lengths {
        let (own, others) = rest.split_at_mut(length * width);
        jobs.push(own);
        rest = others;
    }
    let half = head_dim / 2;
    parallel::each(jobs, |rows| {
        for (row, (cos, sin)) in
            rows.chunks_exact_mut(width).zip(cos.chunks_exact(half).zip(sin.chunks_exact(half)))
        {
            for head in row.chunks_exact_mut(head_dim) {
                let (a, b) = head.split_at_mut(half);
                for ((a, b), (cos, sin)) in a.iter_mut().zip(b).zip(cos.iter().zip(sin)) {
                    (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
                }
            }
        }
    });
}
