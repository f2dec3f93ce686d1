//! What every job has, whatever it does: where from, where to, and how much at a time.

use lowbit_kernels::Kernels;
use std::path::PathBuf;

/// From where, to where, with what. Of these only `max_shard_size` changes what is written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Directory of the checkpoint to read.
    pub source: PathBuf,
    /// Directory to write: absent or empty, unless `resume`.
    pub out: PathBuf,
    /// Worker threads.
    pub jobs: usize,
    /// Most tensor bytes in one file, unless a single linear needs more.
    pub max_shard_size: u64,
    /// Whether to go on with an interrupted run in `out`.
    pub resume: bool,
    /// SIMD level of the kernels.
    pub kernels: Kernels,
    /// Bytes read between two entries of the journal; only how much an interruption costs depends on it.
    #[doc(hidden)]
    pub journal_bytes: u64,
}

impl Settings {
    /// All cores, files of at most 5 GB.
    pub fn new(source: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        Self {
            source: source.into(),
            out: out.into(),
            jobs: std::thread::available_parallelism().map_or(1, usize::from),
            max_shard_size: 5_000_000_000,
            resume: false,
            kernels: Kernels::best(),
            journal_bytes: 256 << 20,
        }
    }
}
