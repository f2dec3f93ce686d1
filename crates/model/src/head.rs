//! The output head: the last norm, the logits, and the losses of the tokens by them.
//!
//! ```text
//! loss        log sum_v e^l_v - l_next                        f64; of token 1 and on of each sequence
//! divergence  sum_v p_v log(p_v / q_v) = S1 / S0 - log Z_p + log Z_q        S0 = sum e^a, S1 = sum e^a (a - b), logits a of p, b of q
//! ```
//!
//! Logits are made for a few tokens at a time: vocabulary x tokens is never in memory.

use crate::hidden::Hidden;
use crate::model::Model;
use crate::norm::norm_into;
use crate::projections::{ProjectionKind, Projections};
use crate::{Error, Result, exp, parallel};
use lowbit_arch::Slot;

/// Tokens whose logits are in memory at once.
const TOKENS: usize = 128;

/// The last norm and the output head, in memory.
#[derive(Clone, Debug)]
pub struct Head {
    norm: Vec<f32>,
    eps: f32,
    cap: Option<f32>,
    projections: Projections,
}

/// Losses of the tokens of some sequences.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Loss {
    /// Sum of the negative log likelihoods, in nats.
    pub sum: f64,
    /// How many tokens it is of.
    pub tokens: u64,
}

impl Loss {
    /// Loss of a token.
    ///
    /// ```
    /// assert_eq!(lowbit_model::Loss { sum: 6.0, tokens: 3 }.mean(), 2.0);
    /// ```
    pub fn mean(&self) -> f64 {
        self.sum / self.tokens as f64
    }

    /// e to the loss of a token.
    ///
    /// ```
    /// let loss = lowbit_model::Loss { sum: 3.0 * 8_f64.ln(), tokens: 3 };
    /// assert!((loss.perplexity() - 8.0).abs() < 1e-12); // as uncertain as between 8 equals
    /// ```
    pub fn perplexity(&self) -> f64 {
        self.mean().exp()
    }
}

/// How far the predictions of one model are from those of another.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Divergence {
    /// Sum of the Kullback-Leibler divergences of all positions, in nats.
    pub sum: f64,
    /// Positions at which both predict the same token.
    pub agreed: u64,
    /// How many positions there are.
    pub positions: u64,
}

impl Divergence {
    /// Divergence of a position.
    ///
    /// ```
    /// let divergence = lowbit_model::Divergence { sum: 0.5, agreed: 3, positions: 4 };
    /// assert_eq!(divergence.mean(), 0.125);
    /// ```
    pub fn mean(&self) -> f64 {
        self.sum / self.positions as f64
    }

    /// Share of the positions at which both predict the same token.
    ///
    /// ```
    /// let divergence = lowbit_model::Divergence { sum: 0.5, agreed: 3, positions: 4 };
    /// assert_eq!(divergence.agreement(), 0.75);
    /// ```
    pub fn agreement(&self) -> f64 {
        self.agreed as f64 / self.positions as f64
    }
}

impl Head {
    pub(crate) fn read(model: &Model<'_>) -> Result<Self> {
        let c = model.description();
        let norm = model.norm(&model.name(Slot::FinalNorm, 0)?, c.hidden)?;
        let linear = model.linear(&model.head_module(), c.vocab, c.hidden)?;
        let projections =
            Projections { layer: c.layers, kind: ProjectionKind::Head, expert: None, linears: vec![linear] };
        Ok(Self { norm, eps: c.norm_eps, cap: c.logit_cap, projections })
    }

    /// Its linear, as a set of projections of its own.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// let head = model.head()?;
    /// assert_eq!(head.projections().linears[0].rows, model.description().vocab);
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn projections(&self) -> &Projections {
        &self.projections
    }

    /// Logits of a vocabulary for each of some rows of hidden states, one row of the vocabulary after the other.
    ///
    /// # Errors
    /// [`Error::Tokens`] if the rows are not as wide as the model, [`Error::NonFinite`] if a logit is no number.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// let hidden = model.hidden(&[[1, 2, 3]])?;
    /// let last = &hidden.values()[2 * hidden.width()..];
    /// assert_eq!(model.head()?.logits(last)?.len(), model.description().vocab);
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn logits(&self, hidden: &[f32]) -> Result<Vec<f32>> {
        let width = self.norm.len();
        if !hidden.len().is_multiple_of(width) {
            return Err(Error::Tokens(format!("{} hidden values are no rows of {width}", hidden.len())));
        }
        let mut x = vec![0.0; hidden.len()];
        norm_into(hidden, &self.norm, self.eps, &mut x);
        let mut logits = self.projections.outputs(&x)?.remove(0);
        if let Some(cap) = self.cap {
            parallel::each(logits.chunks_mut(1 << 14).collect(), |chunk| {
                chunk.iter_mut().for_each(|l| *l = cap * (*l / cap).tanh());
            });
        }
        Ok(logits)
    }

