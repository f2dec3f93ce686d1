//! Perplexity of a model, and its divergence from the original, on windows of text.
//!
//! ```text
//! text tokenized whole ──► windows of N tokens, one after the other, what is left at the end dropped ──► losses of tokens 1 .. N - 1 of each
//! ```

use crate::head::{Divergence, Loss};
use crate::hidden::Hidden;
use crate::model::Model;
use crate::{Error, Result};

/// The first `count` windows of `size` tokens, without overlap.
///
/// ```
/// let tokens: Vec<u32> = (0..10).collect();
/// let windows = lowbit_model::windows(&tokens, 3, 2)?;
/// assert_eq!(windows, [&[0, 1, 2], &[3, 4, 5]]);
/// assert!(lowbit_model::windows(&tokens, 3, 4).is_err());
/// # Ok::<(), lowbit_model::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tokens`] for windows of less than two tokens, no windows, or more than the tokens fill.
pub fn windows(tokens: &[u32], size: usize, count: usize) -> Result<Vec<&[u32]>> {
    if size < 2 || count == 0 {
        return Err(Error::Tokens(format!("{count} windows of {size} tokens: at least one of at least two")));
    }
    if tokens.len() / size < count {
        let (have, most) = (tokens.len(), tokens.len() / size);
        return Err(Error::Tokens(format!("{have} tokens fill {most} windows of {size}, not {count}")));
    }
    Ok(tokens.chunks_exact(size).take(count).collect())
}

/// Losses of a model on some sequences, and its divergence from the original.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub struct Evaluation {
    /// Losses of the model.
    pub loss: Loss,
    /// Losses of the original.
    pub original: Loss,
    /// How far the model's predictions are from the original's.
    pub divergence: Divergence,
}

impl Model<'_> {
    /// Runs all layers on some sequences.
    ///
    /// # Errors
    /// As [`Model::embed`] and [`Model::forward`].
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// let hidden = model.hidden(&[[1, 2, 3]])?;
    /// assert_eq!(hidden.values().len(), 3 * hidden.width());
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn hidden<S: AsRef<[u32]>>(&self, sequences: &[S]) -> Result<Hidden> {
        let mut hidden = self.embed(sequences)?;
        self.forward(&mut hidden, &mut ())?;
        Ok(hidden)
    }

    /// Losses of all tokens but the first of each sequence.
    ///
    /// # Errors
    /// As [`Model::embed`] and [`Model::forward`]; [`Error::Tokens`] if no sequence has two tokens.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// let loss = model.loss(&[[1, 2, 3, 4]])?;
    /// assert_eq!(loss.tokens, 3); // all but the first
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn loss<S: AsRef<[u32]>>(&self, sequences: &[S]) -> Result<Loss> {
        let hidden = self.hidden(sequences)?;
        self.head()?.loss(&hidden)
    }

    /// Losses on all sequences, and on the first `compared` of them how far the predictions are from those of `original`.
    ///
    /// # Errors
    /// As [`loss`](Self::loss), of either model; [`Error::Tokens`] if their vocabularies differ or nothing is compared.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// let quantized = Checkpoint::open("SmolLM2-135M-NVFP4")?;
    /// let both = Model::open(&quantized)?.evaluate(&model, &[[1, 2, 3, 4]], 1)?;
    /// println!("{:.4} nats, {:.1} % agree", both.divergence.mean(), 100.0 * both.divergence.agreement());
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn evaluate<S: AsRef<[u32]>>(
        &self,
        original: &Model<'_>,
        sequences: &[S],
        compared: usize,
    ) -> Result<Evaluation> {
        let (own, reference) = (self.hidden(sequences)?, original.hidden(sequences)?);
        let (head, reference_head) = (self.head()?, original.head()?);
        let divergence =
            reference_head.divergence(&reference.first(compared), &head, &own.first(compared))?;
        Ok(Evaluation { loss: head.loss(&own)?, original: reference_head.loss(&reference)?, divergence })
    }
}
