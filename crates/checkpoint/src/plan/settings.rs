//! Settings that all jobs share: the source, the output, and the resources to use.

use lowbit_kernels::Kernels;
use std::path::PathBuf;

/// Source, output and resources of a job. Of these only `max_shard_size` changes the output.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Directory of the checkpoint to read.
    pub source: PathBuf,
    /// Directory to write: absent or empty, unless `resume` is set.
    pub out: PathBuf,
    /// Number of worker threads.
    pub jobs: usize,
    /// Maximum of tensor bytes in one file; a single larger linear still gets a file.
    pub max_shard_size: u64,
    /// Whether to continue an interrupted run in `out`.
    pub resume: bool,
    /// SIMD level of the kernels.
    pub kernels: Kernels,
    /// Bytes read between two entries of the journal. It decides only how much work an interruption
    /// loses.
    #[doc(hidden)]
    pub journal_bytes: u64,
}

impl Settings {
    /// Settings with all cores and files of at most 5 GB.
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
