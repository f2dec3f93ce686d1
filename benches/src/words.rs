//! The filter of the command line: words, each of which a row has to have; alternatives with commas between them.
//!
//! ```text
//! cargo bench -p lowbit-benches --bench table -- nvfp4 encode,decode 1MB avx2
//! ```

/// The words that were given.
#[derive(Default)]
pub struct Words(Vec<Vec<String>>);

impl Words {
    /// Of this process. Cargo adds options; they are no words.
    pub fn from_arguments() -> Self {
        Self::new(std::env::args().skip(1).filter(|argument| !argument.starts_with('-')))
    }

    /// Of a list.
    pub fn new(words: impl Iterator<Item = String>) -> Self {
        Self(words.map(|word| word.split(',').map(str::to_owned).collect()).collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `tag` is among them.
    pub fn name(&self, tag: &str) -> bool {
        self.0.iter().flatten().any(|word| word == tag)
    }

    /// Whether a row with these tags is wanted: each word, or one of its alternatives, is one of them.
    pub fn want(&self, tags: &[&str]) -> bool {
        self.0.iter().all(|word| word.iter().any(|word| tags.contains(&word.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::Words;

    #[test]
    fn each_word_must_be_a_tag_of_the_row() {
        let words = Words::new(["nvfp4", "encode,decode"].map(str::to_owned).into_iter());
        assert!(words.want(&["nvfp4", "decode", "1MB"]));
        assert!(!words.want(&["nvfp4", "absmax", "1MB"]));
        assert!(!words.want(&["mxfp4", "decode", "1MB"]));
        assert!(Words::default().want(&[]));
    }
}
