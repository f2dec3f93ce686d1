//! The best of many runs, several things in turn.
//!
//! Other work on the machine only ever makes a run slower, so the best one is the one that repeats; and since what is compared runs in
//! turn, it meets the same neighbours. Where one run is too short for the clock, a sample is a batch of them after one that is not
//! timed: the cache then holds what this operation left, not what the one before it did.

use std::time::{Duration, Instant};

/// A sample lasts this long, unless one run lasts longer.
const SAMPLE: Duration = Duration::from_micros(40);

/// Seconds that one run of something takes.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// 10^9 bytes per second, if a run handles that many bytes.
    pub fn gb_per_s(self, bytes: usize) -> f64 {
        bytes as f64 / self.0 / 1e9
    }

    /// How many times as fast as `other`.
    pub fn times(self, other: Self) -> f64 {
        other.0 / self.0
    }
}

/// The best run of each of `runs`, which take turns for `budget` and at least three times.
pub fn in_turn<S>(state: &mut S, budget: Duration, runs: &mut [&mut dyn FnMut(&mut S)]) -> Vec<Rate> {
    let batches: Vec<u32> = runs
        .iter_mut()
        .map(|run| {
            let mut once = || seconds(1, state, run);
            let shortest = once().min(once());
            (SAMPLE.as_secs_f64() / shortest).ceil() as u32
        })
        .collect();
    let mut best = vec![f64::INFINITY; runs.len()];
    let start = Instant::now();
    let mut turns = 0;
    while turns < 3 || start.elapsed() < budget {
        for ((run, &batch), best) in runs.iter_mut().zip(&batches).zip(&mut best) {
            if batch > 1 {
                run(state);
            }
            *best = best.min(seconds(batch, state, run));
        }
        turns += 1;
    }
    best.into_iter().map(Rate).collect()
}

fn seconds<S>(batch: u32, state: &mut S, run: &mut dyn FnMut(&mut S)) -> f64 {
    let begin = Instant::now();
    for _ in 0..batch {
        run(state);
    }
    begin.elapsed().as_secs_f64().max(1e-9) / f64::from(batch)
}

/// How fast this machine reads: the fastest of our own ways to look at every value and keep nothing.
pub fn read_rate(x: &[f32], budget: Duration) -> Rate {
    let kernels = lowbit_kernels::Kernels::best();
    let mut read = |amax: &mut [f32; 1]| kernels.absmax(std::hint::black_box(x), x.len(), amax);
    in_turn(&mut [0.0], budget, &mut [&mut read])[0]
}
