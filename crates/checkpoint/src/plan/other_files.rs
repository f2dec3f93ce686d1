//! The other files of a checkpoint directory: tokenizer, generation settings, code, licence. All are copied but weights and hidden files.

use crate::{Checkpoint, Error, Result, index::INDEX};
use std::path::{Path, PathBuf};

/// Endings of files that hold weights, of this checkpoint or of another copy of the model.
const WEIGHTS: &[&str] =
    &["safetensors", "bin", "pt", "pth", "ckpt", "h5", "msgpack", "gguf", "onnx", "onnx_data", "nemo"];

/// The files to copy, relative to the source, in name order; and a warning for every one that is left out and was not a source shard.
pub(super) fn list(
    checkpoint: &Checkpoint,
    configs: &[(String, Vec<u8>)],
) -> Result<(Vec<PathBuf>, Vec<String>)> {
    let (mut files, mut skipped) = (Vec::new(), Vec::new());
    walk(checkpoint.dir(), Path::new(""), &mut files, &mut skipped)?;
    let shard = |path: &Path| checkpoint.files().iter().any(|f| f.path() == checkpoint.dir().join(path));
    skipped.retain(|path: &PathBuf| !shard(path));
    files.retain(|path| path != Path::new(INDEX) && !configs.iter().any(|(name, _)| path == Path::new(name)));
    files.sort();
    skipped.sort();
    let skipped = skipped
        .iter()
        .map(|path| format!("{} holds weights in another form and is not copied", path.display()));
    Ok((files, skipped.collect()))
}

fn walk(root: &Path, under: &Path, files: &mut Vec<PathBuf>, skipped: &mut Vec<PathBuf>) -> Result<()> {
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
        } else if entry.path().is_file() {
            // A link to a file is a file (caches are made of them); a link to a directory could lead anywhere, also back.
            let weights = path.extension().and_then(|e| e.to_str()).is_some_and(|e| WEIGHTS.contains(&e));
            let list = if weights
                || path.to_string_lossy().ends_with(".safetensors.index.json") && path != Path::new(INDEX)
            {
                &mut *skipped
            } else {
                &mut *files
            };
            list.push(path);
        }
    }
    Ok(())
}
