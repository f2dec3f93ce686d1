//! The schedule of a run: tiles are handed to threads, and tensors that share a scale are read in
//! full before their first tile is quantized.
//!
//! Tiles that are ready to write come first; only when there are none is the next group observed.
//! So at most a few groups are open at a time, and the second reading of a group follows its first
//! while its bytes are still in the system's cache.

use super::tiles::{Group, Work};
use crate::plan::{Plan, Unit};
use crate::{Error, Result};
use lowbit_calib::{Quantizer, Recipe, TensorStats};
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A task for one thread.
pub(super) enum Task {
    /// Collect the statistics of this tile.
    Observe { group: usize, tile: usize, stats: TensorStats },
    /// Write this tile, with the quantizer of its unit if scales are chosen for it.
    Write { group: usize, tile: usize, quantizer: Option<Arc<Quantizer>> },
}

/// A group whose statistics are being collected: the number of tiles still to come, and for each
/// unit the statistics of each matrix.
struct Open {
    left: usize,
    stats: HashMap<usize, Vec<TensorStats>>,
}

struct State {
    /// The group to observe next, and its tile to observe next.
    next: usize,
    observe: usize,
    open: HashMap<usize, Open>,
    ready: VecDeque<(usize, Range<usize>)>,
    quantizers: HashMap<usize, Arc<Quantizer>>,
    /// Number of unfinished tiles of each ready group.
    left: HashMap<usize, usize>,
    failed: Option<Error>,
}

/// The queue of a run.
pub(super) struct Queue<'a> {
    plan: &'a Plan,
    work: &'a Work,
    done: &'a [bool],
    state: Mutex<State>,
    change: Condvar,
}

impl<'a> Queue<'a> {
    /// A queue of all tiles except those that are `done`.
    pub(super) fn new(plan: &'a Plan, work: &'a Work, done: &'a [bool]) -> Self {
        let state = State {
            next: 0,
            observe: 0,
            open: HashMap::new(),
            ready: VecDeque::new(),
            quantizers: HashMap::new(),
            left: HashMap::new(),
            failed: None,
        };
        Self { plan, work, done, state: Mutex::new(state), change: Condvar::new() }
    }