    fn vocab(&self) -> usize {
        self.projections.linears[0].rows
    }

    /// Losses of all tokens but the first of each sequence.
    ///
    /// # Errors
    /// As [`logits`](Self::logits); [`Error::Tokens`] if no sequence has two tokens.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// let hidden = model.hidden(&[[1, 2, 3]])?;
    /// println!("{}", model.head()?.loss(&hidden)?.mean());
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn loss(&self, hidden: &Hidden) -> Result<Loss> {
        let (vocab, mut total) = (self.vocab(), Loss::default());
        // Token and the one that follows it.
        let pairs: Vec<(usize, u32)> = hidden
            .lengths
            .iter()
            .scan(0, |start, &length| {
                let first = *start;
                *start += length;
                Some((first..first + length - 1).map(|at| (at, hidden.tokens[at + 1])))
            })
            .flatten()
            .collect();
        if pairs.is_empty() {
            return Err(Error::Tokens("no sequence has a token after its first".into()));
        }
        for pairs in pairs.chunks(TOKENS) {
            let mut rows = Vec::with_capacity(pairs.len() * hidden.width);
            pairs.iter().for_each(|(at, _)| {
                rows.extend_from_slice(&hidden.values[at * hidden.width..][..hidden.width])
            });
            let logits = self.logits(&rows)?;
            let jobs: Vec<_> = logits.chunks_exact(vocab).zip(pairs).collect();
            let losses = parallel::map(jobs, |(logits, (at, next))| {
                let log_sum = log_sum(logits, None, *at)?.0;
                Ok::<_, Error>(log_sum - f64::from(logits[*next as usize]))
            })?;
            total.sum += losses.iter().sum::<f64>();
            total.tokens += pairs.len() as u64;
        }
        Ok(total)
    }

    /// How far the predictions of `other` for `others` are from those of this model for `own`, position by position.
    ///
    /// # Errors
    /// As [`logits`](Self::logits); [`Error::Tokens`] if the tokens or the vocabularies are not the same.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// let (hidden, head) = (model.hidden(&[[1, 2, 3]])?, model.head()?);
    /// assert!(head.divergence(&hidden, &head, &hidden)?.mean().abs() < 1e-9); // a model from itself
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn divergence(&self, own: &Hidden, other: &Self, others: &Hidden) -> Result<Divergence> {
        let vocab = self.vocab();
        if (own.tokens(), own.lengths()) != (others.tokens(), others.lengths()) || own.tokens.is_empty() {
            return Err(Error::Tokens("divergence is of two models on the same tokens".into()));
        }
        if vocab != other.vocab() {
            return Err(Error::Tokens(format!("vocabularies of {vocab} and {} tokens", other.vocab())));
        }
        let mut total = Divergence { positions: own.tokens.len() as u64, ..Divergence::default() };
        let chunks = own.values.chunks(TOKENS * own.width).zip(others.values.chunks(TOKENS * others.width));
        for (nth, (own, others)) in chunks.enumerate() {
            let (a, b) = (self.logits(own)?, other.logits(others)?);
            let jobs: Vec<_> = a.chunks_exact(vocab).zip(b.chunks_exact(vocab)).enumerate().collect();
            let parts = parallel::map(jobs, |(row, (a, b))| {
                let token = nth * TOKENS + row;
                let (log_a, mean) = log_sum(a, Some(b), token)?;
                let log_b = log_sum(b, None, token)?.0;
                Ok::<_, Error>((mean - log_a + log_b, argmax(a) == argmax(b)))
            })?;
            for (part, agreed) in parts {
                total.sum += part;
                total.agreed += u64::from(agreed);
            }
        }
        Ok(total)
    }
}

/// The log of the sum of the exponentials of `a`, and the mean of `a - b` weighed by them.
fn log_sum(a: &[f32], b: Option<&[f32]>, token: usize) -> Result<(f64, f64)> {
    let max = exp::largest(a);
    let (sum, weighted) = exp::exp_sums(a, max, b);
    let log = f64::from(max) + sum.ln();
    if !log.is_finite() {
        let index = a.iter().position(|l| !l.is_finite()).unwrap_or(0);
        return Err(Error::NonFinite { at: "the logits".into(), token, index, value: a[index] });
    }
    Ok((log, weighted / sum))
}

/// The first of the largest.
pub(crate) fn argmax(values: &[f32]) -> usize {
    let max = exp::largest(values);
    values.iter().position(|&x| x == max).unwrap_or(0)
}
