//! Rotations that spread outliers: block-diagonal Hadamard matrices, optionally with random signs.
//!
//! ```text
//! T = H diag(signs) / sqrt(n)          T^T T = 1          n = 2^k, or 2^k times 12, 20, 28 (Kronecker product with a Paley matrix)
//! x' = T x, block by block             y = W x = (W T^T) (T x)           row i of W T^T is T w_i
//!
//! R1, the residual stream    all readers (norm weights folded in first)             rows      W T^T
//!                            all writers (o_proj, down_proj, their biases)          columns   T W
//!                            embeddings                                             rows
//! R2, values of each head    v_proj (and its bias)               columns, blocks of a head
//!                            o_proj                              rows, blocks of a head
//! ```
//!
//! Both rotations cost nothing at run time, since each is cancelled by its inverse, and an RMSNorm
//! without a weight commutes with them. (A LayerNorm does not: its mean has to be removed first.)
//! Sums are f64, rounded once to f32.
//!
//! Sources: QuaRot (arXiv 2404.00456), SpinQuant (2405.16406); Paley (1933).

use crate::error::Error;
use crate::fold;

/// Orders of Paley matrices, each with its prime q and its construction: the first has q + 1 rows,
/// the second 2 (q + 1).
const PALEY: [(usize, usize, bool); 3] = [(12, 11, false), (20, 19, false), (28, 13, true)];

/// An orthogonal matrix of equal diagonal blocks.
///
/// ```
/// let rotation = lowbit_calib::Rotation::new(4)?;
/// let mut row = [8.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0];
/// rotation.rows(&mut row)?;
/// assert_eq!(row, [4.0, 4.0, 4.0, 4.0, 2.0, 0.0, 0.0, 0.0]); // the outlier of 8 is spread over its block
/// rotation.invert_rows(&mut row)?;
/// assert_eq!(row, [8.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct Rotation {
    block: usize,
    /// The Paley factor, row-major; empty if the block is a power of two.
    odd: Vec<f64>,
    order: usize,
    signs: Vec<f64>,
}

impl Rotation {
    /// A rotation of Hadamard blocks of this size, without signs.
    ///
    /// # Errors
    /// [`Error::Option`] if the size is neither a power of two nor one times 12, 20 or 28.
    pub fn new(block: usize) -> Result<Self, Error> {
        let power = |n: usize| block.is_multiple_of(n) && (block / n).is_power_of_two();
        let paley = PALEY.iter().find(|(order, ..)| power(*order));
        let (order, odd) = match paley {
            Some(&(order, q, second)) => (order, if second { paley_second(q) } else { paley_first(q) }),
            None if power(1) => (1, Vec::new()),
            None => {
                let want = "a power of two, or one times 12, 20 or 28";
                return Err(Error::Option { option: "block", value: block as f64, want });
            }
        };
        Ok(Self { block, odd, order, signs: vec![1.0; block] })
    }

    /// The same rotation with random signs from a seed, one per place in a block. They break up
    /// structure in the weights that a plain Hadamard matrix may match.
    #[must_use]
    pub fn with_signs(mut self, seed: u64) -> Self {
        let mut state = seed;
        for sign in &mut self.signs {
            // SplitMix64 (Steele, Lea, Flood 2014).
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            *sign = if (z ^ z >> 31) & 1 == 0 { 1.0 } else { -1.0 };
        }
        self
    }

    /// The number of values of a block.
    #[must_use]
    pub const fn block(&self) -> usize {
        self.block
    }

    /// Applies T to each block of consecutive rows: weights that read rotated inputs, embeddings,
    /// or activations.
    ///
    /// # Errors
    /// [`Error::Tokens`] if the values are not whole blocks. Rows must be whole blocks too.
    pub fn rows(&self, rows: &mut [f32]) -> Result<(), Error> {
        self.each(rows, |rotation, x| rotation.forward(x))
    }

    /// Applies the inverse of [`rows`](Self::rows).
    ///
    /// # Errors
    /// [`Error::Tokens`] if the values are not whole blocks.
    pub fn invert_rows(&self, rows: &mut [f32]) -> Result<(), Error> {
        self.each(rows, |rotation, x| rotation.backward(x))
    }

    /// Applies T from the left, T W, to blocks of rows of a matrix with `columns` columns: weights
    /// that write rotated outputs. A bias is a matrix of one column.
    ///
    /// # Errors
    /// [`Error::Tokens`] if the rows are not whole blocks.
    pub fn columns(&self, weight: &mut [f32], columns: usize) -> Result<(), Error> {
        let features = self.block.saturating_mul(columns);
        if features == 0 || !weight.len().is_multiple_of(features) {
            return Err(Error::Tokens { values: weight.len(), features });
        }
        let mut x = vec![0.0; self.block];
        for rows in weight.chunks_exact_mut(features) {
            for column in 0..columns {
                let place = |at: usize| at * columns + column;
                x.iter_mut().enumerate().for_each(|(at, x)| *x = f64::from(rows[place(at)]));
                self.forward(&mut x);
                x.iter().enumerate().for_each(|(at, x)| rows[place(at)] = *x as f32);
            }
        }
        Ok(())
    }

