//! Text to tokens and back, by the `tokenizer.json` of a model directory.

use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// A tokenizer.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    file: PathBuf,
    inner: tokenizers::Tokenizer,
}

impl Tokenizer {
    /// Reads `tokenizer.json` of a directory.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    ///
    /// ```no_run
    /// use lowbit_model::Tokenizer;
    /// let tokenizer = Tokenizer::open("SmolLM2-135M")?;
    /// let tokens = tokenizer.encode("It is a truth universally acknowledged")?;
    /// assert_eq!(tokenizer.decode(&tokens)?, "It is a truth universally acknowledged");
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        let file = dir.as_ref().join("tokenizer.json");
        let wrong = |e: tokenizers::Error| Error::Tokenizer { file: file.clone(), reason: e.to_string() };
        let mut inner = tokenizers::Tokenizer::from_file(&file).map_err(wrong)?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(wrong)?;
        Ok(Self { file, inner })
    }

    /// The tokens of a text, taken whole, without special tokens.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    ///
    /// ```no_run
    /// use lowbit_model::Tokenizer;
    /// let tokenizer = Tokenizer::open("SmolLM2-135M")?;
    /// let tokens = tokenizer.encode("It is a truth universally acknowledged")?;
    /// assert_eq!(tokenizer.decode(&tokens)?, "It is a truth universally acknowledged");
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.inner.encode_fast(text, false).map_err(|e| self.wrong(&e))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of some tokens, special ones included.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    ///
    /// ```no_run
    /// use lowbit_model::Tokenizer;
    /// let tokenizer = Tokenizer::open("SmolLM2-135M")?;
    /// let tokens = tokenizer.encode("It is a truth universally acknowledged")?;
    /// assert_eq!(tokenizer.decode(&tokens)?, "It is a truth universally acknowledged");
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn decode(&self, tokens: &[u32]) -> Result<String> {
        self.inner.decode(tokens, false).map_err(|e| self.wrong(&e))
    }

    fn wrong(&self, e: &tokenizers::Error) -> Error {
        Error::Tokenizer { file: self.file.clone(), reason: e.to_string() }
    }
}
