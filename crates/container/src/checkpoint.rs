//! A checkpoint directory: its configuration, its safetensors files, and the location of each
//! tensor.
//!
//! The weights are in one `model.safetensors`, or in shards that `model.safetensors.index.json`
//! lists. As in transformers, a `model.safetensors` that the index does not name takes precedence
//! over the index. Opening a directory reads and validates every header, but no tensor.

use crate::index::{INDEX, Index};
use crate::safetensors::TensorFile;
use crate::{Container, Entry, Error, Result};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Name of the weight file of a checkpoint without shards.
pub const SINGLE: &str = "model.safetensors";
/// Name of the tokenizer file.
pub const TOKENIZER: &str = "tokenizer.json";
/// Name of the configuration file.
pub const CONFIG: &str = "config.json";

/// An open checkpoint.
#[derive(Debug)]
pub struct Checkpoint {
    dir: PathBuf,
    config: Option<Map<String, Value>>,
    files: Vec<Box<dyn Container>>,
    tokenizer: Option<Vec<u8>>,
    tensors: BTreeMap<String, (usize, usize)>,
    index: bool,
    warnings: Vec<String>,
}

/// A tensor of an open checkpoint: its entry and the file that holds it.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    /// Name, dtype, shape and byte range.
    pub entry: &'a Entry,
    /// The container that holds the tensor.
    pub file: &'a dyn Container,
}

/// The kind of a fault that makes a checkpoint, or a part of it, unreadable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flaw {
    /// The configuration cannot be read.
    Config,
    /// The index cannot be read.
    Index,
    /// There are shards, but no index.
    NoIndex,
    /// There are no weights.
    NoWeights,
    /// A shard that the index names is missing.
    NoShard,
    /// A file cannot be read.
    File,
    /// A tensor is in two shards.
    Twice,
    /// A tensor that the index names is in no shard.
    NotThere,
    /// A tensor is in another shard than the index says.
    Elsewhere,
}

/// A callback that is called for each flaw. If it returns an error, opening stops with that error.
pub type Tell<'a> = dyn FnMut(Flaw, Error) -> Result<()> + 'a;

/// The value, or `None` if there is an error that `tell` accepts.
fn or_tell<T>(result: Result<T>, flaw: Flaw, tell: &mut Tell<'_>) -> Result<Option<T>> {
    result.map(Some).or_else(|error| tell(flaw, error).map(|()| None))
}

/// Opens the files that can be opened, and reports the others to `tell`.
fn open_files(
    paths: impl IntoIterator<Item = PathBuf>,
    tell: &mut Tell<'_>,
) -> Result<Vec<Box<dyn Container>>> {
    let mut files: Vec<Box<dyn Container>> = Vec::new();
    for path in paths {
        if let Some(file) = or_tell(TensorFile::open(path), Flaw::File, tell)? {
            files.push(Box::new(file));
        }
    }
    Ok(files)
}

impl Tensor<'_> {
    /// Fills `buffer` with the tensor's bytes, from byte `offset` on.
    ///
    /// # Errors
    /// As [`Container::read`].
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.file.read(self.entry, offset, buffer)
    }

    /// All bytes of the tensor.
    ///
    /// # Errors
    /// As [`Container::read`].
    pub fn read_all(&self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.entry.len() as usize];
        self.read(0, &mut bytes)?;
        Ok(bytes)
    }

    /// Its rows and columns; an error if its shape is not two-dimensional.
    pub fn matrix(&self) -> Result<[usize; 2]> {
        match self.entry.shape[..] {
            [rows, cols] => Ok([rows, cols]),
            _ => Err(self.error(format!("shape {:?} is not a matrix", self.entry.shape))),
        }
    }

    /// An error about this tensor.
    pub fn error(&self, reason: impl Into<String>) -> Error {
        Error::tensor(self.file.path(), &self.entry.name, reason)
    }
}

