//! Parallel loops over chunks of a slice: on all cores with the feature `rayon`, otherwise in
//! order.
//!
//! The division into chunks depends on the shape only, never on the number of threads, and the
//! first failing chunk determines the error. So neither results nor errors depend on the feature.

use alloc::vec::Vec;

/// Calls `work` with the index and the contents of each chunk of `chunk` elements (the last may be
/// short). Returns the results in the order of the chunks, or the first error in that order.
#[cfg(feature = "rayon")]
pub(crate) fn map_chunks<T: Send, R: Send, E: Send>(
    slice: &mut [T],
    chunk: usize,
    work: impl Fn(usize, &mut [T]) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    use rayon::prelude::*;
    // Collecting into a `Result` directly would keep any error, not the first.
    let results: Vec<_> =
        slice.par_chunks_mut(chunk).enumerate().map(|(index, chunk)| work(index, chunk)).collect();
    results.into_iter().collect()
}

/// Calls `work` with the index and the contents of each chunk of `chunk` elements (the last may be
/// short). Returns the results in the order of the chunks, or the first error in that order.
#[cfg(not(feature = "rayon"))]
pub(crate) fn map_chunks<T, R, E>(
    slice: &mut [T],
    chunk: usize,
    work: impl Fn(usize, &mut [T]) -> Result<R, E>,
) -> Result<Vec<R>, E> {
    slice.chunks_mut(chunk).enumerate().map(|(index, chunk)| work(index, chunk)).collect()
}

/// Calls `work` with the index and the contents of each chunk of `chunk` elements (the last may be
/// short), on all cores if there are several chunks.
pub(crate) fn for_chunks<T: Send>(slice: &mut [T], chunk: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    #[cfg(feature = "rayon")]
    if slice.len() > chunk {
        use rayon::prelude::*;
        return slice.par_chunks_mut(chunk).enumerate().for_each(|(index, chunk)| work(index, chunk));
    }
    slice.chunks_mut(chunk).enumerate().for_each(|(index, chunk)| work(index, chunk));
}
