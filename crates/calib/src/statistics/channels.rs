//! Per-channel moments of the inputs of a linear.
//!
//! ```text
//! channel c of rows x_t:    absmax_c = max_t |x_tc|          sum_c = sum_t x_tc
//!                           sum_abs_c = sum_t |x_tc|         sum_square_c = sum_t x_tc^2
//! ```
//!
//! Sums are f64, with one addition per token in the order of the tokens, so they do not depend on
//! the division of tokens into calls. Products of two f32 are exact in f64.

use lowbit_kernels::Kernels;

use crate::error::Error;

/// The largest magnitude, mean, mean magnitude and mean square of each input channel of a linear,
/// over the observed tokens.
///
/// ```
/// use lowbit_calib::ChannelStats;
/// let mut stats = ChannelStats::new(2);
/// stats.observe(&[1.0, -4.0, 3.0, 0.0])?; // two tokens of two channels
/// assert_eq!((stats.tokens(), stats.absmax()), (2, &[3.0, 4.0][..]));
/// assert_eq!((stats.mean(), stats.mean_abs()), (vec![2.0, -2.0], vec![2.0, 2.0]));
/// assert_eq!(stats.mean_square(), [5.0, 8.0]); // (1 + 9) / 2 and 16 / 2
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct ChannelStats {
    absmax: Vec<f32>,
    sum: Vec<f64>,
    sum_abs: Vec<f64>,
    sum_square: Vec<f64>,
    tokens: u64,
}

impl ChannelStats {
    /// Statistics of no tokens, for inputs of `channels` features.
    #[must_use]
    pub fn new(channels: usize) -> Self {
        Self {
            absmax: vec![0.0; channels],
            sum: vec![0.0; channels],
            sum_abs: vec![0.0; channels],
            sum_square: vec![0.0; channels],
            tokens: 0,
        }
    }

    /// Statistics from given sums: the largest magnitude, the sum, the sum of magnitudes and the
    /// sum of squares of each channel, over `tokens` tokens.
    ///
    /// # Errors
    /// [`Error::Channels`] if they differ in length; [`Error::Observed`] at the first number that
    /// is NaN or infinite, or that is negative outside of the signed sums.
    pub fn from_sums(
        absmax: Vec<f32>,
        sum: Vec<f64>,
        sum_abs: Vec<f64>,
        sum_square: Vec<f64>,
        tokens: u64,
    ) -> Result<Self, Error> {
        let want = absmax.len();
        for got in [sum.len(), sum_abs.len(), sum_square.len()] {
            if got != want {
                return Err(Error::Channels { got, want });
            }
        }
        let wide = absmax.iter().map(|&x| f64::from(x)).enumerate();
        let wide = wide.chain(sum.iter().map(|x| x.abs()).enumerate());
        let sums = sum_abs.iter().copied().enumerate().chain(sum_square.iter().copied().enumerate());
        match wide.chain(sums).find(|(_, x)| !(x.is_finite() && *x >= 0.0)) {
            Some((index, x)) => Err(Error::Observed { index, value: x as f32 }),
            None => Ok(Self { absmax, sum, sum_abs, sum_square, tokens }),
        }
    }

    /// Adds whole tokens: rows of one feature per channel.
    ///
    /// # Errors
    /// [`Error::Tokens`] if the values are not whole rows; [`Error::Observed`] at the first NaN or
    /// infinity. The statistics are then unchanged.
    pub fn observe(&mut self, rows: &[f32]) -> Result<(), Error> {
        let features = self.absmax.len();
        if rows.is_empty() {
            return Ok(());
        }
        if features == 0 || !rows.len().is_multiple_of(features) {
            return Err(Error::Tokens { values: rows.len(), features });
        }
        if let Some(index) = Kernels::best().first_non_finite(rows) {
            return Err(Error::Observed { index, value: rows[index] });
        }
        for row in rows.chunks_exact(features) {
            let sums = self.sum.iter_mut().zip(&mut self.sum_abs).zip(&mut self.sum_square);
            for ((&x, absmax), ((sum, sum_abs), sum_square)) in row.iter().zip(&mut self.absmax).zip(sums) {
                let wide = f64::from(x);
                *absmax = absmax.max(x.abs());
                *sum += wide;
                *sum_abs += wide.abs();
                *sum_square += wide * wide;
            }
        }
        self.tokens += (rows.len() / features) as u64;
        Ok(())
    }

    /// Adds the statistics of other tokens of the same input.
    ///
    /// # Errors
    /// [`Error::Channels`] if the numbers of channels differ.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        let (got, want) = (other.absmax.len(), self.absmax.len());
        if got != want {
            return Err(Error::Channels { got, want });
        }
        self.absmax.iter_mut().zip(&other.absmax).for_each(|(a, b)| *a = a.max(*b));
        self.sum.iter_mut().zip(&other.sum).for_each(|(a, b)| *a += b);
        self.sum_abs.iter_mut().zip(&other.sum_abs).for_each(|(a, b)| *a += b);
        self.sum_square.iter_mut().zip(&other.sum_square).for_each(|(a, b)| *a += b);
        self.tokens = self.tokens.saturating_add(other.tokens);
        Ok(())
    }

    /// The number of channels.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.absmax.len()
    }

    /// The number of observed tokens.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.tokens
    }

    /// The largest magnitude of each channel.
    #[must_use]
    pub fn absmax(&self) -> &[f32] {
        &self.absmax
    }

    /// The largest magnitude of all channels.
    #[must_use]
    pub fn amax(&self) -> f32 {
        self.absmax.iter().fold(0.0, |max, x| max.max(*x))
    }

    /// The signed mean of each channel, E\[x\]; zeros if no token was observed.
    #[must_use]
    pub fn mean(&self) -> Vec<f32> {
        self.means(&self.sum)
    }

    /// The mean magnitude of each channel; zeros if no token was observed.
    #[must_use]
    pub fn mean_abs(&self) -> Vec<f32> {
        self.means(&self.sum_abs)
    }

    /// The mean square of each channel, E[x^2]; zeros if no token was observed.
    #[must_use]
    pub fn mean_square(&self) -> Vec<f32> {
        self.means(&self.sum_square)
    }

    /// The signed sum of each channel.
    #[must_use]
    pub fn sum(&self) -> &[f64] {
        &self.sum
    }

    /// The sum of the magnitudes of each channel.
    #[must_use]
    pub fn sum_abs(&self) -> &[f64] {
        &self.sum_abs
    }

    /// The sum of the squares of each channel.
    #[must_use]
    pub fn sum_square(&self) -> &[f64] {
        &self.sum_square
    }

    fn means(&self, sums: &[f64]) -> Vec<f32> {
        let tokens = self.tokens.max(1) as f64;
        sums.iter().map(|sum| (sum / tokens) as f32).collect()
    }
}
