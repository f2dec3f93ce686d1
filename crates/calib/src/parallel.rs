//! Parts worked on by as many threads as there are, with results in the order of the parts: nothing depends on who was faster.

#[cfg(feature = "rayon")]
use rayon::prelude::*;

use crate::error::Error;

/// What `work` makes of each of `parts`, or the first error in their order.
#[cfg(feature = "rayon")]
pub(crate) fn map<P: Send, R: Send>(
    parts: Vec<P>,
    work: impl Fn(P) -> Result<R, Error> + Sync + Send,
) -> Result<Vec<R>, Error> {
    let results: Vec<Result<R, Error>> = parts.into_par_iter().map(work).collect();
    results.into_iter().collect()
}

/// What `work` makes of each of `parts`, or the first error in their order.
#[cfg(not(feature = "rayon"))]
pub(crate) fn map<P, R>(parts: Vec<P>, work: impl Fn(P) -> Result<R, Error>) -> Result<Vec<R>, Error> {
    parts.into_iter().map(work).collect()
}
