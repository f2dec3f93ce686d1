//! Checks of files: the index and the shards hold the same tensors, and no stray file is one that a
//! loader would take for a shard.

use super::checks::{Code, Severity};
use super::finding::Finding;
use crate::index::{INDEX, Index};
use lowbit_container::{CONFIG, Checkpoint, Flaw, SINGLE, weight_files};
use std::collections::BTreeSet;
use std::path::Path;

/// The code of an error of opening.
const fn code(flaw: Flaw) -> Code {
    match flaw {
        Flaw::Config => Code::ConfigBroken,
        Flaw::Index => Code::IndexBroken,
        Flaw::NoIndex => Code::IndexMissing,
        Flaw::NoWeights => Code::NoWeights,
        Flaw::NoShard => Code::ShardMissing,
        Flaw::File => Code::FileBroken,
        Flaw::Twice => Code::TensorTwice,
        Flaw::NotThere => Code::TensorNotInShards,
        Flaw::Elsewhere => Code::TensorElsewhere,
    }
}

/// Opens all files that can be opened, and reports the others.
pub(super) fn open(path: &Path, findings: &mut Vec<Finding>) -> crate::Result<Checkpoint> {
    let checkpoint = Checkpoint::open_telling(path, &mut |flaw, error| {
        findings.push(Finding::of(code(flaw), &error.into()));
        Ok(())
    })?;
    if path.is_dir() {
        around(path, &checkpoint, findings);
    }
    Ok(checkpoint)
}

/// Checks the files beside those that were opened.
fn around(dir: &Path, checkpoint: &Checkpoint, findings: &mut Vec<Finding>) {
    if checkpoint.config().is_none() && !dir.join(CONFIG).exists() {
        findings.push(Finding::new(Code::NoConfig, "there is no config.json").in_file(&dir.join(CONFIG)));
    }
    let index = Index::read(&dir.join(INDEX)).ok();
    let known: BTreeSet<&str> = match &index {
        Some(index) => index.shards(),
        None if dir.join(SINGLE).exists() => BTreeSet::from([SINGLE]),
        None => return,
    };
    for file in weight_files(dir) {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if known.contains(&*name) {
            continue;
        }
        let finding = match (&*name, name.starts_with("model-")) {
            (SINGLE, _) => Finding::new(
                Code::ShardNotInIndex,
                format!("{INDEX} does not name it; loaders take it and ignore the index"),
            ),
            (_, true) => Finding::new(Code::ShardNotInIndex, "nothing names it"),
            _ => Finding::new(Code::StrayFile, "nothing names it"),
        };
        findings.push(finding.in_file(&file));
    }
    if let Some(index) = index.filter(|_| checkpoint.has_index()) {
        against_index(dir, checkpoint, &index, findings);
    }
}

fn against_index(dir: &Path, checkpoint: &Checkpoint, index: &Index, findings: &mut Vec<Finding>) {
    for tensor in checkpoint.tensors().filter(|t| !index.weight_map.contains_key(&t.entry.name)) {
        let finding = Finding::new(Code::TensorNotInIndex, format!("{INDEX} does not name it"));
        findings.push(finding.in_file(tensor.file.path()).about(&tensor.entry.name));
    }
    let (said, have) = (index.metadata.get("total_size").and_then(as_whole), checkpoint.total_size());
    // Every tensor that is missing or duplicated changes the sum.
    let complete = findings.iter().all(|f| f.severity != Severity::Error);
    if let Some(said) = said.filter(|&said| said != have && complete) {
        let detail = format!("total_size is {said}, the tensors have {have} bytes");
        let finding = Finding::new(Code::TotalSize, detail).with("said", said).with("have", have);
        findings.push(finding.in_file(&dir.join(INDEX)));
    }
}

/// A size as tools write it; some write a float.
fn as_whole(value: &serde_json::Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_f64().filter(|f| f.fract() == 0.0 && *f >= 0.0).map(|f| f as u64))
}
