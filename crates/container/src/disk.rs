//! The interface through which a job writes its output directory: [`Disk`].
//!
//! [`Filesystem`] is the real implementation. Tests use others: one that runs out of space after
//! some bytes, one that kills the process at its n-th operation.

use crate::positioned;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// The operations of a job on its output directory.
pub trait Disk: Sync {
    /// Creates a directory and its parents. Does nothing if it exists.
    ///
    /// # Errors
    /// The error of the operating system.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Opens a file for writing and keeps its contents. Creates the file if it does not exist.
    ///
    /// # Errors
    /// The error of the operating system.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Renames a file atomically, replacing the target.
    ///
    /// # Errors
    /// The error of the operating system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// The error of the operating system.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Syncs a directory, so that renames in it are durable.
    ///
    /// # Errors
    /// The error of the operating system.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// An open output file. Many threads write to it, each at its own offset.
pub trait DiskFile: Send + Sync {
    /// Writes all bytes at this offset.
    ///
    /// # Errors
    /// The error of the operating system.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Sets the length of the file in bytes.
    ///
    /// # Errors
    /// The error of the operating system.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Syncs the file: waits until all writes are on the disk.
    ///
    /// # Errors
    /// The error of the operating system.
    fn sync(&self) -> io::Result<()>;

    /// Locks the file for this process until it is closed. False if another process holds the lock.
    ///
    /// # Errors
    /// The error of the operating system.
    fn lock(&self) -> io::Result<bool>;
}

/// The file system of the operating system.
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
        // Windows cannot open a directory to sync it. Renames are journaled there.
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
            // A file system without locks is written to without a lock.
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => Ok(true),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }
}
