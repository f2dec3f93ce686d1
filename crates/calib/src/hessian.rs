//! The Hessian of the inputs of a linear: the sum of x x^T over tokens.
//!
//! ```text
//! H = sum over tokens of x x^T              n x n, symmetric
//! sum over tokens |D x|^2 = tr(D H D^T)     D: the error of the weights
//!
//! tokens ──► blocks of 512, counted from the first token ──► f32 products of a block (one triangle)
//!        ──► sums in f64
//! ```
//!
//! Tokens are buffered until a block is full, so the sums depend neither on the division of tokens
//! into calls nor on threads. Blocks are added in their order. [`Hessian::merge`] adds the sums of
//! another Hessian, with its buffered tokens as a separate block.
//!
//! GPTQ's Hessian is 2/n times this one; no result depends on the factor.
//!
//! Source: Frantar et al. 2022, "GPTQ", section 3.

#[cfg(feature = "gptq")]
mod observe;

use crate::error::Error;

/// The sum of x x^T over tokens.
///
/// ```
/// use lowbit_calib::Hessian;
/// // The sums of the tokens (1, 2) and (3, -1): 1 + 9, 2 - 3, 4 + 1. The upper triangle is not read.
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
    /// Tokens of the block that is not full yet.
    #[cfg(feature = "gptq")]
    pending: Vec<f32>,
}

impl Hessian {
    /// The Hessian of no tokens, for inputs of `size` channels.
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

    /// The Hessian of given sums, row-major. Only the lower triangle is read.
    ///
    /// # Errors
    /// [`Error::Channels`] if there are not `size * size` sums; [`Error::Sums`] if one is not
    /// finite, or negative on the diagonal.
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

    /// The number of observed tokens.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.tokens
    }

    /// The number of channels: rows and columns of the matrix.
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

    /// E\[x_j^2\] of each channel, for [`Importance::Channels`](crate::Importance::Channels); zeros
    /// if no token was observed.
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
        // Transposed in squares, so that rows and columns stay in the cache.
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

    /// The lower triangle. Nothing is buffered, as only `observe` adds tokens.
    #[cfg(not(feature = "gptq"))]
    fn whole_triangle(&self) -> std::borrow::Cow<'_, [f64]> {
        (&self.sums).into()
    }

    /// The Hessian of some channels, in the order `perm`.
    #[cfg_attr(not(feature = "gptq"), allow(dead_code))] // solvers ask for it
    pub(crate) fn permuted(&self, perm: &[usize]) -> Self {
        let sums = self.whole_triangle();
        let entry = |a: usize, b: usize| sums[a.max(b) * self.size + a.min(b)];
        let permuted = perm.iter().flat_map(|&a| perm.iter().map(move |&b| (a, b)));
        let sums = permuted.map(|(a, b)| entry(a, b)).collect();
        Self::of(perm.len(), self.tokens, sums)
    }

    /// The Hessian of a range of channels.
    #[cfg_attr(not(feature = "gptq"), allow(dead_code))] // solvers ask for it
    pub(crate) fn part(&self, channels: core::ops::Range<usize>) -> Self {
        let all: Vec<usize> = channels.collect();
        self.permuted(&all)
    }

    /// The diagonal blocks of `len` channels, concatenated and divided by the number of tokens.
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
