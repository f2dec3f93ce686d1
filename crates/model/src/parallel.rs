//! Jobs that do not depend on each other, on all threads or on one.
//!
//! Work is cut by its size alone, and each job writes what is its own: results are the same for any number of threads.

/// Does every job.
#[cfg(feature = "rayon")]
pub(crate) fn each<T: Send>(jobs: Vec<T>, work: impl Fn(T) + Sync + Send) {
    use rayon::prelude::*;
    jobs.into_par_iter().for_each(work);
}

/// Does every job.
#[cfg(not(feature = "rayon"))]
pub(crate) fn each<T: Send>(jobs: Vec<T>, work: impl Fn(T) + Sync + Send) {
    jobs.into_iter().for_each(work);
}

/// Does every job and collects what comes of it, in the order of the jobs; the first error in that order is kept.
#[cfg(feature = "rayon")]
pub(crate) fn map<T: Send, R: Send, E: Send>(
    jobs: Vec<T>,
    work: impl Fn(T) -> Result<R, E> + Sync + Send,
) -> Result<Vec<R>, E> {
    use rayon::prelude::*;
    let done: Vec<Result<R, E>> = jobs.into_par_iter().map(work).collect();
    done.into_iter().collect()
}

/// Does every job and collects what comes of it, in the order of the jobs; the first error in that order is kept.
#[cfg(not(feature = "rayon"))]
pub(crate) fn map<T: Send, R: Send, E: Send>(
    jobs: Vec<T>,
    work: impl Fn(T) -> Result<R, E> + Sync + Send,
) -> Result<Vec<R>, E> {
    jobs.into_iter().map(work).collect()
}
