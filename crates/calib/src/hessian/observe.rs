//! Matrix products of a Hessian: observing tokens, and the output power of a linear.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use lowbit_kernels::Kernels;

use super::Hessian;
use crate::error::Error;
use crate::parallel::map;
use crate::products::{self, BLOCK, Entries, PANEL};

#[cfg_attr(docsrs, doc(cfg(feature = "gptq")))]
impl Hessian {
    /// Adds whole tokens of [`size`](Self::size) channels each.
    ///
    /// ```
    /// let mut hessian = lowbit_calib::Hessian::new(2);
    /// hessian.observe(&[1.0, 2.0, /* second token */ 3.0, -1.0])?;
    /// assert_eq!(hessian.sums(), [10.0, -1.0, -1.0, 5.0]); // 1 + 9, 2 - 3, 4 + 1
    /// assert_eq!((hessian.tokens(), hessian.diagonal()), (2, vec![10.0, 5.0]));
    /// # Ok::<(), lowbit_calib::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Tokens`] if the values are not whole tokens; [`Error::Activation`] at the first NaN
    /// or infinity. The Hessian is then unchanged.
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

    /// Adds the sums of another Hessian.
    ///
    /// # Errors
    /// [`Error::Channels`] if it is of another size.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        if other.size != self.size {
            return Err(Error::Channels { got: other.size, want: self.size });
        }
        self.sums.iter_mut().zip(&other.sums).for_each(|(sum, other)| *sum += other);
        add_lower(&mut self.sums, self.size, &other.pending);
        self.tokens += other.tokens;
        Ok(())
    }

    /// The mean squared length of an output vector, tr(W H W^T) / tokens, or that of its error if
    /// `rows` are the errors of the weights. Products are f64, in the machine's order; rows are
    /// added in order. 0 if no token was observed.
    ///
    /// ```
    /// let mut hessian = lowbit_calib::Hessian::new(2);
    /// hessian.observe(&[1.0, 1.0, /* second token */ 1.0, -1.0])?;
    /// assert_eq!(hessian.output_power(&[0.5, 1.0])?, 1.25); // outputs 1.5 and -0.5: (2.25 + 0.25) / 2
    /// # Ok::<(), lowbit_calib::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Tokens`] if the values are not whole rows.
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

    /// The lower triangle, with the buffered tokens.
    pub(super) fn whole_triangle(&self) -> std::borrow::Cow<'_, [f64]> {
        if self.pending.is_empty() {
            return (&self.sums).into();
        }
        let mut sums = self.sums.clone();
        add_lower(&mut sums, self.size, &self.pending);
        sums.into()
    }
}

/// Adds X^T X of some tokens to the lower triangle of `sums`.
fn add_lower(sums: &mut [f64], n: usize, tokens: &[f32]) {
    if !tokens.is_empty() {
        products::add(sums, (tokens, n), (tokens, n), Entries::Lower);
    }
}