    /// The next task. Waits for statistics that other threads collect. `None` when all is done or
    /// something failed.
    pub(super) fn next(&self) -> Option<Task> {
        let mut state = self.lock();
        loop {
            if state.failed.is_some() {
                return None;
            }
            if let Some(task) = self.take_ready(&mut state) {
                return Some(task);
            }
            match self.work.groups.get(state.next) {
                Some(group) => {
                    if let Some(task) = self.look_at(&mut state, group) {
                        return Some(task);
                    }
                }
                None if state.open.is_empty() => return None,
                None => state = self.change.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Merges the statistics of a tile. The last tile of a group makes its quantizers.
    pub(super) fn observed(&self, group: usize, tile: usize, stats: &TensorStats) {
        let mut state = self.lock();
        let Some(open) = state.open.get_mut(&group) else { return };
        let unit = self.work.tiles[tile].unit;
        if let (super::tiles::What::Rows { matrix, .. }, Some(known)) =
            (&self.work.tiles[tile].what, open.stats.get_mut(&unit))
        {
            known[*matrix].merge(stats);
        }
        open.left -= 1;
        if open.left == 0 {
            let stats = state.open.remove(&group).map(|open| open.stats).unwrap_or_default();
            self.make_ready(&mut state, group, stats);
            self.change.notify_all();
        }
    }

    /// Records that a tile of a ready group is written.
    pub(super) fn finished(&self, group: usize) {
        let mut state = self.lock();
        let Some(left) = state.left.get_mut(&group) else { return };
        *left -= 1;
        if *left == 0 {
            state.left.remove(&group);
            for unit in &self.work.groups[group].units {
                state.quantizers.remove(unit);
            }
        }
    }

    /// Records an error and ends the queue. Only the first error is kept.
    pub(super) fn fail(&self, error: Error) {
        self.lock().failed.get_or_insert(error);
        self.change.notify_all();
    }

    /// The first error, once all threads have ended.
    pub(super) fn result(self) -> Result<()> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).failed.map_or(Ok(()), Err)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_ready(&self, state: &mut State) -> Option<Task> {
        loop {
            let (group, tiles) = state.ready.front_mut()?;
            let group = *group;
            let Some(tile) = tiles.find(|tile| !self.done[*tile]) else {
                state.ready.pop_front();
                continue;
            };
            let quantizer = state.quantizers.get(&self.work.tiles[tile].unit).map(Arc::clone);
            return Some(Task::Write { group, tile, quantizer });
        }
    }

    /// Opens the next group, or returns its next tile to observe.
    fn look_at(&self, state: &mut State, group: &Group) -> Option<Task> {
        let at = state.next;
        if group.tiles.clone().all(|tile| self.done[tile]) {
            state.next += 1;
            return None;
        }
        if !group.observed {
            state.next += 1;
            self.make_ready(state, at, HashMap::new());
            return None;
        }
        if state.observe == 0 {
            let empty = |&unit: &usize| Some((unit, vec![self.stats_of(unit)?; self.matrices(unit)]));
            let stats = group.units.iter().filter_map(empty).collect();
            state.open.insert(at, Open { left: group.tiles.len(), stats });
        }
        let tile = group.tiles.start + state.observe;
        state.observe += 1;
        if state.observe == group.tiles.len() {
            (state.next, state.observe) = (at + 1, 0);
        }
        let stats = self.stats_of(self.work.tiles[tile].unit)?;
        Some(Task::Observe { group: at, tile, stats })
    }

    /// Makes the quantizers of a group whose statistics are complete, and marks its tiles as ready.
    fn make_ready(&self, state: &mut State, at: usize, mut stats: HashMap<usize, Vec<TensorStats>>) {
        let group = &self.work.groups[at];
        if group.units.len() > 1 {
            share(&mut stats);
        }
        for &unit in &group.units {
            let Unit::Quantized(q) = &self.plan.units[unit] else { continue };
            let Some(recipe) = q.recipe() else { continue };
            let of_unit = stats.get(&unit).map_or(&[][..], Vec::as_slice);
            match recipe.quantizer(q.linear.shape, q.value_dtype(), of_unit, self.plan.settings().kernels) {
                Ok(quantizer) => _ = state.quantizers.insert(unit, Arc::new(quantizer)),
                Err(e) => {
                    let file = self.plan.source().dir();
                    state.failed.get_or_insert(Error::tensor(file, q.from(), e.to_string()));
                }
            }
        }
        state.left.insert(at, group.tiles.clone().filter(|tile| !self.done[*tile]).count());
        state.ready.push_back((at, group.tiles.clone()));
    }

    fn stats_of(&self, unit: usize) -> Option<TensorStats> {
        match &self.plan.units[unit] {
            Unit::Quantized(q) => q.recipe().and_then(Recipe::stats),
            _ => None,
        }
    }

    fn matrices(&self, unit: usize) -> usize {
        match &self.plan.units[unit] {
            Unit::Quantized(q) => q.linear.shape.matrices,
            _ => 0,
        }
    }
}

/// Gives all units of a group, for each matrix, the merged statistics of all units. The order does
/// not matter: statistics are maxima.
fn share(stats: &mut HashMap<usize, Vec<TensorStats>>) {
    let matrices = stats.values().map(Vec::len).max().unwrap_or(0);
    for matrix in 0..matrices {
        let mut of_matrix = stats.values().filter_map(|s| s.get(matrix));
        let Some(mut merged) = of_matrix.next().cloned() else { continue };
        of_matrix.for_each(|other| merged.merge(other));
        for own in stats.values_mut().filter_map(|s| s.get_mut(matrix)) {
            own.clone_from(&merged);
        }
    }
}
