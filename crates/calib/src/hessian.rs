//! How the inputs of a linear go together: the sum of x x^T over tokens.
//!
//! ```text
//! H = sum over tokens of x x^T              n x n, symmetric;  D the error of the weights:  sum over tokens |D x|^2 = tr(D H D^T)
//!
//! tokens ──► blocks of 512, counted from the first token ──► f32 products of a block (one triangle) ──► summed in f64
//! ```
//!
//! Tokens are held back until a block is full, so the sums depend neither on how tokens are cut into calls nor on threads. Blocks are added in
//! their order. [`Hessian::merge`] adds the sums of two, those held back by the other as a block of their own.
//!
//! GPTQ's Hessian is 2/n of this; no result depends on the factor.
//!
//! Source: Frantar et al. 2022, "GPTQ", section 3.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use lowbit_kernels::Kernels;

use crate::error::Error;
use crate::parallel::map;
use crate::products::{self, BLOCK, Entries, PANEL};

/// The sum of x x^T over tokens.
///
/// ```
/// use lowbit_calib::Hessian;
/// let mut hessian = Hessian::new(2);
/// hessian.observe(&[1.0, 2.0, /* second token */ 3.0, -1.0])?;
/// assert_eq!(hessian.sums(), [10.0, -1.0, -1.0, 5.0]); // 1 + 9, 2 - 3, 4 + 1
/// assert_eq!((hessian.tokens(), hessian.diagonal()), (2, vec![10.0, 5.0]));
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Hessian {
    size: usize,
    tokens: u64,
    /// The lower triangle, row-major, over whole blocks.
    sums: Vec<f64>,
    /// Tokens that do not fill a block yet.
    pending: Vec<f32>,
}

