//! A parallel map whose results are in the order of the parts and do not depend on timing.

#[cfg(feature = "rayon")]
use rayon::prelude::*;

use crate::error::Error;

/// The results of `work` on each of `parts`, or the first error in their order.
#[cfg(feature = "rayon")]
pub(crate) fn map<P: Send, R: Send>(
    parts: Vec<P>,
    work: impl Fn(P) -> Result<R, Error> + Sync + Send,
) -> Result<Vec<R>, Error> {
    let results: Vec<Result<R, Error>> = parts.into_par_iter().map(work).collect();
    results.into_iter().collect()
}

/// The results of `work` on each of `parts`, or the first error in their order.
#[cfg(not(feature = "rayon"))]
pub(crate) fn map<P, R>(parts: Vec<P>, work: impl Fn(P) -> Result<R, Error>) -> Result<Vec<R>, Error> {
    parts.into_iter().map(work).collect()
}
