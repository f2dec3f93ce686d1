//! Hidden states of some sequences between two layers.

use crate::{Error, Result};

/// Rows of hidden features, one for each token, sequence after sequence.
#[derive(Clone, PartialEq, Debug)]
pub struct Hidden {
    pub(crate) tokens: Vec<u32>,
    pub(crate) lengths: Vec<usize>,
    pub(crate) width: usize,
    pub(crate) values: Vec<f32>,
}

impl Hidden {
    /// The tokens of all sequences.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// How many tokens each sequence has.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Features of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The rows, one after the other.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The first so many sequences.
    #[must_use]
    pub fn first(&self, sequences: usize) -> Self {
        let lengths = self.lengths[..sequences.min(self.lengths.len())].to_vec();
        let tokens: usize = lengths.iter().sum();
        let (own, values) = (self.tokens[..tokens].to_vec(), self.values[..tokens * self.width].to_vec());
        Self { tokens: own, lengths, width: self.width, values }
    }

    /// Whether all of it are numbers. `at` says where that is asked.
    pub(crate) fn check(&self, at: impl FnOnce() -> String) -> Result<()> {
        match self.values.iter().position(|x| !x.is_finite()) {
            None => Ok(()),
            Some(index) => {
                let (token, value) = (index / self.width.max(1), self.values[index]);
                Err(Error::NonFinite { at: at(), token, index: index % self.width.max(1), value })
            }
        }
    }
}