impl Hessian {
    /// Of no token yet.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self { size, tokens: 0, sums: vec![0.0; size * size], pending: Vec::new() }
    }

    /// Of sums that were computed elsewhere: row-major, of which the lower triangle is read.
    ///
    /// # Errors
    /// [`Error::Channels`] where there are not `size * size` of them; [`Error::Sums`] where one is not finite, or negative on the diagonal.
    pub fn from_sums(size: usize, tokens: u64, sums: Vec<f64>) -> Result<Self, Error> {
        if sums.len() != size * size {
            return Err(Error::Channels { got: sums.len(), want: size * size });
        }
        for (at, &value) in sums.iter().enumerate() {
            let (row, col) = (at / size, at % size);
            if !value.is_finite() || (row == col && value < 0.0) {
                return Err(Error::Sums { row, col, value });
            }
        }
        Ok(Self { size, tokens, sums, pending: Vec::new() })
    }

    /// Takes in whole tokens of [`size`](Self::size) channels each.
    ///
    /// # Errors
    /// [`Error::Tokens`] where they are not whole, [`Error::Activation`] at the first that is NaN or infinite; nothing is taken in then.
    pub fn observe(&mut self, rows: &[f32]) -> Result<(), Error> {
        let channels = self.size;
        if channels == 0 || !rows.len().is_multiple_of(channels) {
            return if rows.is_empty() {
                Ok(())
            } else {
                Err(Error::Tokens { values: rows.len(), features: channels })
            };
        }
        if let Some(at) = Kernels::best().first_non_finite(rows) {
            let token = self.tokens + (at / channels) as u64;
            return Err(Error::Activation { token, channel: at % channels, value: rows[at] });
        }
        self.tokens += (rows.len() / channels) as u64;
        let block = BLOCK * channels;
        let mut rows = rows;
        if !self.pending.is_empty() {
            let (filling, rest) = rows.split_at(rows.len().min(block - self.pending.len()));
            self.pending.extend_from_slice(filling);
            rows = rest;
            if self.pending.len() == block {
                let full = core::mem::take(&mut self.pending);
                add_lower(&mut self.sums, channels, &full);
            }
        }
        let (blocks, rest) = rows.split_at(rows.len() / block * block);
        blocks.chunks_exact(block).for_each(|block| add_lower(&mut self.sums, channels, block));
        self.pending.extend_from_slice(rest);
        Ok(())
    }

    /// Adds what another has seen.
    ///
    /// # Errors
    /// [`Error::Channels`] where it is of another size.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        if other.size != self.size {
            return Err(Error::Channels { got: other.size, want: self.size });
        }
        self.sums.iter_mut().zip(&other.sums).for_each(|(sum, other)| *sum += other);
        add_lower(&mut self.sums, self.size, &other.pending);
        self.tokens += other.tokens;
        Ok(())
    }

    /// Tokens seen.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Channels of a token: rows and columns of the matrix.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// The sum of x_j^2 of each channel.
    #[must_use]
    pub fn diagonal(&self) -> Vec<f64> {
        let sums = self.whole_triangle();
        (0..self.size).map(|j| sums[j * self.size + j]).collect()
    }

    /// E\[x_j^2\] of each channel, which [`Importance::Channels`](crate::Importance::Channels) takes; zeros if there was no token.
    #[must_use]
    pub fn mean_square(&self) -> Vec<f32> {
        let tokens = self.tokens.max(1) as f64;
        self.diagonal().into_iter().map(|sum| (sum / tokens) as f32).collect()
    }

    /// tr(W H W^T) / tokens: the mean squared length of an output vector, or of its error if `rows` are the errors of the weights. Products are f64, in
    /// the order of the machine's; rows in their order. 0 if there was no token.
    ///
    /// ```
    /// let mut hessian = lowbit_calib::Hessian::new(2);
    /// hessian.observe(&[1.0, 1.0, /* second token */ 1.0, -1.0])?;
    /// assert_eq!(hessian.output_power(&[0.5, 1.0])?, 1.25); // outputs 1.5 and -0.5: (2.25 + 0.25) / 2
    /// # Ok::<(), lowbit_calib::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Tokens`] where these are no whole rows.
    pub fn output_power(&self, rows: &[f32]) -> Result<f64, Error> {
        let n = self.size;
        if n == 0 || !rows.len().is_multiple_of(n) {
            return if rows.is_empty() {
                Ok(0.0)
            } else {
                Err(Error::Tokens { values: rows.len(), features: n })
            };
        }
        let sums = self.sums();
        let hessian = MatRef::from_row_major_slice(&sums, n, n);
        let panels = map(rows.chunks(PANEL * n).collect(), |rows: &[f32]| {
            let count = rows.len() / n;
            let rows: Vec<f64> = rows.iter().map(|x| f64::from(*x)).collect();
            let mut products = vec![0.0; rows.len()];
            matmul(
                MatMut::from_row_major_slice_mut(&mut products, count, n),
                Accum::Replace,
                MatRef::from_row_major_slice(&rows, count, n),
                hessian,
                1.0,
                Par::Seq,
            );
            Ok(rows.iter().zip(&products).map(|(x, y)| x * y).sum::<f64>())
        })?;
        Ok(panels.into_iter().sum::<f64>() / self.tokens.max(1) as f64)
    }

    /// The whole symmetric matrix, row-major.
    #[must_use]
    pub fn sums(&self) -> Vec<f64> {
        let mut sums = self.whole_triangle().into_owned();
        let n = self.size;
        // In squares, so that rows and columns stay in the cache.
        const SQUARE: usize = 32;
        for top in (0..n).step_by(SQUARE) {
            for left in (0..=top).step_by(SQUARE) {
                for row in top..n.min(top + SQUARE) {
                    for col in left..row.min(left + SQUARE) {
                        sums[col * n + row] = sums[row * n + col];
                    }
                }
            }
        }
        sums
    }

    /// The lower triangle with what is held back.
    fn whole_triangle(&self) -> std::borrow::Cow<'_, [f64]> {
        if self.pending.is_empty() {
            return (&self.sums).into();
        }
        let mut sums = self.sums.clone();
        add_lower(&mut sums, self.size, &self.pending);
        sums.into()
    }

    /// Some channels, in another order.
    pub(crate) fn permuted(&self, perm: &[usize]) -> Self {
        let sums = self.whole_triangle();
        let entry = |a: usize, b: usize| sums[a.max(b) * self.size + a.min(b)];
        let permuted = perm.iter().flat_map(|&a| perm.iter().map(move |&b| (a, b)));
        let sums = permuted.map(|(a, b)| entry(a, b)).collect();
        Self { size: perm.len(), tokens: self.tokens, sums, pending: Vec::new() }
    }

    /// Of some channels only.
    pub(crate) fn part(&self, channels: core::ops::Range<usize>) -> Self {
        let all: Vec<usize> = channels.collect();
        self.permuted(&all)
    }

    /// The blocks of `len` channels on the diagonal, one after the other, each divided by the number of tokens.
    pub(crate) fn diagonal_blocks(&self, len: usize) -> Vec<f64> {
        let sums = self.whole_triangle();
        let tokens = self.tokens.max(1) as f64;
        let mut blocks = Vec::with_capacity(self.size * len);
        for first in (0..self.size).step_by(len) {
            for row in first..first + len {
                let entry = |col: usize| sums[row.max(col) * self.size + row.min(col)] / tokens;
                blocks.extend((first..first + len).map(entry));
            }
        }
        blocks
    }
}

/// Adds X^T X of some tokens to the lower triangle of `sums`.
fn add_lower(sums: &mut [f64], n: usize, tokens: &[f32]) {
    if !tokens.is_empty() {
        products::add(sums, (tokens, n), (tokens, n), Entries::Lower);
    }
}
