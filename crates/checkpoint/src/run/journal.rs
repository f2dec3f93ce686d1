//! The journal of a run: the row tiles that are synced, so that a resumed run skips them.
//!
//! ```text
//! lowbit journal 1
//! plan 5f0c…                SHA-256 of the plan: what is written, and from what
//! done 0 1 2 4              tiles whose bytes were synced before this line was written
//! done 3 5
//! sealed                    all tiles are; only renames are left
//! ```
//!
//! A line is valid once its newline is written; a line that a crash cut off is overwritten. Output
//! files are synced before the line that lists their tiles, so the journal never claims more than
//! the disk holds.

use super::Output;
use crate::disk::{Disk, DiskFile};
use crate::plan::Plan;
use crate::unfinished::JOURNAL;
use crate::{Error, Result};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

const TITLE: &str = "lowbit journal 1";

/// An open journal.
pub(super) struct Journal {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    digest: String,
    every: u64,
    resumed: usize,
    state: Mutex<State>,
}

struct State {
    done: Vec<bool>,
    sealed: bool,
    /// Length of the journal in bytes.
    len: u64,
    /// Tiles written since the last entry, and their source bytes.
    pending: Vec<usize>,
    pending_bytes: u64,
}

impl Journal {
    /// Opens the journal of an output directory, or creates it.
    ///
    /// # Errors
    /// [`Error::Output`] if it belongs to another plan, or if another process holds it.
    pub(super) fn open(disk: &dyn Disk, plan: &Plan, tiles: usize) -> Result<Self> {
        let out = &plan.settings().out;
        let refuse = |reason: &str| Error::Output { dir: out.clone(), reason: reason.into() };
        let path = out.join(JOURNAL);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(Error::io("read", &path, e)),
        };
        let file = disk.open(&path).map_err(|e| Error::io("make", &path, e))?;
        if !file.lock().map_err(|e| Error::io("lock", &path, e))? {
            return Err(refuse("is being written by another process"));
        }
        let state =
            State { done: vec![false; tiles], sealed: false, len: 0, pending: Vec::new(), pending_bytes: 0 };
        let mut journal = Self {
            path,
            file,
            digest: plan.digest().to_owned(),
            every: plan.settings().journal_bytes,
            resumed: 0,
            state: Mutex::new(state),
        };
        if !journal.read(&text).map_err(|reason| refuse(&reason))? {
            journal.forget()?;
        }
        Ok(journal)
    }

    /// Reads the entries of an earlier run; false if that run did not write the plan's digest.
    fn read(&mut self, text: &[u8]) -> Result<bool, String> {
        // Only lines with a newline count.
        let whole = text.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        let text = std::str::from_utf8(&text[..whole])
            .map_err(|e| format!("{JOURNAL} is not text at byte {}", e.valid_up_to()))?;
        let mut lines = text.lines();
        let (Some(title), Some(plan)) = (lines.next(), lines.next()) else { return Ok(false) };
        if title != TITLE {
            return Err(format!("{JOURNAL} begins with `{title}`, not `{TITLE}`"));
        }
        if plan != format!("plan {}", self.digest) {
            return Err("holds an interrupted run of another job, or its source has changed since; start afresh in another directory".into());
        }
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        for line in lines {
            let mut words = line.split(' ');
            match words.next() {
                Some("sealed") => state.sealed = true,
                Some("done") => {
                    for word in words {
                        let tile = word.parse().ok().and_then(|tile: usize| state.done.get_mut(tile));
                        *tile.ok_or_else(|| {
                            format!("{JOURNAL} names tile {word}, which the plan does not have")
                        })? = true;
                    }
                }
                _ => return Err(format!("{JOURNAL} has a line `{line}`")),
            }
        }
        state.len = whole as u64;
        self.resumed = state.done.iter().filter(|done| **done).count();
        Ok(true)
    }

    /// Resets the journal: no tile is done.
    pub(super) fn forget(&mut self) -> Result<()> {
        self.resumed = 0;
        let io = |e| Error::io("write", &self.path, e);
        let text = format!("{TITLE}\nplan {}\n", self.digest);
        self.file.set_len(0).map_err(io)?;
        self.file.write_all_at(text.as_bytes(), 0).map_err(io)?;
        self.file.sync().map_err(io)?;
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.done.fill(false);
        state.sealed = false;
        state.len = text.len() as u64;
        Ok(())
    }

    /// For each tile, whether it is done already.
    pub(super) fn done(&self) -> Vec<bool> {
        self.lock().done.clone()
    }

    /// Number of tiles that an earlier run had done.
    pub(super) fn resumed(&self) -> usize {
        self.resumed
    }

    /// Whether all tiles are synced.
    pub(super) fn is_sealed(&self) -> bool {
        self.lock().sealed
    }

    /// Records a written tile. Every `every` source bytes, syncs the outputs and appends an entry.
    pub(super) fn wrote(&self, tile: usize, bytes: u64, outputs: &[Output]) -> Result<()> {
        let mut state = self.lock();
        state.pending.push(tile);
        state.pending_bytes += bytes;
        if state.pending_bytes < self.every { Ok(()) } else { self.enter(&mut state, outputs) }
    }

    /// Syncs the outputs and appends an entry of the tiles since the last one.
    pub(super) fn flush(&self, outputs: &[Output]) -> Result<()> {
        self.enter(&mut self.lock(), outputs)
    }

    /// Syncs the outputs and marks the journal as complete.
    pub(super) fn seal(&self, outputs: &[Output]) -> Result<()> {
        outputs.iter().try_for_each(Output::sync)?;
        let mut state = self.lock();
        self.append(&mut state, "sealed\n")?;
        state.sealed = true;
        Ok(())
    }

    /// Path of the journal.
    pub(super) fn path(&self) -> &std::path::Path {
        &self.path
    }

    fn enter(&self, state: &mut State, outputs: &[Output]) -> Result<()> {
        if state.pending.is_empty() {
            return Ok(());
        }
        outputs.iter().try_for_each(Output::sync)?;
        let tiles = std::mem::take(&mut state.pending);
        state.pending_bytes = 0;
        let words: Vec<String> = tiles.iter().map(usize::to_string).collect();
        self.append(state, &format!("done {}\n", words.join(" ")))
    }

    fn append(&self, state: &mut State, line: &str) -> Result<()> {
        let io = |e| Error::io("write", &self.path, e);
        self.file.write_all_at(line.as_bytes(), state.len).map_err(io)?;
        self.file.sync().map_err(io)?;
        state.len += line.len() as u64;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
