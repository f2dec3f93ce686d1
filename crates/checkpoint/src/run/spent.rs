//! The time that the threads of a run spend on each kind of work.

use serde::Serialize;
use std::ops::AddAssign;
use std::time::Instant;

/// Seconds, summed over the threads of a run. In the rest of their time threads waited for each
/// other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spent {
    /// Reading the source.
    pub reading: f64,
    /// Collecting statistics, choosing scales, encoding and packing.
    pub computing: f64,
    /// Writing to the output, until the system has accepted the bytes.
    pub writing: f64,
    /// Syncing written bytes to the disk, before the journal lists them.
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

/// Runs `work` and adds its duration to `seconds`.
pub(super) fn timed<T>(seconds: &mut f64, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    *seconds += start.elapsed().as_secs_f64();
    done
}
