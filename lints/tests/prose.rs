//! Prose of the documents is at most 100 columns wide, so that differences show and lines can be read.

use std::fs;
use std::path::{Path, PathBuf};

const COLUMNS: usize = 100;

/// How many lines are still to be wrapped. May only shrink.
const WIDE_LEFT: usize = 420;

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

/// Lines of prose that are too wide, counted from 1. Tables, code, headings, comments and lines of one word may be.
fn wide_lines(text: &str) -> Vec<usize> {
    let mut code = false;
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let start = line.trim_start();
        if start.starts_with("```") {
            code = !code;
        }
        let free = code || ["|", "#", "<"].iter().any(|begin| start.starts_with(begin));
        if !free && line.chars().count() > COLUMNS && start.contains(' ') {
            found.push(at + 1);
        }
    }
    found
}

#[test]
fn prose_is_at_most_100_columns_wide() {
    let documents = documents();
    assert!(documents.len() > 15, "only {} documents found", documents.len());
    let mut wide = Vec::new();
    for document in documents {
        let text = fs::read_to_string(&document).expect("a document is text");
        wide.extend(wide_lines(&text).iter().map(|line| format!("{}:{line}", document.display())));
    }
    assert!(wide.len() <= WIDE_LEFT, "{} lines are wider:\n{}", wide.len(), wide.join("\n"));
}

#[test]
fn tables_and_code_may_be_wider() {
    let long = "word ".repeat(30);
    assert_eq!(wide_lines(&format!("short\n{long}\n| {long} |\n```\n{long}\n```\n{long}")), [2, 7]);
}
