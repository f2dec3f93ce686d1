//! Where the time of a run's threads goes.

use serde::Serialize;
use std::ops::AddAssign;
use std::time::Instant;

/// Seconds, summed over the threads of a run. What is left of their time they waited for each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spent {
    /// Reading the source.
    pub reading: f64,
    /// Looking at values, choosing scales, encoding, packing.
    pub computing: f64,
    /// Writing to the output, until the system has taken the bytes.
    pub writing: f64,
    /// Waiting until bytes that were written are on the disk, which the journal does before it claims them.
    pub syncing: f64,
}

impl AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.reading += other.reading;
        self.computing += other.computing;
        self.writing += other.writing;
        self.syncing += other.syncing;
    }
}

/// Does `work` and adds the seconds that it took.
pub(super) fn timed<T>(seconds: &mut f64, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    *seconds += start.elapsed().as_secs_f64();
    done
}
