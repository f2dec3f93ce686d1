//! Names that files of an output directory have until it is whole.

/// The extension of files until they are whole.
pub(crate) const PARTIAL: &str = "partial";

/// The journal that lies beside them: which tiles are on the disk.
pub(crate) const JOURNAL: &str = ".lowbit-journal";
