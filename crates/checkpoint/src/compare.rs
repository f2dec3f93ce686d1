//! Comparison of two checkpoints, quantized or not: the error of each weight, worst first.
//!
//! The first checkpoint is the original: the signal-to-noise ratio is its power over the power of
//! the difference. Weights are dequantized to f32 and read in row tiles. The sums of the tiles are
//! added in order, so the figures depend on nothing but the bytes.

use crate::progress::{Phase, Progress, Step};
use crate::threads::for_each;
use crate::weights::{Weight, Weights};
use crate::{Error, Pattern, Result};
use lowbit_blocks::{ErrorReport, ErrorStats};
use serde::Serialize;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Options of [`compare`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CompareOptions {
    /// Number of worker threads.
    pub jobs: usize,
    /// Patterns of the tensors to compare; every tensor if empty.
    pub include: Vec<String>,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self { jobs: std::thread::available_parallelism().map_or(1, usize::from), include: Vec::new() }
    }
}

/// The result of a comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Weights that both checkpoints have, worst (lowest SQNR) first.
    pub rows: Vec<ComparedTensor>,
    /// The error over all values of all rows.
    pub total: ErrorReport,
    /// Weights that only the first checkpoint has.
    pub only_first: Vec<String>,
    /// Weights that only the second checkpoint has.
    pub only_second: Vec<String>,
}

/// One weight in both checkpoints.
#[derive(Clone, Debug, Serialize)]
pub struct ComparedTensor {
    /// Name of the unquantized tensor.
    pub name: String,
    /// Number of matrices, rows and columns.
    pub shape: [usize; 3],
    /// Format in the first checkpoint, or its dtype.
    pub first: String,
    /// Format in the second checkpoint, or its dtype.
    pub second: String,
    /// The error figures. In JSON an infinite SQNR (no difference) is null.
    #[serde(flatten)]
    pub figures: ErrorReport,
}

/// Compares two checkpoint directories or safetensors files.
///
/// # Errors
/// Any error of opening or reading either checkpoint; [`Error::Job`] if they have no weight in
/// common; [`Error::Tensor`](lowbit_container::Error::Tensor) if a weight has different shapes in
/// the two.
pub fn compare(
    first: &Path,
    second: &Path,
    options: &CompareOptions,
    progress: &dyn Progress,
) -> Result<Comparison> {
    let (a, b) = (Weights::open(first)?, Weights::open(second)?);
    let patterns = Pattern::list(&options.include)?;
    let wanted = |name: &str| {
        let matches = |p: &Pattern| p.matches(name) || p.matches(crate::arch::module_of(name));
        patterns.is_empty() || patterns.iter().any(matches)
    };
    let Pairs { pairs, only_first, only_second } = pair_up(&a, &b, wanted);
    if pairs.is_empty() {
        return Err(Error::Job(format!(
            "{} and {} have no weight in common",
            first.display(),
            second.display()
        )));
    }
    for (name, x, y) in &pairs {
        if x.shape != y.shape {
            let reason = format!("is {} here and {} in {}", x.shape, y.shape, second.display());
            return Err(Error::tensor(first, name, reason));
        }
    }
    let stats = measure(&pairs, options.jobs, Phase::Compare, progress, second)?;
    let mut total = ErrorStats::default();
    stats.iter().for_each(|s| total.merge(s));
    let label = |weights: &Weights, name: &str| match (weights.stored(name), weights.checkpoint.tensor(name))
    {
        (Some(stored), _) => stored.format.name(),
        (None, Some(tensor)) => tensor.entry.dtype.to_string(),
        (None, None) => "stack".into(),
    };
    let row = |((name, x, _), stats): (&Pair<'_>, &ErrorStats)| ComparedTensor {
        name: name.clone(),
        shape: [x.shape.matrices, x.shape.rows, x.shape.cols],
        first: label(&a, name),
        second: label(&b, name),
        figures: stats.report(),
    };
    let mut rows: Vec<_> = pairs.iter().zip(&stats).map(row).collect();
    // Worst first. NaN (an original of zeros that is no longer zeros) counts as worst; ties are in
    // name order.
    let rank = |row: &ComparedTensor| {
        if row.figures.sqnr_db.is_nan() { f64::NEG_INFINITY } else { row.figures.sqnr_db }
    };
    rows.sort_by(|x, y| rank(x).total_cmp(&rank(y)).then_with(|| x.name.cmp(&y.name)));
    Ok(Comparison { rows, total: total.report(), only_first, only_second })
}

