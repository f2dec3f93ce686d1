//! The other files of a checkpoint directory: tokenizer, generation settings, code, licence. All
//! are copied except weights, hidden files, and entries that are not regular files.

use crate::unfinished::PARTIAL;
use crate::{Checkpoint, Error, Result, index::INDEX};
use std::path::{Path, PathBuf};

/// Extensions of files that hold weights, of this checkpoint or of another copy of the model.
const WEIGHTS: &[&str] =
    &["safetensors", "bin", "pt", "pth", "ckpt", "h5", "msgpack", "gguf", "onnx", "onnx_data", "nemo"];

/// The files to copy, relative to the source, in name order; and a warning for each file that is
/// left out, source shards excepted.
pub(super) fn list(
    checkpoint: &Checkpoint,
    configs: &[(String, Vec<u8>)],
) -> Result<(Vec<PathBuf>, Vec<String>)> {
    let (mut files, mut skipped) = (Vec::new(), Vec::new());
    walk(checkpoint.dir(), Path::new(""), &mut files, &mut skipped)?;
    let shard = |path: &Path| checkpoint.files().iter().any(|f| f.path() == checkpoint.dir().join(path));
    skipped.retain(|(path, _)| !shard(path));
    files.retain(|path| path != Path::new(INDEX) && !configs.iter().any(|(name, _)| path == Path::new(name)));
    files.sort();
    skipped.sort();
    let skipped = skipped.iter().map(|(path, why)| format!("{} {why} and is not copied", path.display()));
    Ok((files, skipped.collect()))
}

/// A path, and the reason that it is not copied.
type Skipped = (PathBuf, &'static str);

fn walk(root: &Path, under: &Path, files: &mut Vec<PathBuf>, skipped: &mut Vec<Skipped>) -> Result<()> {
    let dir = root.join(under);
    for entry in std::fs::read_dir(&dir).map_err(|e| Error::io("read", &dir, e))? {
        let entry = entry.map_err(|e| Error::io("read", &dir, e))?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = under.join(entry.file_name());
        let kind = entry.file_type().map_err(|e| Error::io("stat", &entry.path(), e))?;
        if kind.is_dir() {
            walk(root, &path, files, skipped)?;
        } else if let Some(why) = refuse(&path, &entry.path()) {
            skipped.push((path, why));
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// The reason that a file is not copied, if there is one.
fn refuse(path: &Path, full: &Path) -> Option<&'static str> {
    // A link to a file counts as a file (download caches use them). A link to a directory is
    // refused: it could lead anywhere, even to a parent.
    if full.is_dir() {
        return Some("is a link to a directory");
    }
    if !full.is_file() {
        return Some(if full.exists() { "is not a file" } else { "is a link to nothing" });
    }
    let extension = path.extension().and_then(|e| e.to_str());
    if extension == Some(PARTIAL) {
        // A copy could overwrite an unfinished file of the output, which has such a name too.
        return Some("is an unfinished file");
    }
    let index = path.to_string_lossy().ends_with(".safetensors.index.json") && path != Path::new(INDEX);
    (index || extension.is_some_and(|e| WEIGHTS.contains(&e))).then_some("holds weights in another form")
}
