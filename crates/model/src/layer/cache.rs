//! Keys and values of the tokens that came before, so that each new token is one row of work.

use crate::attention::Sequence;

/// Keys and values of one layer, of sequences that are as long as each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyValueCache {
    tokens: usize,
    /// Of each sequence, rows of all heads.
    keys: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
}

impl KeyValueCache {
    /// Tokens that each sequence has.
    pub(super) fn tokens(&self) -> usize {
        self.tokens
    }

    /// Adds the keys and values (rows of `width`) of new tokens, which are as many in each sequence.
    pub(super) fn extend(&mut self, lengths: &[usize], width: usize, keys: &[f32], values: &[f32]) {
        self.keys.resize(lengths.len(), Vec::new());
        self.values.resize(lengths.len(), Vec::new());
        let own = self.keys.iter_mut().zip(&mut self.values);
        for ((own_keys, own_values), new) in own.zip(sequences(lengths, width, keys, values)) {
            own_keys.extend_from_slice(new.keys);
            own_values.extend_from_slice(new.values);
        }
        self.tokens += lengths.first().copied().unwrap_or(0);
    }

    /// Keys and values that the last tokens of each sequence attend to.
    pub(super) fn sequences(&self, queries: &[usize]) -> Vec<Sequence<'_>> {
        let both = self.keys.iter().zip(&self.values);
        both.zip(queries).map(|((keys, values), &queries)| Sequence { queries, keys, values }).collect()
    }
}

/// Whole sequences, of which keys and values (rows of `width`) stand one after the other.
pub(super) fn sequences<'a>(
    lengths: &[usize],
    width: usize,
    keys: &'a [f32],
    values: &'a [f32],
) -> Vec<Sequence<'a>> {
    let ends = lengths.iter().scan(0, |end, length| {
        *end += length * width;
        Some((*end - length * width..*end, *length))
    });
    ends.map(|(own, queries)| Sequence { queries, keys: &keys[own.clone()], values: &values[own] }).collect()
}