    fn each(&self, rows: &mut [f32], rotate: impl Fn(&Self, &mut [f64])) -> Result<(), Error> {
        if !rows.len().is_multiple_of(self.block) {
            return Err(Error::Tokens { values: rows.len(), features: self.block });
        }
        let mut x = vec![0.0; self.block];
        for block in rows.chunks_exact_mut(self.block) {
            x.iter_mut().zip(&*block).for_each(|(x, &value)| *x = f64::from(value));
            rotate(self, &mut x);
            block.iter_mut().zip(&x).for_each(|(value, x)| *value = *x as f32);
        }
        Ok(())
    }

    fn forward(&self, x: &mut [f64]) {
        x.iter_mut().zip(&self.signs).for_each(|(x, sign)| *x *= sign);
        self.hadamard(x, |i, j| i * self.order + j);
    }

    fn backward(&self, x: &mut [f64]) {
        self.hadamard(x, |i, j| j * self.order + i);
        x.iter_mut().zip(&self.signs).for_each(|(x, sign)| *x *= sign);
    }

    /// H x / sqrt(n). `place` is the index of an entry of the Paley factor, or of its transpose.
    fn hadamard(&self, x: &mut [f64], place: impl Fn(usize, usize) -> usize) {
        let inner = self.block / self.order;
        for run in x.chunks_exact_mut(inner) {
            let mut half = 1;
            while half < inner {
                for pair in run.chunks_exact_mut(2 * half) {
                    let (a, b) = pair.split_at_mut(half);
                    a.iter_mut().zip(b).for_each(|(a, b)| (*a, *b) = (*a + *b, *a - *b));
                }
                half *= 2;
            }
        }
        if self.order > 1 {
            let mut column = vec![0.0; self.order];
            for at in 0..inner {
                for (i, sum) in column.iter_mut().enumerate() {
                    *sum = (0..self.order).map(|j| self.odd[place(i, j)] * x[j * inner + at]).sum();
                }
                column.iter().enumerate().for_each(|(i, sum)| x[i * inner + at] = *sum);
            }
        }
        let root = (self.block as f64).sqrt();
        x.iter_mut().for_each(|x| *x /= root);
    }
}

/// Folds the weight of an RMSNorm into the linears that read it, and sets it to 1. The residual
/// stream before it can then be rotated.
///
/// `offset`: whether the norm multiplies by 1 + weight; its weight is then set to 0.
///
/// ```
/// let (mut norm, mut q) = ([2.0, 0.5], [1.0, 4.0]);
/// lowbit_calib::absorb_norm(&mut norm, false, &mut [&mut q])?;
/// assert_eq!((norm, q), ([1.0, 1.0], [2.0, 2.0]));
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tokens`] if a linear is not whole rows of as many columns as the norm has channels.
pub fn absorb_norm(norm: &mut [f32], offset: bool, readers: &mut [&mut [f32]]) -> Result<(), Error> {
    let factors: Vec<f32> = norm.iter().map(|w| if offset { 1.0 + w } else { *w }).collect();
    for reader in readers {
        fold::multiply_columns(reader, &factors)?;
    }
    norm.fill(if offset { 0.0 } else { 1.0 });
    Ok(())
}

/// The quadratic character modulo q: 1 for squares, -1 for other numbers, 0 for 0.
fn character(x: usize, q: usize) -> f64 {
    match (x % q, (1..q).any(|y| y * y % q == x % q)) {
        (0, _) => 0.0,
        (_, true) => 1.0,
        _ => -1.0,
    }
}

/// q = 3 modulo 4: 1 + S, with S skew-symmetric and a border of ones.
fn paley_first(q: usize) -> Vec<f64> {
    let entry = |i: usize, j: usize| match (i, j) {
        (i, j) if i == j => 1.0,
        (0, _) => 1.0,
        (_, 0) => -1.0,
        (i, j) => character(q + j - i, q),
    };
    (0..=q).flat_map(|i| (0..=q).map(move |j| entry(i, j))).collect()
}

/// q = 1 modulo 4: C x [1 1; 1 -1] + 1 x [1 -1; -1 -1], with C symmetric and a border of ones.
fn paley_second(q: usize) -> Vec<f64> {
    let c = |i: usize, j: usize| match (i, j) {
        (i, j) if i == j => 0.0,
        (0, _) | (_, 0) => 1.0,
        (i, j) => character(q + j - i, q),
    };
    let entry = |i: usize, j: usize| {
        let (off, on) = if i % 2 == 1 && j % 2 == 1 {
            (-1.0, -1.0)
        } else {
            (1.0, if i % 2 == j % 2 { 1.0 } else { -1.0 })
        };
        if i / 2 == j / 2 { on } else { c(i / 2, j / 2) * off }
    };
    let n = 2 * (q + 1);
    (0..n).flat_map(|i| (0..n).map(move |j| entry(i, j))).collect()
}
