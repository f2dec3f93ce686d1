//! The importance matrix of llama.cpp: for each weight, the sum of squares of its input, by input
//! channel.

use crate::{Error, Result};
use lowbit_arch::gguf_name;
use lowbit_calib::ChannelStats;
use std::collections::BTreeMap;

/// Limit on the experts of a stack, so that a name alone cannot make the reader allocate much
/// memory.
const EXPERTS: usize = 1024;

/// The sums of one weight: a linear, or a stack of experts.
#[derive(Clone, PartialEq, Debug)]
pub struct ImatrixEntry {
    sums: Vec<f32>,
    counts: Vec<f32>,
}

impl ImatrixEntry {
    /// The sums of squares of consecutive matrices; `counts` has one entry for each matrix.
    ///
    /// # Errors
    /// A message if there are no counts, if the sums do not divide evenly among them, or if a
    /// number is negative, NaN or infinite.
    pub fn new(sums: Vec<f32>, counts: Vec<f32>) -> Result<Self, String> {
        if counts.is_empty() || sums.is_empty() || !sums.len().is_multiple_of(counts.len()) {
            return Err(format!("{} sums for {} matrices", sums.len(), counts.len()));
        }
        match sums.iter().chain(&counts).find(|x| !(x.is_finite() && **x >= 0.0)) {
            Some(x) => Err(format!("a sum of {x}")),
            None => Ok(Self { sums, counts }),
        }
    }

    /// Sums of squares, matrix by matrix.
    pub fn sums(&self) -> &[f32] {
        &self.sums
    }

    /// Number of tokens of each matrix.
    pub fn counts(&self) -> &[f32] {
        &self.counts
    }

    /// Number of input channels of each matrix.
    pub fn channels(&self) -> usize {
        self.sums.len() / self.counts.len()
    }
}

/// An importance matrix.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Imatrix {
    /// Names of the calibration texts.
    pub datasets: Vec<String>,
    /// Number of chunks of text.
    pub chunk_count: u32,
    /// Tokens of each chunk; 0 if unknown, as in the older form.
    pub chunk_size: u32,
    entries: BTreeMap<String, ImatrixEntry>,
}

impl Imatrix {
    /// Names of the weights, in name order: `blk.0.attn_q.weight`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Names and sums of the weights, in name order.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &ImatrixEntry)> {
        self.entries.iter().map(|(name, entry)| (&name[..], entry))
    }

    /// The sums of a weight.
    pub fn get(&self, name: &str) -> Option<&ImatrixEntry> {
        self.entries.get(name)
    }

    /// Sets the sums of a weight. The result is the previous entry.
    pub fn put(&mut self, name: String, entry: ImatrixEntry) -> Option<ImatrixEntry> {
        self.entries.insert(name, entry)
    }

    /// The mean square, E[x^2], of each input channel of a module, found by its Hugging Face name;
    /// `None` if the file has no entry for it or saw no token for that expert.
    ///
    /// # Errors
    /// [`Error::Job`] if the file has another number of channels, or fewer experts.
    pub fn mean_square(&self, module: &str, channels: usize) -> Result<Option<Vec<f32>>> {
        let Some(name) = gguf_name(module) else { return Ok(None) };
        let Some(entry) = self.entries.get(&name.tensor) else { return Ok(None) };
        let at = name.expert.unwrap_or(0);
        // The older form has one count for all matrices of a stack.
        let sums =
            channels.checked_mul(at).and_then(|start| entry.sums.get(start..start.checked_add(channels)?));
        let whole = channels > 0 && entry.sums.len().is_multiple_of(channels);
        let one = entry.channels() == channels || (entry.counts.len() == 1 && name.expert.is_some());
        let Some(sums) = sums.filter(|_| whole && one) else {
            let (sums, matrices) = (entry.sums.len(), entry.counts.len());
            return Err(Error::Job(format!(
                "`{}`: {sums} sums of {matrices} matrices have none of {channels} channels for {module}",
                name.tensor
            )));
        };
        let count = entry.counts[at.min(entry.counts.len() - 1)];
        Ok((count > 0.0).then(|| sums.iter().map(|x| x / count).collect()))
    }

    /// Adds the statistics of a module's input. Experts go to their place in the stack.
    ///
    /// # Errors
    /// [`Error::Job`] for a module that has no name in llama.cpp, a number of channels that differs
    /// from before, or more than 1024 experts.
    pub fn observe(&mut self, module: &str, stats: &ChannelStats) -> Result<()> {
        let refuse = |reason: String| Err(Error::Job(format!("importance of {module}: {reason}")));
        let Some(name) = gguf_name(module) else { return refuse("no name in llama.cpp".into()) };
        let (at, n) = (name.expert.unwrap_or(0), stats.channels());
        if at >= EXPERTS || n == 0 {
            return refuse(format!("expert {at} with {n} channels"));
        }
        let fresh = || ImatrixEntry { sums: vec![0.0; n], counts: vec![0.0] };
        let entry = self.entries.entry(name.tensor).or_insert_with(fresh);
        if entry.channels() != n {
            return refuse(format!("{n} channels after {}", entry.channels()));
        }
        if at >= entry.counts.len() {
            entry.counts.resize(at + 1, 0.0);
            entry.sums.resize((at + 1) * n, 0.0);
        }
        let sums = &mut entry.sums[at * n..(at + 1) * n];
        sums.iter_mut()
            .zip(stats.sum_square())
            .for_each(|(sum, x)| *sum = (f64::from(*sum) + x).min(f64::from(f32::MAX)) as f32);
        entry.counts[at] += stats.tokens() as f32;
        Ok(())
    }
}
