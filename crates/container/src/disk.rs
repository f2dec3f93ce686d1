//! The seam where output leaves: everything that a job does to its output directory goes through [`Disk`].
//!
//! [`Filesystem`] is the real one. Tests put others in its place: one that is full after so many bytes, one that kills the process at the n-th
//! operation.

use crate::positioned;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// What a job may do to its output directory.
pub trait Disk: Sync {
    /// Makes a directory and those above it; nothing if it is there.
    ///
    /// # Errors
    /// What the system says.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Opens a file for writing without cutting it; makes it if it is not there.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Moves a file over another name, at once and whole.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes renames in a directory durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// An open output file, written at positions by many threads.
pub trait DiskFile: Send + Sync {
    /// Writes all bytes at this position.
    ///
    /// # Errors
    /// What the system says.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the file this long.
    ///
    /// # Errors
    /// What the system says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Waits until everything written is on the disk.
    ///
    /// # Errors
    /// What the system says.
    fn sync(&self) -> io::Result<()>;

    /// Takes the file for this process alone, until it is closed; false if another process has it.
    ///
    /// # Errors
    /// What the system says.
    fn lock(&self) -> io::Result<bool>;
}

/// The file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filesystem;

impl Disk for Filesystem {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(Box::new(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        // Windows has no such thing as an open directory to sync; renames are journaled there.
        if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
    }
}

impl DiskFile for File {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        positioned::write_all_at(self, bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        Self::set_len(self, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_all()
    }

    fn lock(&self) -> io::Result<bool> {
        match self.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            // A file system without locks is no reason not to write to it.
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => Ok(true),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }
}
