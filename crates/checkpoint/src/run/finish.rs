//! The end of a run: the other files, then the weights under their final names, the index, and
//! `config.json` last.
//!
//! Each file is written or copied under a partial name, synced and renamed. Before the last rename
//! there is no `config.json`, so no loader takes the directory for a model; after it, all other
//! files are in place. The journal is removed at the very end, so a run that is interrupted during
//! these steps can be resumed too.

use super::journal::Journal;
use crate::disk::Disk;
use crate::index::{INDEX, Index};
use crate::plan::Plan;
use crate::progress::{Phase, Progress, Step};
use crate::{CONFIG, Error, Result, positioned};
use std::fs::File;
use std::path::Path;

/// Bytes that are copied at a time.
const CHUNK: usize = 1 << 20;

pub(super) fn finish(plan: &Plan, disk: &dyn Disk, journal: Journal, progress: &dyn Progress) -> Result<()> {
    let total = (plan.others.len() + plan.files.len() + plan.configs.len()) as u64;
    let mut done = 0;
    let mut step = |name: &str| {
        done += 1;
        progress.step(Step { phase: Phase::Finish, name, done, total });
    };
    for other in &plan.others {
        copy(plan, disk, other)?;
        step(&other.to_string_lossy());
    }
    for file in &plan.files {
        let (from, to) = (plan.partial(&file.name), plan.settings().out.join(&file.name));
        // A run that was interrupted here may have renamed some files already.
        let renamed =
            || std::fs::metadata(&to).is_ok_and(|about| about.len() == file.len()) && !from.exists();
        if !renamed() {
            disk.rename(&from, &to).map_err(|e| Error::io(format!("rename to {}", file.name), &from, e))?;
        }
        step(&file.name);
    }
    if plan.files.len() > 1 {
        let tensors =
            plan.files.iter().flat_map(|f| f.entries.iter().map(|e| (e.name.clone(), f.name.clone())));
        let total = plan.files.iter().map(|f| f.data_len()).sum();
        write(plan, disk, INDEX, &Index::new(tensors.collect(), total).to_bytes())?;
    }
    for (name, bytes) in &plan.configs {
        if name == CONFIG {
            sync_dir(plan, disk)?;
        }
        write(plan, disk, name, bytes)?;
        step(name);
    }
    sync_dir(plan, disk)?;
    let path = journal.path().to_owned();
    drop(journal);
    disk.remove(&path).map_err(|e| Error::io("remove", &path, e))
}

/// Writes a small file atomically.
fn write(plan: &Plan, disk: &dyn Disk, name: &str, bytes: &[u8]) -> Result<()> {
    let (partial, path) = (plan.partial(name), plan.settings().out.join(name));
    let file = disk.open(&partial).map_err(|e| Error::io("make", &partial, e))?;
    file.set_len(0)
        .and_then(|()| file.write_all_at(bytes, 0))
        .and_then(|()| file.sync())
        .map_err(|e| Error::io("write", &partial, e))?;
    drop(file);
    disk.rename(&partial, &path).map_err(|e| Error::io("rename", &partial, e))
}

/// Copies one file of the source, in chunks.
fn copy(plan: &Plan, disk: &dyn Disk, name: &Path) -> Result<()> {
    let (from, to) = (plan.source().dir().join(name), plan.settings().out.join(name));
    let partial = plan.partial(&name.to_string_lossy());
    let source = File::open(&from).map_err(|e| Error::io("open", &from, e))?;
    let len = source.metadata().map_err(|e| Error::io("stat", &from, e))?.len();
    if let Some(dir) = to.parent() {
        disk.create_dir(dir).map_err(|e| Error::io("make", dir, e))?;
    }
    let file = disk.open(&partial).map_err(|e| Error::io("make", &partial, e))?;
    let wrong = |e| Error::io("write", &partial, e);
    file.set_len(len).map_err(wrong)?;
    let mut buffer = vec![0; CHUNK.min(len as usize)];
    for at in (0..len).step_by(CHUNK) {
        let chunk = &mut buffer[..CHUNK.min((len - at) as usize)];
        positioned::read_exact_at(&source, chunk, at).map_err(|e| Error::io("read", &from, e))?;
        file.write_all_at(chunk, at).map_err(wrong)?;
    }
    file.sync().map_err(wrong)?;
    drop(file);
    disk.rename(&partial, &to).map_err(|e| Error::io("rename", &partial, e))
}

fn sync_dir(plan: &Plan, disk: &dyn Disk) -> Result<()> {
    disk.sync_dir(&plan.settings().out).map_err(|e| Error::io("sync", &plan.settings().out, e))
}
