//! Exactness of a conversion: whether the numbers of a linear can be kept in another format.
//! Formats decide first, then scales and zero points.

use super::source::{Linears, Strip};
use crate::{Checkpoint, Result};
use lowbit_blocks::transcode::{Facts, Route, StoredRows, Transcoder};
use lowbit_blocks::{Format, Shape, TensorScale};

/// A linear to be transcoded to another format.
pub(super) struct Candidate<'a> {
    pub(super) strips: &'a [Strip],
    pub(super) shape: Shape,
    pub(super) to: Format,
    pub(super) divides: bool,
}

/// The transcoders of linears that share a tensor scale, in their order, each with its row quantum;
/// or the reason that one of them has none.
///
/// # Errors
/// Only errors of reading. A linear that cannot be transcoded is an `Ok(Err(reason))`.
pub(super) fn transcoders(
    checkpoint: &Checkpoint,
    linears: &Linears,
    candidates: &[Candidate<'_>],
) -> Result<Result<Vec<(Transcoder, usize)>, String>> {
    let mut routes = Vec::new();
    for candidate in candidates {
        match route(checkpoint, linears, candidate)? {
            Ok(route) => routes.push(route),
            Err(why) => return Ok(Err(why)),
        }
    }
    let Some(mut facts) = gather(checkpoint, linears, candidates, &routes, false)? else {
        return Ok(Ok(Vec::new()));
    };
    // Blocks of zeros do not restrict the shared scale, but finding them takes reading the codes.
    if routes.iter().any(|route| route.wants_codes(&facts))
        && let Some(of_codes) = gather(checkpoint, linears, candidates, &routes, true)?
    {
        facts = of_codes;
    }
    let planned = |route: &Route| route.plan(&facts).map(|transcoder| (transcoder, route.row_quantum()));
    Ok(routes.iter().map(|route| planned(route).map_err(|e| e.to_string())).collect())
}

/// The facts of the scales and zero points of all candidates together, and of their codes if
/// `codes`; `None` without candidates.
fn gather(
    checkpoint: &Checkpoint,
    linears: &Linears,
    candidates: &[Candidate<'_>],
    routes: &[Route],
    codes: bool,
) -> Result<Option<Facts>> {
    let mut all: Option<Facts> = None;
    for (candidate, route) in candidates.iter().zip(routes) {
        let mut facts = route.facts();
        if route.needs_facts() {
            observe(checkpoint, linears, candidate, route, codes, &mut facts)?;
        }
        match &mut all {
            Some(all) => all.merge(&facts),
            None => all = Some(facts),
        }
    }
    Ok(all)
}

/// The route of a linear, if its rows have one format and each of its matrices one tensor scale.
fn route(
    checkpoint: &Checkpoint,
    linears: &Linears,
    candidate: &Candidate<'_>,
) -> Result<Result<Route, String>> {
    let Candidate { strips, shape, to, divides } = candidate;
    let from = linears.stored[strips[0].linear].format;
    if linears.direct(strips, *shape).is_none() && !(from.row_quantum(shape.cols) == 1 && from.is_by_row()) {
        return Ok(Err(format!("rows of {from} cannot be told apart")));
    }
    let mut scales: Vec<Option<f32>> = vec![None; shape.matrices];
    let mut direction = TensorScale::None;
    for strip in *strips {
        let stored = &linears.stored[strip.linear];
        if stored.format != from {
            return Ok(Err(format!("{from} and {} would be one linear", stored.format)));
        }
        let of = stored.tensor_scale(checkpoint)?;
        let Some(&scale) = of.stored().get(strip.from.matrix) else { continue };
        let known = *scales[strip.to.matrix].get_or_insert(scale);
        if known.to_bits() != scale.to_bits() {
            return Ok(Err(format!("tensor scales {known} and {scale} would be one")));
        }
        direction = of;
    }
    let scales: Vec<f32> = scales.into_iter().flatten().collect();
    let tensor_scale = match direction {
        TensorScale::None => TensorScale::None,
        TensorScale::Multiply(_) => TensorScale::Multiply(scales),
        TensorScale::Divide(_) => TensorScale::Divide(scales),
    };
    Ok(Route::new(from, *to, *shape, &tensor_scale, *divides).map_err(|e| e.to_string()))
}

/// Shows a route the scales and zero points of a linear, and its codes if `codes`.
fn observe(
    checkpoint: &Checkpoint,
    linears: &Linears,
    candidate: &Candidate<'_>,
    route: &Route,
    codes: bool,
    facts: &mut Facts,
) -> Result<()> {
    let Candidate { strips, shape, .. } = candidate;
    if shape.is_empty() {
        return Ok(());
    }
    let direct = linears.direct(strips, *shape);
    let quantum = route.row_quantum().max(direct.map_or(1, crate::layout::Stored::quantum));
    let wanted = (1 << 20) / shape.cols.max(1);
    let step = (wanted - wanted % quantum).max(quantum).min(shape.rows);
    for matrix in 0..shape.matrices {
        for start in (0..shape.rows).step_by(step) {
            let rows = start..shape.rows.min(start + step);
            match direct.filter(|_| !codes) {
                Some(stored) => {
                    let (scales, zeros) = stored.numbers(checkpoint, matrix, rows.clone())?;
                    let part = StoredRows { rows: rows.len(), scales: &scales, zeros: &zeros, codes: None };
                    route.observe(facts, matrix, part);
                }
                None => {
                    let tile = linears.rows(checkpoint, strips, *shape, matrix, rows)?;
                    route.observe_rows(facts, matrix, &tile);
                }
            }
        }
    }
    Ok(())
}
