//! Writes files of statistics, one linear at a time in any order: the header follows from names and
//! widths alone.
//!
//! Token counts are tensors like the rest, because the header is written before tokens are counted.

use super::{ABSMAX, FORMAT, HESSIAN, SUM, SUM_ABS, SUM_SQUARE, TOKENS, VERSION, triangle};
use crate::disk::{Disk, DiskFile, Filesystem};
use crate::safetensors::{Dtype, Entry, header_bytes, order};
use crate::{Error, Result};
use lowbit_calib::{ChannelStats, Hessian};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Bytes that are converted at a time.
const CHUNK: usize = 1 << 20;

/// The type in which the sums of a Hessian are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Precision {
    /// Half the size; calibration data is not accurate to more than 24 bits.
    F32,
    /// The type in which they were summed.
    F64,
}

/// A linear whose statistics a file is to hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Planned {
    /// Name of the module.
    pub name: String,
    /// Number of input features.
    pub channels: usize,
    /// The storage type of its Hessian; `None` if it has none.
    pub hessian: Option<Precision>,
}

/// A file of statistics that is being written. It gets its final name in [`finish`](Self::finish).
pub struct StatisticsWriter {
    path: PathBuf,
    part: PathBuf,
    file: Box<dyn DiskFile>,
    entries: BTreeMap<String, Entry>,
    left: BTreeSet<String>,
}

