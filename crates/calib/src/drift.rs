//! Inputs that have drifted: what a linear reads once the layers before it are quantized, against what it read before.
//!
//! ```text
//! x   what it reads now      H = sum x x^T          o   what it read in the original model      C = sum o x^T
//!
//! sum |W o - Q x|^2 is least over all Q at  W' = W C H^-1:  quantizing W' on H makes up for what earlier layers lost
//! target = (1 - share) W + share * W (C + lambda I) (H + lambda I)^-1,   lambda = damping * mean(diag H)
//! ```
//!
//! Without drift C = H, and the target is W whatever the damping.
//!
//! What a linear gives is often added to a stream that has drifted itself. Its outputs can make up for a part of that, too: with r the stream of the
//! original model less that of now, and R = sum r x^T, the least of sum |W o + r - Q x|^2 is at W' = (W C + R) H^-1.
//!
//! Sources: the normal equations of least squares; Li et al. 2025, "GPTAQ", arXiv 2504.02692, and Arai and Ichikawa 2025, "Quantization Error
//! Propagation", arXiv 2504.09629, correct for the same drift.

use faer::linalg::matmul::matmul;
use faer::linalg::solvers::{Llt, Solve};
use faer::{Accum, Mat, Par, Side};

use crate::error::Error;
use crate::hessian::Hessian;
use crate::parallel::map;
use crate::products::{self, BLOCK, Entries, PANEL};

/// sum o x^T over tokens: inputs of the original model against those of now.
///
/// ```
/// use lowbit_calib::{Drift, Hessian};
/// // Everything that is read has become half as large: twice the weight makes up for it.
/// let (original, now) = ([2.0f32, 4.0], [1.0f32, 2.0]);
/// let (mut hessian, mut drift) = (Hessian::new(1), Drift::new(1));
/// hessian.observe(&now)?;
/// drift.observe(&original, &now)?;
/// let regression = drift.regression(&hessian, 0.0)?;
/// assert_eq!(regression.target(&[3.0], 1.0)?, [6.0]);
/// assert_eq!(regression.target(&[3.0], 0.5)?, [4.5]); // half of the way
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Drift {
    size: usize,
    tokens: u64,
    sums: Vec<f64>,
    /// R: outputs x `size`; empty if no stream was seen.
    stream: Vec<f64>,
}

impl Drift {
    /// Of no token yet.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self { size, tokens: 0, sums: vec![0.0; size * size], stream: Vec::new() }
    }

    /// Takes in the same tokens twice: as the original model has them, and as they are now. Products are f32 within each 512 tokens of a call.
    ///
    /// # Errors
    /// [`Error::Tokens`] where they are not as many, or not whole.
    pub fn observe(&mut self, original: &[f32], now: &[f32]) -> Result<(), Error> {
        let n = self.size;
        if original.len() != now.len() || !now.len().is_multiple_of(n.max(1)) {
            return Err(Error::Tokens { values: original.len(), features: n });
        }
        if n == 0 {
            return Ok(());
        }
        add(&mut self.sums, (original, n), (now, n));
        self.tokens += (now.len() / n) as u64;
        Ok(())
    }

    /// Takes in by how much the stream that the outputs are added to falls short of the original's (tokens of `outputs` features), for tokens of the
    /// input as they are now.
    ///
    /// # Errors
    /// [`Error::Tokens`] where they are not as many, or not whole, or have another number of outputs than before.
    pub fn observe_stream(&mut self, short: &[f32], outputs: usize, now: &[f32]) -> Result<(), Error> {
        let n = self.size;
        let fits = outputs > 0
            && n > 0
            && short.len() / outputs == now.len() / n
            && short.len().is_multiple_of(outputs);
        if self.stream.is_empty() {
            self.stream = vec![0.0; outputs * n];
        }
        if !fits || !now.len().is_multiple_of(n) || self.stream.len() != outputs * n {
            return Err(Error::Tokens { values: short.len(), features: outputs });
        }
        add(&mut self.stream, (short, outputs), (now, n));
        Ok(())
    }

    /// Solves for what the weights of all linears that read this input are multiplied by, on the Hessian of the inputs of now.
    ///
    /// # Errors
    /// [`Error::Channels`] where the Hessian is of another size, [`Error::Factor`] where the damped Hessian is not positive definite.
    pub fn regression(&self, hessian: &Hessian, damping: f64) -> Result<Regression<'_>, Error> {
        let n = self.size;
        if hessian.size() != n {
            return Err(Error::Channels { got: hessian.size(), want: n });
        }
        if n == 0 || self.tokens == 0 {
            return Ok(Regression { drift: self, solved: None });
        }
        let sums = hessian.sums();
        let lambda = damping * (0..n).map(|j| sums[j * n + j]).sum::<f64>() / n as f64;
        // A feature that is always zero keeps its weight.
        let added: Vec<f64> = (0..n).map(|j| if sums[j * n + j] == 0.0 { 1.0 } else { lambda }).collect();
        let damped =
            |sums: &[f64]| Mat::from_fn(n, n, |i, j| sums[i * n + j] + if i == j { added[i] } else { 0.0 });
        let factor = damped(&sums).llt(Side::Lower).map_err(|_| Error::Factor { channels: n, damping })?;
        Ok(Regression { drift: self, solved: Some((factor, damped(&self.sums))) })
    }
}

