//! Drift correction: weights are adapted to inputs that have changed because the layers before are
//! quantized.
//!
//! ```text
//! x   input now      H = sum x x^T          o   input in the original model      C = sum o x^T
//!
//! sum |W o - Q x|^2 is least over all Q at  W' = W C H^-1:
//! quantizing W' on H compensates for the errors of earlier layers
//! target = (1 - share) W + share * W (C + lambda I) (H + lambda I)^-1
//! lambda = damping * mean(diag H)
//! ```
//!
//! Without drift C = H, and the target is W for any damping.
//!
//! The output of a linear is often added to a residual stream that has drifted itself. The target
//! can compensate for a part of that drift, too. Let r be the original stream minus the current
//! stream, and R = sum r x^T. Then sum |W o + r - Q x|^2 is least at W' = (W C + R) H^-1.
//!
//! Sources: the normal equations of least squares; Li et al. 2025, "GPTAQ", arXiv 2504.02692, and
//! Arai and Ichikawa 2025, "Quantization Error Propagation", arXiv 2504.09629, correct for the same
//! drift.

use faer::linalg::matmul::matmul;
use faer::linalg::solvers::{Llt, Solve};
use faer::{Accum, Mat, Par, Side};

use crate::error::Error;
use crate::hessian::Hessian;
use crate::parallel::map;
use crate::products::{self, BLOCK, Entries, PANEL};

/// The sum of o x^T over tokens: inputs in the original model times current inputs.
///
/// ```
/// use lowbit_calib::{Drift, Hessian};
/// // All inputs are half as large as before: twice the weight compensates.
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
    /// R, of shape outputs × `size`; empty if no stream was observed.
    stream: Vec<f64>,
}

impl Drift {
    /// The drift of no tokens, for inputs of `size` features.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self { size, tokens: 0, sums: vec![0.0; size * size], stream: Vec::new() }
    }

    /// Adds the same tokens as the original model has them, and as they are now. Products are
    /// summed in f32 within each 512 tokens of a call.
    ///
    /// # Errors
    /// [`Error::Tokens`] if the two differ in length, or are not whole tokens.
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

    /// Adds the drift of the stream that the outputs are added to. `short` is the original stream
    /// minus the current one (tokens of `outputs` features), `now` the current input of the same
    /// tokens.
    ///
    /// # Errors
    /// [`Error::Tokens`] if the numbers of tokens differ, if tokens are not whole, or if the number
    /// of outputs has changed since the last call.
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

    /// Factors the damped Hessian of the current inputs, to solve for the targets of all linears
    /// that read this input.
    ///
    /// # Errors
    /// [`Error::Channels`] if the Hessian is of another size; [`Error::Factor`] if the damped
    /// Hessian is not positive definite.
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

/// A [`Drift`] with its Hessian factored: computes target weights of any linear that reads the
/// input.
#[derive(Clone, Debug)]
pub struct Regression<'a> {
    drift: &'a Drift,
    /// The damped Hessian's factor and the damped C; `None` if no token was seen.
    solved: Option<(Llt<f64>, Mat<f64>)>,
}

impl Regression<'_> {
    /// The target: the weight to quantize instead of `weight` (rows of [`Hessian::size`] values).
    /// At `share` 0 it is `weight` itself, at 1 the full correction.
    ///
    /// # Errors
    /// [`Error::Tokens`] if the weight is not whole rows, or has not one row per feature of the
    /// stream.
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
            // (W C)^T = C^T W^T, then H^-1 times that.
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

/// Adds A^T B of some tokens to `sums`, one block of tokens at a time.
fn add(sums: &mut [f64], a: (&[f32], usize), b: (&[f32], usize)) {
    for (rows_a, rows_b) in a.0.chunks(BLOCK * a.1).zip(b.0.chunks(BLOCK * b.1)) {
        products::add(sums, (rows_a, a.1), (rows_b, b.1), Entries::All);
    }
}
