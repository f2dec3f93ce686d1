//! The source files of all crates, parsed: where each lies, which module it is, and what it holds.

use std::fs;
use std::path::{Path, PathBuf};

/// One file under `crates/CRATE/src`.
pub struct Source {
    /// The folder under `crates/`.
    pub krate: String,
    /// From the root of the repository.
    pub path: PathBuf,
    /// `["format", "mx"]` for `src/format/mx.rs`; empty for `lib.rs` and `main.rs`.
    pub module: Vec<String>,
    /// As it stands in the file.
    pub text: String,
    /// Its items.
    pub syntax: syn::File,
}

/// All files under `crates/*/src`, in the order of their paths.
pub fn all() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources = Vec::new();
    for krate in sorted(&root.join("crates")) {
        let src = krate.join("src");
        if !src.is_dir() {
            continue;
        }
        let name = krate.file_name().expect("a folder has a name").to_string_lossy().into_owned();
        let mut folders = vec![src.clone()];
        while let Some(folder) = folders.pop() {
            for path in sorted(&folder) {
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    sources.push(read(&name, &src, &path));
                }
            }
        }
    }
    assert!(sources.len() > 100, "only {} files found", sources.len());
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    paths.sort();
    paths
}

fn read(krate: &str, src: &Path, path: &Path) -> Source {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let inner = path.strip_prefix(src).expect("a file of this crate");
    let mut module: Vec<String> =
        inner.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| last == "mod")
        || (module.len() == 1 && matches!(&*module[0], "lib" | "main"))
    {
        module.pop();
    }
    let path = Path::new("crates").join(krate).join("src").join(inner);
    Source { krate: krate.to_owned(), path, module, text, syntax }
}

/// Whether `#[cfg(test)]` stands among these attributes.
pub fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}
