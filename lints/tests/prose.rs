//! Prose of the documents is at most 100 columns wide, so that differences show and lines can be read. `LOWBIT_BLESS=1` wraps it.

use std::path::{Path, PathBuf};
use std::{env, fs};

use lowbit_lints::prose::{wide_lines, wrap};

/// Folders whose `.md` files are prose, from the root of the repository.
const FOLDERS: [&str; 5] = [".", "docs", "fuzz", "benches/records", "testdata"];

/// All documents: those of the folders, and the README of each crate.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let crates = fs::read_dir(root.join("crates")).expect("the folder of crates");
    let crates = crates.map(|entry| entry.expect("a readable entry").path());
    let folders = FOLDERS.iter().map(|folder| root.join(folder)).chain(crates);
    let mut documents: Vec<PathBuf> = folders
        .flat_map(|folder| {
            fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        })
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    documents.sort();
    documents
}

#[test]
fn prose_is_at_most_100_columns_wide() {
    let documents = documents();
    assert!(documents.len() > 15, "only {} documents found", documents.len());
    let mut wide = Vec::new();
    for document in documents {
        let text = fs::read_to_string(&document).expect("a document is text");
        let lines = wide_lines(&text);
        if !lines.is_empty() && env::var_os("LOWBIT_BLESS").is_some() {
            fs::write(&document, wrap(&text)).expect("a document can be written");
            continue;
        }
        wide.extend(lines.iter().map(|line| format!("{}:{line}", document.display())));
    }
    assert!(wide.is_empty(), "{} lines are wider:\n{}", wide.len(), wide.join("\n"));
}
