//! A checkpoint directory: configuration, one or many safetensors files, and where each tensor is.
//!
//! `model.safetensors` alone, or shards listed in `model.safetensors.index.json`. As transformers does, a `model.safetensors` that the index does
//! not know wins over the index. Every header is read and checked when the directory is opened; no tensor is.

use crate::index::{INDEX, Index};
use crate::safetensors::{Entry, TensorFile};
use crate::{Error, Result};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Name of the one weight file of a checkpoint that is not sharded.
pub const SINGLE: &str = "model.safetensors";
/// Name of the configuration file.
pub const CONFIG: &str = "config.json";

/// An open checkpoint.
#[derive(Debug)]
pub struct Checkpoint {
    dir: PathBuf,
    config: Option<Map<String, Value>>,
    files: Vec<TensorFile>,
    tensors: BTreeMap<String, (usize, usize)>,
    index: bool,
    warnings: Vec<String>,
}

/// A tensor of an open checkpoint: its entry and the file that holds it.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    /// Name, dtype, shape, byte range.
    pub entry: &'a Entry,
    /// The file.
    pub file: &'a TensorFile,
}

impl Tensor<'_> {
    /// Fills `buffer` with the tensor's bytes from byte `offset` on.
    ///
    /// # Errors
    /// As [`TensorFile::read`].
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.file.read(self.entry, offset, buffer)
    }

    /// All of its bytes.
    ///
    /// # Errors
    /// As [`TensorFile::read`].
    pub fn read_all(&self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.entry.len() as usize];
        self.read(0, &mut bytes)?;
        Ok(bytes)
    }

    /// An error about this tensor.
    pub(crate) fn error(&self, reason: impl Into<String>) -> Error {
        Error::tensor(self.file.path(), &self.entry.name, reason)
    }
}