/// A [`Drift`] whose Hessian is factored: targets for the weights of any linear that reads the input.
#[derive(Clone, Debug)]
pub struct Regression<'a> {
    drift: &'a Drift,
    /// The damped Hessian's factor and the damped C; `None` if no token was seen.
    solved: Option<(Llt<f64>, Mat<f64>)>,
}

impl Regression<'_> {
    /// The weight to quantize instead of `weight` (rows of [`Hessian::size`] values).
    ///
    /// # Errors
    /// [`Error::Tokens`] where the weight is not whole rows, or not as many as the stream has features.
    pub fn target(&self, weight: &[f32], share: f64) -> Result<Vec<f32>, Error> {
        let (n, stream) = (self.drift.size, &self.drift.stream);
        if !weight.len().is_multiple_of(n.max(1)) {
            return Err(Error::Tokens { values: weight.len(), features: n });
        }
        let Some((factor, cross)) = &self.solved else { return Ok(weight.to_vec()) };
        if !stream.is_empty() && stream.len() != weight.len() {
            return Err(Error::Tokens { values: weight.len(), features: stream.len() / n });
        }
        let panels: Vec<(usize, &[f32])> = weight.chunks(PANEL * n).enumerate().collect();
        let panels = map(panels, |(panel, rows)| {
            let (first, count) = (panel * PANEL, rows.len() / n);
            // (W C)^T = C^T W^T, then H^-1 of that.
            let w = Mat::from_fn(n, count, |j, r| f64::from(rows[r * n + j]));
            let own = stream.get(first * n..(first + count) * n);
            let mut right = Mat::from_fn(n, count, |j, r| own.map_or(0.0, |stream| stream[r * n + j]));
            matmul(right.as_mut(), Accum::Add, cross.transpose(), &w, 1.0, Par::Seq);
            let solved = factor.solve(&right);
            let blend = |r: usize, j: usize| (1.0 - share) * w[(j, r)] + share * solved[(j, r)];
            Ok((0..count)
                .flat_map(|r| (0..n).map(move |j| (r, j)))
                .map(|(r, j)| blend(r, j) as f32)
                .collect::<Vec<_>>())
        })?;
        Ok(panels.concat())
    }
}

/// Adds A^T B of some tokens to `sums`, block by block.
fn add(sums: &mut [f64], a: (&[f32], usize), b: (&[f32], usize)) {
    for (rows_a, rows_b) in a.0.chunks(BLOCK * a.1).zip(b.0.chunks(BLOCK * b.1)) {
        products::add(sums, (rows_a, a.1), (rows_b, b.1), Entries::All);
    }
}
