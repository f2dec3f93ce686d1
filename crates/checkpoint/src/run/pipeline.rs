//! The threads of a run: each takes tiles from the queue until there are none, or until one fails or the caller says stop.

use super::Output;
use super::journal::Journal;
use super::queue::{Queue, Task};
use super::spent::{Spent, timed};
use super::tiles::Work;
use super::worker::Worker;
use crate::plan::{Plan, Unit};
use crate::progress::{Phase, Progress, Step};
use crate::{Error, Result};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Does all tiles that the journal does not have yet; returns where the time went.
pub(super) fn run(
    plan: &Plan,
    work: &Work,
    outputs: &[Output],
    journal: &Journal,
    progress: &dyn Progress,
) -> Result<Spent> {
    let before = journal.done();
    let times = |group: &super::tiles::Group| if group.observed { 2 } else { 1 };
    let bytes = |tile: usize| work.tiles[tile].bytes(plan);
    let sum = |keep: &dyn Fn(usize) -> bool| -> u64 {
        let of_group =
            |g: &super::tiles::Group| times(g) * g.tiles.clone().filter(|t| keep(*t)).map(bytes).sum::<u64>();
        work.groups.iter().map(of_group).sum()
    };
    let total = sum(&|_| true);
    let done = AtomicU64::new(sum(&|tile| before[tile]));
    let queue = Queue::new(plan, work, &before);
    let spent = Mutex::new(Spent::default());
    std::thread::scope(|scope| {
        // More threads than tiles would only wait.
        for _ in 0..plan.job().jobs.clamp(1, work.tiles.len().max(1)) {
            scope.spawn(|| {
                let mut worker = Worker::default();
                while let Some(task) = queue.next() {
                    if progress.cancelled() {
                        let dir = plan.job().out.clone();
                        queue.fail(Error::Cancelled { dir, done: done.load(Ordering::Relaxed), total });
                        break;
                    }
                    match perform(plan, work, outputs, journal, &queue, &mut worker, task) {
                        Ok((unit, tile)) => {
                            let done = done.fetch_add(bytes(tile), Ordering::Relaxed) + bytes(tile);
                            progress.step(Step { phase: Phase::Quantize, name: unit.name(), done, total });
                        }
                        Err(error) => queue.fail(error),
                    }
                }
                *spent.lock().unwrap_or_else(|e| e.into_inner()) += worker.spent;
            });
        }
    });
    // What is written stays written: a resumed run need not do it again.
    let result = queue.result();
    let mut spent = spent.into_inner().unwrap_or_else(|e| e.into_inner());
    let flushed = timed(&mut spent.syncing, || journal.flush(outputs));
    result.and(flushed).map(|()| spent)
}

/// One task; returns the unit and tile that progress is about.
fn perform<'a>(
    plan: &'a Plan,
    work: &Work,
    outputs: &[Output],
    journal: &Journal,
    queue: &Queue<'_>,
    worker: &mut Worker,
    task: Task,
) -> Result<(&'a Unit, usize)> {
    let at = match task {
        Task::Observe { group, tile, mut stats } => {
            worker.observe(plan, &work.tiles[tile], &mut stats)?;
            queue.observed(group, tile, &stats);
            return Ok((&plan.units[work.tiles[tile].unit], tile));
        }
        Task::Quantize { group, tile, quantizer } => {
            worker.quantize(plan, &work.tiles[tile], &quantizer, outputs)?;
            (group, tile)
        }
        Task::Copy { group, tile } => {
            worker.copy(plan, &work.tiles[tile], outputs)?;
            (group, tile)
        }
    };
    let (group, tile) = at;
    queue.finished(group);
    timed(&mut worker.spent.syncing, || journal.wrote(tile, work.tiles[tile].bytes(plan), outputs))?;
    Ok((&plan.units[work.tiles[tile].unit], tile))
}
