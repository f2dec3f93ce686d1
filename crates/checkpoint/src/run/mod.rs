//! Execution of a plan: read, quantize and write row tile by row tile. Memory depends on the number
//! of threads, not on the size of tensors.
//!
//! ```text
//! source ──pread──► tile of rows ──► statistics, where a scale is one for many rows ──┐
//!        ──pread──► tile of rows ──► quantize ──► arrange ──► pwrite ──► NAME.partial ─┴─► sync, rename, index, config.json
//! ```
//!
//! All output is written under names that no loader opens. A journal beside it lists the row tiles
//! that are synced; an interrupted run continues from there to the same bytes
//! ([`Settings::resume`](crate::Settings)). Tiles are the same for any number of threads, each has
//! its own bytes in the output, and statistics merge in any order. Output bytes therefore depend
//! neither on threads nor on the SIMD level.

mod finish;
mod journal;
mod limits;
mod pipeline;
mod queue;
mod report;
mod spent;
mod tiles;
mod worker;

pub use report::Report;
pub use spent::Spent;

use crate::disk::{Disk, DiskFile, Filesystem};
use crate::plan::Plan;
use crate::unfinished::PARTIAL;
use crate::{Error, Progress, Result};
use journal::Journal;
use std::path::PathBuf;
use std::time::Instant;

impl Plan {
    /// Writes the output directory.
    ///
    /// # Errors
    /// The first error, as one line. The source is never written. The output directory can then be
    /// resumed, and none of its files has a name that a loader would open.
    pub fn run(&self, progress: &dyn Progress) -> Result<Report> {
        self.run_on(&Filesystem, progress)
    }

    /// As [`run`](Self::run), on another disk.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_on(&self, disk: &dyn Disk, progress: &dyn Progress) -> Result<Report> {
        let start = Instant::now();
        let out = &self.settings.out;
        crate::plan::check_paths(&self.settings)?;
        limits::check(self)?;
        disk.create_dir(out).map_err(|e| Error::io("make", out, e))?;
        let work = tiles::Work::new(self);
        let mut journal = Journal::open(disk, self, work.tiles.len())?;
        let (mut spent, mut losses) = Default::default();
        if !journal.is_sealed() {
            let outputs = self.open_outputs(disk, &mut journal)?;
            (spent, losses) = pipeline::run(self, &work, &outputs, &journal, progress)?;
            spent::timed(&mut spent.syncing, || journal.seal(&outputs))?;
        }
        let resumed = journal.resumed();
        finish::finish(self, disk, journal, progress)?;
        Ok(Report::new(self, start.elapsed().as_secs_f64(), spent, resumed, losses))
    }

    /// Opens the partial files at their full length and writes their headers. If a partial file is
    /// missing or has another length, the journal is reset.
    fn open_outputs(&self, disk: &dyn Disk, journal: &mut Journal) -> Result<Vec<Output>> {
        let paths: Vec<PathBuf> = self.files.iter().map(|f| self.partial(&f.name)).collect();
        let whole = |(path, file): (&PathBuf, &crate::plan::OutputFile)| {
            std::fs::metadata(path).is_ok_and(|about| about.len() == file.len())
        };
        if !paths.iter().zip(&self.files).all(whole) {
            journal.forget()?;
        }
        let mut outputs = Vec::new();
        for (path, file) in paths.into_iter().zip(&self.files) {
            let open = disk.open(&path).map_err(|e| Error::io("make", &path, e))?;
            open.set_len(file.len())
                .map_err(|e| Error::io(format!("reserve {} bytes for", file.len()), &path, e))?;
            let output = Output { path, file: open };
            output.write(&file.header, 0)?;
            outputs.push(output);
        }
        Ok(outputs)
    }

    /// Path of an output file until it is complete.
    fn partial(&self, name: &str) -> PathBuf {
        self.settings.out.join(format!("{name}.{PARTIAL}"))
    }
}

/// An open output file.
struct Output {
    path: PathBuf,
    file: Box<dyn DiskFile>,
}

impl Output {
    fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let action = || format!("write {} bytes at byte {offset} of", bytes.len());
        self.file.write_all_at(bytes, offset).map_err(|e| Error::io(action(), &self.path, e))
    }

    fn sync(&self) -> Result<()> {
        self.file.sync().map_err(|e| Error::io("sync", &self.path, e))
    }
}