impl Checkpoint {
    /// Opens a checkpoint directory, or a single safetensors file.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::File`], [`Error::Tensor`] or [`Error::Duplicate`]: a shard is
    /// missing, the index names absent tensors, two shards have the same tensor, or a header or the
    /// configuration is malformed.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_telling(path.as_ref(), &mut |_, error| Err(error))
    }

    /// Opens the readable parts of a checkpoint. `tell` is called for every flaw; its result says
    /// whether to go on without that part.
    pub fn open_telling(path: &Path, tell: &mut Tell<'_>) -> Result<Self> {
        let about = std::fs::metadata(path).map_err(|e| Error::io("open", path, e))?;
        if about.is_file() {
            let dir = path.parent().unwrap_or(Path::new("")).to_owned();
            let files = open_files([path.to_owned()], tell)?;
            return Self { dir, ..Self::empty() }.with_files(files, None, tell);
        }
        let (single, index_path) = (path.join(SINGLE), path.join(INDEX));
        let config = or_tell(read_config(&path.join(CONFIG)), Flaw::Config, tell)?.flatten();
        let mut checkpoint = Self { dir: path.to_owned(), config, ..Self::empty() };
        let index = index_path.exists().then(|| or_tell(Index::read(&index_path), Flaw::Index, tell));
        let (broken, mut index) = (matches!(index, Some(Ok(None))), index.transpose()?.flatten());
        if single.exists() && index.as_ref().is_some_and(|i| !i.shards().contains(SINGLE)) {
            checkpoint.warnings.push(format!("{INDEX} does not name {SINGLE} and is ignored"));
            index = None;
        }
        let Some(index) = index else {
            let mut files = vec![single];
            if !files[0].exists() {
                files = weight_files(path);
                let flaw = if files.is_empty() { Flaw::NoWeights } else { Flaw::NoIndex };
                if !broken || files.is_empty() {
                    tell(flaw, Error::file(path, no_weights(path)))?;
                }
            }
            return checkpoint.with_files(open_files(files, tell)?, None, tell);
        };
        let mut files = Vec::new();
        for shard in index.shards() {
            let file = path.join(shard);
            if file.exists() {
                files.push(file);
                continue;
            }
            let mut lost = index.weight_map.iter().filter(|(_, s)| *s == shard).map(|(name, _)| name);
            let first = lost.next().map_or("", String::as_str);
            let reason =
                format!("shard {shard} is missing; {} tensors are in it, `{first}` first", 1 + lost.count());
            tell(Flaw::NoShard, Error::file(&index_path, reason))?;
        }
        checkpoint.index = true;
        checkpoint.with_files(open_files(files, tell)?, Some((&index_path, &index)), tell)
    }

    /// A checkpoint of containers that are already open: splits of one model, or memory. `name`
    /// stands for the directory in errors. Other files, such as the tokenizer, are looked up in it.
    ///
    /// # Errors
    /// [`Error::Duplicate`] if two containers have a tensor of the same name.
    pub fn of_containers(name: impl Into<PathBuf>, containers: Vec<Box<dyn Container>>) -> Result<Self> {
        let tell: &mut Tell<'_> = &mut |_, error| Err(error);
        Self { dir: name.into(), ..Self::empty() }.with_files(containers, None, tell)
    }

    /// Sets the text of `config.json`, for containers that include their configuration.
    ///
    /// # Errors
    /// [`Error::File`] if it is not a JSON object.
    pub fn with_config(mut self, json: &str) -> Result<Self> {
        let wrong =
            |e: serde_json::Error| Error::file(&self.dir, format!("configuration is not a JSON object: {e}"));
        self.config = Some(crate::json::loads(json.as_bytes()).map_err(wrong)?);
        Ok(self)
    }

    /// Sets the text of `tokenizer.json`, for containers that include their tokenizer.
    pub fn with_tokenizer(mut self, json: impl Into<Vec<u8>>) -> Self {
        self.tokenizer = Some(json.into());
        self
    }

    /// The text of `tokenizer.json`: the one that was set, or the file of the directory. `None` if
    /// there is neither.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read.
    pub fn tokenizer(&self) -> Result<Option<Vec<u8>>> {
        if let Some(text) = &self.tokenizer {
            return Ok(Some(text.clone()));
        }
        let path = self.dir.join(TOKENIZER);
        match std::fs::read(&path) {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", &path, e)),
        }
    }

    fn empty() -> Self {
        let (files, tensors, warnings) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { dir: PathBuf::new(), config: None, files, tokenizer: None, tensors, index: false, warnings }
    }

    /// Adds the files and checks their tensors against the index.
    fn with_files(
        mut self,
        files: Vec<Box<dyn Container>>,
        index: Option<(&Path, &Index)>,
        tell: &mut Tell<'_>,
    ) -> Result<Self> {
        self.files = files;
        for (f, file) in self.files.iter().enumerate() {
            for (e, entry) in file.entries().iter().enumerate() {
                if let Some(&(other, _)) = self.tensors.get(&entry.name) {
                    let [first, second] = [&self.files[other], file].map(|f| f.path().to_owned());
                    tell(Flaw::Twice, Error::Duplicate { tensor: entry.name.clone(), first, second })?;
                } else {
                    self.tensors.insert(entry.name.clone(), (f, e));
                }
            }
        }
        let Some((path, index)) = index else { return Ok(self) };
        let is_open =
            |shard: &str| self.files.iter().any(|f| f.path().file_name().is_some_and(|name| name == shard));
        let open: BTreeSet<&str> = index.shards().into_iter().filter(|shard| is_open(shard)).collect();
        // Tensors of a shard that could not be opened were reported with that shard.
        for (name, shard) in index.weight_map.iter().filter(|(_, shard)| open.contains(shard.as_str())) {
            let Some(&(f, _)) = self.tensors.get(name) else {
                let reason = format!("should be in {shard}, but no shard has it");
                tell(Flaw::NotThere, Error::tensor(path, name, reason))?;
                continue;
            };
            let file = self.files[f].path();
            if file.file_name().is_none_or(|n| n != shard.as_str()) {
                let reason = format!("should be in {shard}, but is in {}", file.display());
                tell(Flaw::Elsewhere, Error::tensor(path, name, reason))?;
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

    /// Adds overlay files, whose tensors replace those of the same names. Removes the tensors in
    /// `hidden`, and lets `configure` change the configuration.
    pub fn with_sheets(
        mut self,
        sheets: Vec<Box<dyn Container>>,
        hidden: &BTreeSet<String>,
        configure: impl FnOnce(&mut Map<String, Value>),
    ) -> Self {
        self.tensors.retain(|name, _| !hidden.contains(name));
        for sheet in sheets {
            let file = self.files.len();
            let entries = sheet.entries().iter().enumerate();
            self.tensors.extend(entries.map(|(at, entry)| (entry.name.clone(), (file, at))));
            self.files.push(sheet);
        }
        configure(self.config.get_or_insert_default());
        self
    }

    /// The directory of the checkpoint.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `config.json` as an object, if the directory has one.
    pub fn config(&self) -> Option<&Map<String, Value>> {
        self.config.as_ref()
    }

    /// The containers that hold the tensors: shards in name order, then sheets.
    pub fn files(&self) -> &[Box<dyn Container>] {
        &self.files
    }

    /// Whether the shards are listed in an index.
    pub fn has_index(&self) -> bool {
        self.index
    }

    /// Oddities of the directory that are no errors.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// A tensor by name.
    pub fn tensor(&self, name: &str) -> Option<Tensor<'_>> {
        self.tensors.get(name).map(|&at| self.at(at))
    }

    /// A tensor by name, or an error if it does not exist.
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

    /// Sum of the tensors' bytes, without headers.
    pub fn total_size(&self) -> u64 {
        self.tensors().map(|t| t.entry.len()).sum()
    }

    fn at(&self, (file, entry): (usize, usize)) -> Tensor<'_> {
        let file = self.files[file].as_ref();
        Tensor { entry: &file.entries()[entry], file }
    }
}

/// Reads a JSON object; `None` if the file does not exist.
pub fn read_config(path: &Path) -> Result<Option<Map<String, Value>>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("read", path, e)),
    };
    crate::json::loads(&text).map(Some).map_err(|e| Error::file(path, format!("not a JSON object: {e}")))
}

/// The paths of the safetensors files in a directory, in name order.
pub fn weight_files(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|file| file.path());
    let mut files: Vec<_> = files.filter(|f| f.extension().is_some_and(|e| e == "safetensors")).collect();
    files.sort();
    files
}

/// An error message for a directory without safetensors, which names other weight files in it.
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
