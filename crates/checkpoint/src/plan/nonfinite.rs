//! The scan for NaN and infinities, for plans that keep such tensors unquantized.

use super::Settings;
use crate::progress::{Phase, Progress, Step};
use crate::threads::for_each;
use crate::values::{bytes_of, value_dtype, values};
use crate::{Checkpoint, Error, Result};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes read at a time; a multiple of the size of every value type.
const CHUNK: u64 = 4 << 20;

/// The names of the tensors that hold a value that is not finite.
pub(super) fn find_nonfinite(
    checkpoint: &Checkpoint,
    names: &BTreeSet<String>,
    job: &Settings,
    progress: &dyn Progress,
) -> Result<BTreeSet<String>> {
    let mut chunks = Vec::new();
    for name in names {
        let len = checkpoint.require(name)?.entry.len();
        chunks.extend((0..len).step_by(CHUNK as usize).map(|at| (name, at, CHUNK.min(len - at))));
    }
    let total = chunks.iter().map(|(.., len)| len).sum();
    let (found, done) = (Mutex::new(BTreeSet::new()), AtomicU64::new(0));
    for_each(job.jobs, chunks.len(), |at| {
        let (name, offset, len) = chunks[at];
        if progress.cancelled() {
            return Err(Error::Cancelled { dir: job.out.clone(), done: done.load(Ordering::Relaxed), total });
        }
        let tensor = checkpoint.require(name)?;
        let mut words = Vec::new();
        let bytes = bytes_of(&mut words, len as usize);
        tensor.read(offset, bytes)?;
        let Some(dtype) = value_dtype(tensor.entry.dtype) else { return Ok(()) };
        let values = values(bytes, dtype);
        let mut wide = vec![0.0; values.len()];
        if job.kernels.first_non_finite(values.widened(&mut wide)).is_some() {
            found.lock().unwrap_or_else(|e| e.into_inner()).insert(name.clone());
        }
        let done = done.fetch_add(len, Ordering::Relaxed) + len;
        progress.step(Step { phase: Phase::Scan, name, done, total });
        Ok(())
    })?;
    Ok(found.into_inner().unwrap_or_else(|e| e.into_inner()))
}