impl StatisticsWriter {
    /// Plans a file for these linears. `about` goes into its metadata: model, texts, sequence
    /// length.
    ///
    /// # Errors
    /// [`Error::Job`] if a name is repeated or a Hessian is too large to address;
    /// [`Error::Io`](lowbit_container::Error::Io) if the file cannot be created.
    pub fn create(path: &Path, linears: &[Planned], about: &BTreeMap<String, String>) -> Result<Self> {
        let mut metadata = about.clone();
        metadata.insert("format".into(), FORMAT.into());
        metadata.insert("version".into(), VERSION.into());
        let mut tensors = Vec::new();
        let mut bytes = Some(0u64);
        for Planned { name, channels, hessian } in linears {
            if u32::try_from(*channels).is_err() {
                return Err(Error::Job(format!("{name}: {channels} channels")));
            }
            let mut add = |what: &str, dtype: Dtype, n: usize| {
                let len = (n * dtype.bitsize() / 8) as u64;
                bytes = bytes.and_then(|bytes| bytes.checked_add(len));
                tensors.push((format!("{name}.{what}"), dtype, vec![n], len));
            };
            add(TOKENS, Dtype::I64, 1);
            add(SUM, Dtype::F64, *channels);
            add(SUM_ABS, Dtype::F64, *channels);
            add(SUM_SQUARE, Dtype::F64, *channels);
            add(ABSMAX, Dtype::F32, *channels);
            if let Some(precision) = hessian {
                let len = triangle::len(*channels).filter(|n| n.checked_mul(64).is_some());
                let len =
                    len.ok_or_else(|| Error::Job(format!("{name}: a Hessian of {channels} channels")))?;
                add(HESSIAN, if *precision == Precision::F64 { Dtype::F64 } else { Dtype::F32 }, len);
            }
        }
        if bytes.is_none_or(|bytes| i64::try_from(bytes).is_err()) {
            return Err(Error::Job("statistics of more bytes than a file holds".into()));
        }
        tensors.sort_by(|a, b| order((a.1, &a.0), (b.1, &b.0)));
        let (header, planned) = header_bytes(&metadata, tensors);
        let left: BTreeSet<String> = linears.iter().map(|linear| linear.name.clone()).collect();
        let entries: BTreeMap<String, Entry> =
            planned.iter().map(|entry| (entry.name.clone(), entry.clone())).collect();
        if left.len() < linears.len() || entries.len() < planned.len() {
            return Err(Error::Job("statistics of two linears of one name".into()));
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let len = planned.last().map_or(header.len() as u64, |last| last.end);
        let file = Filesystem.open(&part).map_err(|e| Error::io("create", &part, e))?;
        let made = file.set_len(0).and_then(|()| file.set_len(len));
        made.and_then(|()| file.write_all_at(&header, 0))
            .map_err(|e| Error::io(format!("write {len} bytes of"), &part, e))?;
        Ok(Self { path: path.to_owned(), part, file, entries, left })
    }

    /// Writes the statistics of one linear: its moments and, if planned, its Hessian of the same
    /// tokens. A second call for the same linear replaces the first.
    ///
    /// # Errors
    /// [`Error::Job`] if the statistics do not match the plan;
    /// [`Error::Io`](lowbit_container::Error::Io) if they cannot be written.
    pub fn write(&mut self, name: &str, stats: &ChannelStats, hessian: Option<&Hessian>) -> Result<()> {
        let n = stats.channels();
        let refuse = |reason: String| Err(Error::Job(format!("statistics of {name}: {reason}")));
        let find = |what: &str| self.entries.get(&format!("{name}.{what}"));
        let Some(absmax) = find(ABSMAX) else { return refuse("were not planned".into()) };
        if absmax.shape != [n] {
            return refuse(format!("{n} channels, planned for {:?}", absmax.shape));
        }
        let Ok(tokens) = i64::try_from(stats.tokens()) else {
            return refuse(format!("{} tokens", stats.tokens()));
        };
        self.put(find(TOKENS), 0, &tokens.to_le_bytes())?;
        let wide = |numbers: &[f64]| numbers.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        self.put(find(SUM), 0, &wide(stats.sum()))?;
        self.put(find(SUM_ABS), 0, &wide(stats.sum_abs()))?;
        self.put(find(SUM_SQUARE), 0, &wide(stats.sum_square()))?;
        let narrow: Vec<u8> = stats.absmax().iter().flat_map(|x| x.to_le_bytes()).collect();
        self.put(find(ABSMAX), 0, &narrow)?;
        match (find(HESSIAN), hessian) {
            (None, None) => {}
            (Some(entry), Some(hessian)) if (hessian.size(), hessian.tokens()) == (n, stats.tokens()) => {
                self.put_hessian(entry, n, &hessian.sums())?;
            }
            (Some(_), Some(hessian)) => {
                let (size, seen) = (hessian.size(), hessian.tokens());
                return refuse(format!(
                    "a Hessian of {size} channels and {seen} tokens for {n} channels and {tokens} tokens"
                ));
            }
            (planned, _) => {
                let planned = if planned.is_some() { "with" } else { "without" };
                return refuse(format!("was planned {planned} a Hessian"));
            }
        }
        self.left.remove(name);
        Ok(())
    }

    fn put_hessian(&self, entry: &Entry, n: usize, sums: &[f64]) -> Result<()> {
        let (mut bytes, mut at) = (Vec::with_capacity(CHUNK + 8 * n), 0);
        for i in 0..n {
            let row = &sums[i * n + i..(i + 1) * n];
            match entry.dtype {
                Dtype::F64 => bytes.extend(row.iter().flat_map(|x| x.to_le_bytes())),
                _ => bytes.extend(row.iter().flat_map(|x| (*x as f32).to_le_bytes())),
            }
            if bytes.len() >= CHUNK || i + 1 == n {
                self.put(Some(entry), at, &bytes)?;
                at += bytes.len() as u64;
                bytes.clear();
            }
        }
        Ok(())
    }

    fn put(&self, entry: Option<&Entry>, offset: u64, bytes: &[u8]) -> Result<()> {
        let Some(entry) = entry else { return Ok(()) };
        let action = || format!("write tensor `{}` of", entry.name);
        self.file.write_all_at(bytes, entry.begin + offset).map_err(|e| Error::io(action(), &self.part, e))
    }

    /// Names of the linears that are not written yet.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        self.left.iter().map(String::as_str)
    }

    /// Renames the file to its final name; all linears must be written.
    ///
    /// # Errors
    /// [`Error::Job`] with the name of a missing linear; [`Error::Io`](lowbit_container::Error::Io)
    /// if the file cannot be synced or renamed.
    pub fn finish(self) -> Result<()> {
        if let Some(name) = self.left.first() {
            return Err(Error::Job(format!(
                "statistics of {name} and {} others are missing",
                self.left.len() - 1
            )));
        }
        self.file.sync().map_err(|e| Error::io("sync", &self.part, e))?;
        drop(self.file);
        Filesystem.rename(&self.part, &self.path).map_err(|e| Error::io("rename", &self.part, e))
    }
}
