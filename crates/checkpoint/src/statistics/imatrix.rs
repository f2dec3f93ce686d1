//! llama.cpp's importance matrix: of each weight the sum of the squares of what goes into it, per input channel.
//!
//! ```text
//! blk.0.attn_q.weight.in_sum2     F32 [channels, matrices]       sum_t x_tc^2              importance = in_sum2 / counts
//! blk.0.attn_q.weight.counts      F32 [1, matrices]              tokens; of each expert its own
//! general.type = "imatrix", imatrix.datasets, imatrix.chunk_count, imatrix.chunk_size
//! ```
//!
//! Source: llama.cpp `tools/imatrix`. The older binary form is told by its lack of the magic.

use super::gguf::{Gguf, MAGIC, Value};
use super::legacy::{self, Cursor};
use crate::{Error, Result};
use lowbit_arch::gguf_name;
use lowbit_calib::ChannelStats;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Experts of a stack, at most: a name alone must not ask for more memory than this justifies.
const EXPERTS: usize = 1024;
const TYPE: &str = "general.type";
const DATASETS: &str = "imatrix.datasets";
const CHUNK_COUNT: &str = "imatrix.chunk_count";
const CHUNK_SIZE: &str = "imatrix.chunk_size";
const SUMS: &str = ".in_sum2";
const COUNTS: &str = ".counts";

/// The sums of one weight: of a linear, or of a stack of experts.
#[derive(Clone, PartialEq, Debug)]
pub struct ImatrixEntry {
    sums: Vec<f32>,
    counts: Vec<f32>,
}

impl ImatrixEntry {
    /// Sums of squares of as many matrices as there are counts, one after the other.
    ///
    /// # Errors
    /// Says what is wrong: no counts, sums that do not divide into them, a number that is negative, NaN or infinite.
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

    /// Tokens of each matrix.
    pub fn counts(&self) -> &[f32] {
        &self.counts
    }

    /// Channels of each matrix.
    pub fn channels(&self) -> usize {
        self.sums.len() / self.counts.len()
    }
}

/// An importance matrix.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Imatrix {
    /// Names of the texts.
    pub datasets: Vec<String>,
    /// Chunks of text.
    pub chunk_count: u32,
    /// Tokens of each; 0 where unknown, as in the older form.
    pub chunk_size: u32,
    entries: BTreeMap<String, ImatrixEntry>,
}

impl Imatrix {
    /// Reads a file of either form.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, otherwise as [`parse`](Self::parse).
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::parse(path, &fs::read(path).map_err(|e| Error::io("read", path, e))?)
    }

    /// Reads the bytes of a file of either form; `file` names it in errors.
    ///
    /// # Errors
    /// [`Error::File`] where it is cut off, contradicts itself, or holds numbers that are no sums.
    pub fn parse(file: &Path, bytes: &[u8]) -> Result<Self> {
        let mut cursor = Cursor::new(file, bytes);
        if !bytes.starts_with(MAGIC) {
            return legacy::parse(&mut cursor);
        }
        let mut gguf = Gguf::parse(&mut cursor)?;
        let fail = |reason: String| Error::file(file, reason);
        if gguf.pairs.get(TYPE) != Some(&Value::Text("imatrix".into())) {
            return Err(fail(format!("{TYPE} is {:?}, not imatrix", gguf.pairs.get(TYPE))));
        }
        let number = |key: &str| match gguf.pairs.get(key) {
            Some(Value::U32(n)) => *n,
            _ => 0,
        };
        let (chunk_count, chunk_size) = (number(CHUNK_COUNT), number(CHUNK_SIZE));
        let datasets = match gguf.pairs.remove(DATASETS) {
            Some(Value::Texts(names)) => names,
            _ => Vec::new(),
        };
        let mut matrix = Self { datasets, chunk_count, chunk_size, entries: BTreeMap::new() };
        let names: Vec<String> =
            gguf.tensors.keys().filter_map(|name| Some(name.strip_suffix(SUMS)?.to_owned())).collect();
        for name in names {
            let mut take = |suffix: &str| {
                let tensor = gguf.tensors.remove(&format!("{name}{suffix}"));
                tensor.ok_or_else(|| fail(format!("there is no tensor `{name}{suffix}` of f32")))
            };
            let ((_, sums), (_, counts)) = (take(SUMS)?, take(COUNTS)?);
            let entry = ImatrixEntry::new(sums, counts).map_err(|e| fail(format!("`{name}`: {e}")))?;
            matrix.entries.insert(name, entry);
        }
        Ok(matrix)
    }

    /// The bytes of a file in GGUF form.
    pub fn to_gguf(&self) -> Vec<u8> {
        let mut gguf = Gguf::default();
        gguf.pairs.insert(TYPE.into(), Value::Text("imatrix".into()));
        gguf.pairs.insert(DATASETS.into(), Value::Texts(self.datasets.clone()));
        gguf.pairs.insert(CHUNK_COUNT.into(), Value::U32(self.chunk_count));
        gguf.pairs.insert(CHUNK_SIZE.into(), Value::U32(self.chunk_size));
        for (name, entry) in &self.entries {
            let matrices = entry.counts.len() as u64;
            let sums = (vec![entry.channels() as u64, matrices], entry.sums.clone());
            gguf.tensors.insert(format!("{name}{SUMS}"), sums);
            gguf.tensors.insert(format!("{name}{COUNTS}"), (vec![1, matrices], entry.counts.clone()));
        }
        gguf.to_bytes()
    }

    /// The bytes of a file in the older form, which keeps means and one count for all experts.
    pub fn to_legacy(&self) -> Vec<u8> {
        legacy::to_bytes(self)
    }

    /// Names of the weights, in order: `blk.0.attn_q.weight`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The weights' names and sums, in order.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &ImatrixEntry)> {
        self.entries.iter().map(|(name, entry)| (&name[..], entry))
    }

    /// The sums of a weight.
    pub fn get(&self, name: &str) -> Option<&ImatrixEntry> {
        self.entries.get(name)
    }

    /// Puts the sums of a weight; what was there before comes back.
    pub fn put(&mut self, name: String, entry: ImatrixEntry) -> Option<ImatrixEntry> {
        self.entries.insert(name, entry)
    }

    /// E[x^2] of a module's input channels, by its Hugging Face name; `None` if the file has nothing of it, or saw no token of that expert.
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

    /// Adds what was seen of a module's input. Experts go to their place in the stack.
    ///
    /// # Errors
    /// [`Error::Job`] for a module that has no name in llama.cpp, another number of channels than before, or more than 1024 experts.
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