impl Checkpoint {
    /// Opens a checkpoint directory, or a single safetensors file.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::File`], [`Error::Tensor`] or [`Error::Duplicate`]: a missing shard, an index that names absent tensors, a name in two
    /// shards, a broken header or configuration.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let about = std::fs::metadata(path).map_err(|e| Error::io("open", path, e))?;
        if about.is_file() {
            let dir = path.parent().unwrap_or(Path::new("")).to_owned();
            return Self { dir, config: None, ..Self::empty() }
                .with_files(vec![TensorFile::open(path)?], None);
        }
        let (single, index_path) = (path.join(SINGLE), path.join(INDEX));
        let config = read_config(&path.join(CONFIG))?;
        let mut checkpoint = Self { dir: path.to_owned(), config, ..Self::empty() };
        let mut index = if index_path.exists() { Some(Index::read(&index_path)?) } else { None };
        if single.exists() && index.as_ref().is_some_and(|i| !i.shards().contains(SINGLE)) {
            checkpoint.warnings.push(format!("{INDEX} does not name {SINGLE} and is ignored"));
            index = None;
        }
        let Some(index) = index else {
            if !single.exists() {
                return Err(Error::file(path, no_weights(path)));
            }
            return checkpoint.with_files(vec![TensorFile::open(single)?], None);
        };
        let mut files = Vec::new();
        for shard in index.shards() {
            let file = path.join(shard);
            if !file.exists() {
                let mut lost = index.weight_map.iter().filter(|(_, s)| *s == shard).map(|(name, _)| name);
                let first = lost.next().map_or("", String::as_str);
                let reason = format!(
                    "shard {shard} is missing; {} tensors are in it, `{first}` first",
                    1 + lost.count()
                );
                return Err(Error::file(&index_path, reason));
            }
            files.push(TensorFile::open(file)?);
        }
        checkpoint.index = true;
        checkpoint.with_files(files, Some((&index_path, &index)))
    }

    fn empty() -> Self {
        let (files, tensors, warnings) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { dir: PathBuf::new(), config: None, files, tensors, index: false, warnings }
    }

    /// Takes in the files and holds their tensors against the index.
    fn with_files(mut self, files: Vec<TensorFile>, index: Option<(&Path, &Index)>) -> Result<Self> {
        self.files = files;
        for (f, file) in self.files.iter().enumerate() {
            for (e, entry) in file.header().entries.iter().enumerate() {
                if let Some((other, _)) = self.tensors.insert(entry.name.clone(), (f, e)) {
                    return Err(Error::Duplicate {
                        tensor: entry.name.clone(),
                        first: self.files[other].path().to_owned(),
                        second: file.path().to_owned(),
                    });
                }
            }
        }
        let Some((path, index)) = index else { return Ok(self) };
        for (name, shard) in &index.weight_map {
            let Some(&(f, _)) = self.tensors.get(name) else {
                return Err(Error::file(
                    path,
                    format!("tensor `{name}` should be in {shard}, but no shard has it"),
                ));
            };
            let file = self.files[f].path();
            if file.file_name().is_none_or(|n| n != shard.as_str()) {
                return Err(Error::file(
                    path,
                    format!("tensor `{name}` should be in {shard}, but is in {}", file.display()),
                ));
            }
        }
        let unnamed: Vec<_> =
            self.tensors.keys().filter(|name| !index.weight_map.contains_key(*name)).collect();
        if let Some(first) = unnamed.first() {
            self.warnings
                .push(format!("{} tensors are not named by {INDEX}, `{first}` first", unnamed.len()));
        }
        Ok(self)
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `config.json` as an object, if the directory has one.
    pub fn config(&self) -> Option<&Map<String, Value>> {
        self.config.as_ref()
    }

    /// The safetensors files, in name order.
    pub fn files(&self) -> &[TensorFile] {
        &self.files
    }

    /// Whether an index lists the shards.
    pub fn has_index(&self) -> bool {
        self.index
    }

    /// What is odd about the directory without being an error.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// A tensor by name.
    pub fn tensor(&self, name: &str) -> Option<Tensor<'_>> {
        self.tensors.get(name).map(|&at| self.at(at))
    }

    /// A tensor by name, or an error that says where it was looked for.
    ///
    /// # Errors
    /// [`Error::Missing`] naming the directory and the tensor.
    pub fn require(&self, name: &str) -> Result<Tensor<'_>> {
        let missing = || Error::Missing { dir: self.dir.clone(), tensor: name.to_owned() };
        self.tensor(name).ok_or_else(missing)
    }

    /// All tensors, in name order.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = Tensor<'_>> {
        self.tensors.values().map(|&at| self.at(at))
    }

    /// Sum of the tensors' bytes.
    pub fn total_size(&self) -> u64 {
        self.tensors().map(|t| t.entry.len()).sum()
    }

    fn at(&self, (file, entry): (usize, usize)) -> Tensor<'_> {
        let file = &self.files[file];
        Tensor { entry: &file.header().entries[entry], file }
    }
}

/// Reads a JSON object; `None` if there is no such file.
pub(crate) fn read_config(path: &Path) -> Result<Option<Map<String, Value>>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("read", path, e)),
    };
    crate::json::loads(&text).map(Some).map_err(|e| Error::file(path, format!("not a JSON object: {e}")))
}

/// What a directory without safetensors has instead.
fn no_weights(dir: &Path) -> String {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let weights = ["safetensors", "bin", "pth", "pt", "gguf", "ckpt"];
    let found: BTreeSet<String> = files
        .map(|file| file.file_name().to_string_lossy().into_owned())
        .filter(|name| weights.iter().any(|w| Path::new(name).extension().is_some_and(|e| e == *w)))
        .collect();
    let found: Vec<_> = found.into_iter().take(3).collect();
    let found =
        if found.is_empty() { "no weights at all".into() } else { format!("found {}", found.join(", ")) };
    format!("no {SINGLE} and no {INDEX} ({found})")
}
