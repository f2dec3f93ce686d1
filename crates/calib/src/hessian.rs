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

#[cfg(feature = "gptq")]
mod observe;

use crate::error::Error;

/// The sum of x x^T over tokens.
///
/// ```
/// use lowbit_calib::Hessian;
/// // Of the tokens (1, 2) and (3, -1): 1 + 9, 2 - 3, 4 + 1. The upper triangle is not read.
/// let hessian = Hessian::from_sums(2, 2, vec![10.0, 0.0, -1.0, 5.0])?;
/// assert_eq!(hessian.sums(), [10.0, -1.0, -1.0, 5.0]);
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
    #[cfg(feature = "gptq")]
    pending: Vec<f32>,
}

impl Hessian {
    /// Of no token yet.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self::of(size, 0, vec![0.0; size * size])
    }

    fn of(size: usize, tokens: u64, sums: Vec<f64>) -> Self {
        #[cfg(feature = "gptq")]
        return Self { size, tokens, sums, pending: Vec::new() };
        #[cfg(not(feature = "gptq"))]
        Self { size, tokens, sums }
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
        Ok(Self::of(size, tokens, sums))
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

    /// The lower triangle with the tokens that are held back: none, as tokens are only taken in by `observe`.
    #[cfg(not(feature = "gptq"))]
    fn whole_triangle(&self) -> std::borrow::Cow<'_, [f64]> {
        (&self.sums).into()
    }

    /// Some channels, in another order.
    #[cfg_attr(not(feature = "gptq"), allow(dead_code))] // solvers ask for it
    pub(crate) fn permuted(&self, perm: &[usize]) -> Self {
        let sums = self.whole_triangle();
        let entry = |a: usize, b: usize| sums[a.max(b) * self.size + a.min(b)];
        let permuted = perm.iter().flat_map(|&a| perm.iter().map(move |&b| (a, b)));
        let sums = permuted.map(|(a, b)| entry(a, b)).collect();
        Self::of(perm.len(), self.tokens, sums)
    }

    /// Of some channels only.
    #[cfg_attr(not(feature = "gptq"), allow(dead_code))] // solvers ask for it
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
