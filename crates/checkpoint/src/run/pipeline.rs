//! The threads of a run. Each takes tiles from the queue until none is left, one fails, or the
//! caller cancels.

use super::Output;
use super::journal::Journal;
use super::queue::{Queue, Task};
use super::spent::{Spent, timed};
use super::tiles::Work;
use super::worker::{Losses, Worker};
use crate::plan::{Plan, Unit};
use crate::progress::{Phase, Progress, Step};
use crate::{Error, Result};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Does all tiles that the journal does not list. The result is the time spent, and the errors of
/// requantization.
pub(super) fn run(
    plan: &Plan,
    work: &Work,
    outputs: &[Output],
    journal: &Journal,
    progress: &dyn Progress,
) -> Result<(Spent, Losses)> {
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
    let sums = Mutex::new((Spent::default(), Losses::new()));
    std::thread::scope(|scope| {
        // More threads than tiles would only wait.
        for _ in 0..plan.settings().jobs.clamp(1, work.tiles.len().max(1)) {
            scope.spawn(|| {
                let mut worker = Worker::default();
                while let Some(task) = queue.next() {
                    if progress.cancelled() {
                        let dir = plan.settings().out.clone();
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
                let mut sums = sums.lock().unwrap_or_else(|e| e.into_inner());
                sums.0 += worker.spent;
                sums.1.extend(worker.losses);
            });
        }
    });
    // Written tiles are recorded even after an error, so that a resumed run skips them.
    let result = queue.result();
    let (mut spent, losses) = sums.into_inner().unwrap_or_else(|e| e.into_inner());
    let flushed = timed(&mut spent.syncing, || journal.flush(outputs));
    result.and(flushed).map(|()| (spent, losses))
}

/// Performs one task. The result is the unit and the number of the tile, for progress.
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
        Task::Write { group, tile, quantizer } => {
            worker.write(plan, (tile, &work.tiles[tile]), quantizer.as_deref(), outputs)?;
            (group, tile)
        }
    };
    let (group, tile) = at;
    queue.finished(group);
    timed(&mut worker.spent.syncing, || journal.wrote(tile, work.tiles[tile].bytes(plan), outputs))?;
    Ok((&plan.units[work.tiles[tile].unit], tile))
}
