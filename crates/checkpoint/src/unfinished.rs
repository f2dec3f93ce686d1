//! Names of files in an output directory that is not complete.

/// The extension of a file until it is complete.
pub(crate) const PARTIAL: &str = "partial";

/// The journal beside those files, which lists the row tiles that are synced.
pub(crate) const JOURNAL: &str = ".lowbit-journal";
