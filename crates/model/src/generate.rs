//! Tokens that a model adds, one by one: the likeliest, or text of its own.
//!
//! ```text
//! generate    prompt ──► argmax ──► argmax …                       to look at a model
//! sample      a token by chance ──► p = softmax(logits) ──► …      text to calibrate on, where there is none
//! ```
//!
//! All layers are read once and kept; keys and values of the tokens before are kept, too.
//!
//! Source of calibrating on text that the model itself samples: Liu et al. 2023, "LLM-QAT", arXiv 2305.17888, section 3.1.

use lowbit_checkpoint::{Phase, Progress, Step};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::head::{Head, argmax};
use crate::layer::{KeyValueCache, Layer};
use crate::model::Model;
use crate::{Result, exp, parallel};

/// A model in memory that goes on with sequences.
struct Generator<'m, 'c> {
    model: &'m Model<'c>,
    layers: Vec<(Layer, KeyValueCache)>,
    head: Head,
}

impl<'m, 'c> Generator<'m, 'c> {
    fn new(model: &'m Model<'c>) -> Result<Self> {
        let read = |layer| Ok((model.layer(layer)?, KeyValueCache::default()));
        let layers = (0..model.layers()).map(read).collect::<Result<Vec<_>>>()?;
        Ok(Self { model, layers, head: model.head()? })
    }

    /// Takes in as many tokens of each sequence; gives the logits of what comes after, a row for each.
    fn read<S: AsRef<[u32]>>(&mut self, sequences: &[S]) -> Result<Vec<f32>> {
        let mut hidden = self.model.embed(sequences)?;
        for (layer, cache) in &mut self.layers {
            layer.forward_cached(&mut hidden, cache)?;
        }
        let (width, length) = (hidden.width(), hidden.lengths()[0]);
        let last: Vec<f32> = (hidden.values().chunks_exact(length * width))
            .flat_map(|rows| &rows[(length - 1) * width..])
            .copied()
            .collect();
        self.head.logits(&last)
    }
}

impl Model<'_> {
    /// The `count` likeliest tokens after `prompt`, one by one. Takes the memory of the whole model in f32.
    ///
    /// # Errors
    /// As [`Model::embed`] and [`Model::forward`].
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// let tokens = model.generate(&[1, 2, 3], 10)?;
    /// assert_eq!(tokens.len(), 10);
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn generate(&self, prompt: &[u32], count: usize) -> Result<Vec<u32>> {
        let mut generator = Generator::new(self)?;
        let mut tokens = Vec::new();
        let mut next = prompt.to_vec();
        for _ in 0..count {
            let token = argmax(&generator.read(&[&next])?) as u32;
            tokens.push(token);
            next = vec![token];
        }
        Ok(tokens)
    }

    /// Sequences of `length` tokens sampled from the model: the first token of each is random, each other is drawn from the model's probabilities.
    /// The same for the same seed, on the same machine. Takes the memory of the whole model in f32.
    ///
    /// # Errors
    /// As [`Model::embed`] and [`Model::forward`]; [`lowbit_checkpoint::Error::Cancelled`] if `progress` says so.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// // Text to calibrate on where there is none: 32 windows of 512 tokens, the same for the same seed.
    /// let windows = model.sample(32, 512, 0, &())?;
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn sample(
        &self,
        sequences: usize,
        length: usize,
        seed: u64,
        progress: &dyn Progress,
    ) -> Result<Vec<Vec<u32>>> {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let mut written = self.by_chance(sequences, length.min(1), &mut chance);
        let mut generator = Generator::new(self)?;
        let total = length as u64;
        for done in 1..length {
            if progress.cancelled() {
                let dir = self.checkpoint().dir().to_owned();
                return Err(lowbit_checkpoint::Error::Cancelled { dir, done: done as u64, total }.into());
            }
            let last: Vec<[u32; 1]> = written.iter().map(|tokens| [tokens[done - 1]]).collect();
            let mut logits = generator.read(&last)?;
            let draws: Vec<f64> = written.iter().map(|_| fraction(&mut chance)).collect();
            let jobs = logits.chunks_exact_mut(self.description().vocab).zip(draws).collect();
            let drawn = parallel::map(jobs, |(logits, at)| Ok::<_, crate::Error>(draw(logits, at)))?;
            written.iter_mut().zip(drawn).for_each(|(tokens, token)| tokens.push(token));
            let name = "text of the model's own";
            progress.step(Step { phase: Phase::Calibrate, name, done: done as u64 + 1, total });
        }
        Ok(written)
    }

    /// Sequences of tokens of the vocabulary by chance, all as likely as each other: enough to tell strong inputs from weak ones, and nothing beyond that.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// let windows = model.random_tokens(32, 512, 0);
    /// assert!(windows.iter().flatten().all(|token| (*token as usize) < model.description().vocab));
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn random_tokens(&self, sequences: usize, length: usize, seed: u64) -> Vec<Vec<u32>> {
        self.by_chance(sequences, length, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    fn by_chance(&self, sequences: usize, length: usize, chance: &mut ChaCha8Rng) -> Vec<Vec<u32>> {
        let vocab = self.description().vocab as f64;
        let mut token = || (fraction(chance) * vocab) as u32;
        (0..sequences).map(|_| (0..length).map(|_| token()).collect()).collect()
    }
}

/// A number in [0, 1), of which all multiples of 2^-53 are as likely as each other.
fn fraction(chance: &mut ChaCha8Rng) -> f64 {
    (chance.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// The token at a place in [0, 1) of what the logits make likely; the logits are used up.
fn draw(logits: &mut [f32], at: f64) -> u32 {
    exp::exp_less(logits, exp::largest(logits), 1.0);
    let total: f64 = logits.iter().map(|p| f64::from(*p)).sum();
    let mut left = at * total;
    let last = logits.iter().rposition(|p| *p > 0.0).unwrap_or(0);
    let found = logits.iter().position(|p| {
        left -= f64::from(*p);
        left < 0.0
    });
    // Where rounding has used up all of it, the last that is possible.
    found.unwrap_or(last) as u32
}

#[cfg(test)]
mod tests {
    use super::draw;

    #[test]
    fn tokens_are_drawn_as_often_as_they_are_likely() {
        // Likelihoods 1/8, 5/8, 0 and 2/8.
        let logits = [1.0_f32.ln(), 5.0_f32.ln(), f32::NEG_INFINITY, 2.0_f32.ln()];
        let drawn = (0..800).map(|i| draw(&mut logits.clone(), f64::from(i) / 800.0));
        let mut counts = [0; 4];
        drawn.for_each(|token| counts[token as usize] += 1);
        assert_eq!(counts[2], 0);
        for (count, want) in counts.into_iter().zip([100, 500, 0, 200]) {
            assert!(i32::abs(count - want) <= 1, "{counts:?}");
        }
        assert_eq!(draw(&mut logits.clone(), 1.0 - f64::EPSILON), 3);
    }
}
