//! Checks of the output directory: it must not overlap the source, and must be empty unless a run
//! is resumed.

use crate::unfinished::JOURNAL;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Checks the output directory against the source.
///
/// # Errors
/// [`Error::Output`] with the reason; [`Error::Container`] if a path cannot be resolved.
pub(super) fn check(source: &Path, out: &Path, resume: bool) -> Result<()> {
    let refuse = |reason: String| Err(Error::Output { dir: out.to_owned(), reason });
    let source = source.canonicalize().map_err(|e| Error::io("open", source, e))?;
    let place = resolve(out).map_err(|e| Error::io("use", out, e))?;
    if place == source {
        return refuse("is the source; write to another directory".into());
    }
    if place.starts_with(&source) {
        return refuse(format!("lies in the source {}; write elsewhere", source.display()));
    }
    if source.starts_with(&place) {
        return refuse(format!("holds the source {}; write elsewhere", source.display()));
    }
    let mut found: Vec<String> = match std::fs::read_dir(out) {
        Ok(entries) => entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io("read", out, e)),
    };
    found.sort();
    let journal = found.iter().any(|name| name == JOURNAL);
    match (resume, journal, found.first()) {
        (_, _, None) | (true, true, _) => Ok(()),
        (false, true, _) => refuse(
            "holds an interrupted run; go on with it with --resume, or choose another directory".into(),
        ),
        (true, false, Some(_)) => {
            refuse(format!("has no {JOURNAL}: it is finished, or not an output of this tool"))
        }
        (false, false, Some(first)) => refuse(format!("is not empty ({} files, {first} first)", found.len())),
    }
}

/// The path with all links resolved, as far as it exists.
fn resolve(path: &Path) -> std::io::Result<PathBuf> {
    let mut rest = Vec::new();
    let mut at = std::path::absolute(path)?;
    loop {
        match at.canonicalize() {
            Ok(mut real) => {
                for part in rest.into_iter().rev() {
                    // A directory that does not exist yet cannot be a link, so `..` just removes
                    // the last component.
                    if part == ".." { _ = real.pop() } else { real.push(part) }
                }
                return Ok(real);
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let Some(last) = at.components().next_back().map(|c| c.as_os_str().to_owned()) else {
                    return Err(e);
                };
                rest.push(last);
                if !at.pop() {
                    return Err(e);
                }
            }
            Err(e) => return Err(e),
        }
    }
}
