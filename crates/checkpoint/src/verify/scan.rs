//! The scan of all bytes of a checkpoint: tiles of quantized linears and chunks of float tensors,
//! shared among threads.

use super::checks::Code;
use super::counts::{Linear, Numbers};
use super::experts;
use super::finding::Finding;
use super::layers::Layers;
use super::names::{self, Kind};
use super::{floats, linear, verdicts};
use crate::progress::{Phase, Progress, Step};
use crate::threads::for_each;
use crate::{Checkpoint, Error, Result};
use lowbit_container::Error as ContainerError;
use lowbit_container::Tensor;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// A work item.
enum Unit {
    /// Index of a linear, of a matrix, and rows of it.
    Rows(usize, usize, Range<usize>),
    /// Index of a float tensor, and a byte range of it.
    Bytes(usize, Range<u64>),
}

/// The results for one linear so far.
#[derive(Debug, Default)]
struct OfLinear {
    seen: Linear,
    /// For each matrix, whether some weight is not zero; empty if not needed.
    alive: Vec<bool>,
    /// The finding about a tile that could not be read.
    failed: Option<Finding>,
}

impl OfLinear {
    fn merge(&mut self, seen: &Linear, matrix: usize) {
        self.seen.merge(seen);
        if let Some(alive) = self.alive.get_mut(matrix) {
            *alive |= seen.alive;
        }
    }
}

/// Scans everything that can be read, and reports the faults.
pub(super) fn scan(
    checkpoint: &Checkpoint,
    layers: &Layers,
    jobs: usize,
    progress: &dyn Progress,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let linears: Vec<_> =
        layers.linears.iter().filter(|l| !layers.broken.contains(&l.linear.module)).collect();
    let read: BTreeSet<&str> = linears.iter().flat_map(|l| l.parts.iter().map(|p| p.name.as_str())).collect();
    let told = |name: &str| {
        names::part_of(name).is_some_and(|(m, kind)| kind == Kind::Scale && layers.broken.contains(m))
    };
    let plain = |t: &Tensor<'_>| {
        names::is_float(t.entry.dtype) && !read.contains(t.entry.name.as_str()) && !told(&t.entry.name)
    };
    let tensors: Vec<Tensor<'_>> = checkpoint.tensors().filter(plain).collect();

    let rows = |at: usize| linear::tiles(linears[at]).map(move |(m, rows)| Unit::Rows(at, m, rows));
    let bytes = |at: usize| floats::chunks(tensors[at].entry.len()).map(move |b| Unit::Bytes(at, b));
    let units: Vec<Unit> =
        (0..linears.len()).flat_map(rows).chain((0..tensors.len()).flat_map(bytes)).collect();
    let size = |unit: &Unit| match unit {
        Unit::Rows(at, _, rows) => {
            let shape = linears[*at].shape();
            let all = (shape.matrices * shape.rows).max(1) as u64;
            linears[*at].size_bytes() / all * rows.len() as u64
        }
        Unit::Bytes(_, bytes) => bytes.end - bytes.start,
    };
    let total = units.iter().map(size).sum();
    let done = AtomicU64::new(0);
    let of_linears: Vec<Mutex<OfLinear>> = linears
        .iter()
        .map(|stored| {
            // A whole stack holds experts, as its shape shows; separate experts are known by their
            // names.
            let expert = stored.shape().matrices > 1 || experts::split(&stored.linear.module).is_some();
            let alive = if expert { vec![false; stored.shape().matrices] } else { Vec::new() };
            Mutex::new(OfLinear { alive, ..OfLinear::default() })
        })
        .collect();
    let of_tensors: Vec<Mutex<Numbers>> = tensors.iter().map(|_| Mutex::default()).collect();

    for_each(jobs, units.len(), |at| {
        let unit = &units[at];
        if progress.cancelled() {
            let done = done.load(Ordering::Relaxed);
            return Err(Error::Cancelled { dir: checkpoint.dir().to_owned(), done, total });
        }
        let name = match unit {
            Unit::Rows(at, matrix, rows) => {
                let stored = linears[*at];
                let dead = lock(&of_linears[*at]).alive.get(*matrix) == Some(&false);
                match linear::scan(checkpoint, stored, (*matrix, rows.clone()), dead) {
                    Ok(seen) => lock(&of_linears[*at]).merge(&seen, *matrix),
                    Err(error @ Error::Container(ContainerError::Io { .. })) => return Err(error),
                    Err(error) => lock(&of_linears[*at]).failed = Some(Finding::of(code(&error), &error)),
                }
                &stored.linear.weight
            }
            Unit::Bytes(at, bytes) => {
                let weights = names::part_of(&tensors[*at].entry.name).is_none();
                let seen = floats::scan(tensors[*at], bytes.clone(), weights)?;
                lock(&of_tensors[*at]).merge(&seen);
                &tensors[*at].entry.name
            }
        };
        let done = done.fetch_add(size(unit), Ordering::Relaxed) + size(unit);
        progress.step(Step { phase: Phase::Verify, name, done, total });
        Ok(())
    })?;

    for (stored, seen) in linears.iter().zip(of_linears) {
        let OfLinear { seen, alive, failed } = seen.into_inner().unwrap_or_else(|e| e.into_inner());
        match failed {
            Some(finding) => findings.push(finding),
            None => verdicts::linear(checkpoint, stored, &seen, &alive, findings),
        }
    }
    for (tensor, seen) in tensors.iter().zip(of_tensors) {
        let kind = names::part_of(&tensor.entry.name).map(|(_, kind)| kind);
        verdicts::floats(*tensor, kind, &seen.into_inner().unwrap_or_else(|e| e.into_inner()), findings);
    }
    Ok(())
}

/// The code of an error of reading a tile.
fn code(error: &Error) -> Code {
    match error {
        Error::Container(ContainerError::Tensor { tensor, .. })
            if names::part_of(tensor).is_some_and(|(_, kind)| kind == Kind::Order) =>
        {
            Code::OrderRange
        }
        _ => Code::LayerUnreadable,
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(|e| e.into_inner())
}
