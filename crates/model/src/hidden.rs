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
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// let hidden = model.embed(&[[1, 2, 3], [4, 5, 6]])?;
    /// assert_eq!(hidden.tokens(), [1, 2, 3, 4, 5, 6]);
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// How many tokens each sequence has.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// let hidden = model.embed(&[[1, 2, 3], [4, 5, 6]])?;
    /// assert_eq!(hidden.lengths(), [3, 3]);
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Features of a row.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// let hidden = model.embed(&[[1, 2, 3], [4, 5, 6]])?;
    /// assert_eq!(hidden.width(), model.description().hidden);
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn width(&self) -> usize {
        self.width
    }

    /// The rows, one after the other.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// let hidden = model.embed(&[[1, 2, 3], [4, 5, 6]])?;
    /// assert_eq!(hidden.values().len(), 6 * hidden.width());
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The first so many sequences.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// let hidden = model.embed(&[[1, 2, 3], [4, 5, 6]])?;
    /// assert_eq!(hidden.first(1).tokens(), [1, 2, 3]);
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
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