/// A weight in both checkpoints.
pub(crate) type Pair<'a> = (String, Weight<'a>, Weight<'a>);

/// The weights of two checkpoints, by name.
#[derive(Debug, Default)]
pub(crate) struct Pairs<'a> {
    pub(crate) pairs: Vec<Pair<'a>>,
    /// Weights that only the first checkpoint has.
    pub(crate) only_first: Vec<String>,
    /// Weights that only the second checkpoint has.
    pub(crate) only_second: Vec<String>,
}

/// Finds each wanted weight of one checkpoint in the other, experts within stacks included.
pub(crate) fn pair_up<'a>(a: &'a Weights, b: &'a Weights, wanted: impl Fn(&str) -> bool) -> Pairs<'a> {
    let (experts_a, experts_b) = (a.experts(), b.experts());
    let Pairs { mut pairs, mut only_first, mut only_second } = Pairs::default();
    for name in a.names().filter(|name| wanted(name)) {
        match (a.get(name), b.get(name).or_else(|| experts_b.get(name).cloned())) {
            (Some(x), Some(y)) => pairs.push((name.to_owned(), x, y)),
            _ => only_first.push(name.to_owned()),
        }
    }
    for name in b.names().filter(|name| wanted(name) && a.get(name).is_none()) {
        match (experts_a.get(name), b.get(name)) {
            (Some(x), Some(y)) => pairs.push((name.to_owned(), x.clone(), y)),
            _ => only_second.push(name.to_owned()),
        }
    }
    // A stack whose experts are separate on the other side is compared expert by expert.
    let is_cut = |name: &String, own: &Weights| {
        own.get(name).is_some_and(|w| w.shape.matrices > 1)
            && pairs.iter().any(|(n, ..)| n.starts_with(parent(name)))
    };
    only_first.retain(|name| !is_cut(name, a));
    only_second.retain(|name| !is_cut(name, b));
    Pairs { pairs, only_first, only_second }
}

/// The prefix of a name up to and including the last dot of its module.
fn parent(name: &str) -> &str {
    let module = crate::arch::module_of(name);
    &module[..module.rfind('.').map_or(0, |dot| dot + 1)]
}

/// The error statistics of each pair.
pub(crate) fn measure(
    pairs: &[Pair<'_>],
    jobs: usize,
    phase: Phase,
    progress: &dyn Progress,
    dir: &Path,
) -> Result<Vec<ErrorStats>> {
    let mut tiles = Vec::new();
    for (at, (_, x, _)) in pairs.iter().enumerate() {
        tiles.extend(x.tiles().map(|rows| (at, rows)));
    }
    let bytes = |at: usize, rows: &std::ops::Range<usize>| (rows.len() * pairs[at].1.shape.cols * 4) as u64;
    let total = tiles.iter().map(|(at, rows)| bytes(*at, rows)).sum();
    let results: Vec<Mutex<ErrorStats>> = tiles.iter().map(|_| Mutex::new(ErrorStats::default())).collect();
    let done = AtomicU64::new(0);
    for_each(jobs, tiles.len(), |tile| {
        let (at, rows) = &tiles[tile];
        if progress.cancelled() {
            return Err(Error::Cancelled { dir: dir.to_owned(), done: done.load(Ordering::Relaxed), total });
        }
        let (name, x, y) = &pairs[*at];
        let (mut original, mut restored) = (Vec::new(), Vec::new());
        x.read(rows.clone(), &mut original)?;
        y.read(rows.clone(), &mut restored)?;
        results[tile].lock().unwrap_or_else(|e| e.into_inner()).observe(&original, &restored);
        let done = done.fetch_add(bytes(*at, rows), Ordering::Relaxed) + bytes(*at, rows);
        progress.step(Step { phase, name, done, total });
        Ok(())
    })?;
    let mut stats = vec![ErrorStats::default(); pairs.len()];
    for ((at, _), result) in tiles.iter().zip(results) {
        stats[*at].merge(&result.into_inner().unwrap_or_else(|e| e.into_inner()));
    }
    Ok(stats)
}
