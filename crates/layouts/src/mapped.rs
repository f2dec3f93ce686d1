//! A checkpoint mapped into memory: quantized linears whose codes and scales are views of the file, for engines that run from it.
//!
//! What a layout stores as it is in memory (NVFP4, MX, FP8, INT8, everything in `plain`) is borrowed; packed INT words and row pairs are
//! arranged once, and owned. Mapped pages count as memory of the process only while the system keeps them.

use crate::{Checkpoint, Error, Result};
use crate::{Holds, Part, Reading, Stored, read};
use lowbit_blocks::{QLinear, QTensor};
use lowbit_container::{Container, Entry};
use memmap2::Mmap;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

/// Whether a linear's codes, scales and zero points are views of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// They are as in memory: views, which cost nothing.
    Borrowed,
    /// The file arranges them differently: copies, which take as much memory again.
    Repacked,
}

/// One quantized linear of a mapped checkpoint.
#[derive(Clone, Debug)]
pub struct MappedLinear<'a> {
    /// Its names, its tensors, and what the configuration says of it.
    pub stored: &'a Stored,
    /// The linear.
    pub linear: QLinear<'a>,
    /// Whether it is a view of the file.
    pub access: Access,
}

impl Stored {
    /// Whether a mapped file needs no copy of this linear.
    pub fn access(&self) -> Access {
        let as_in_memory = self.parts.iter().all(|part| part.packing().is_none());
        match as_in_memory && self.assemble.is_none() && self.groups.is_none() {
            true => Access::Borrowed,
            false => Access::Repacked,
        }
    }
}

/// A mapped checkpoint.
#[derive(Debug)]
pub struct Mapped {
    checkpoint: Checkpoint,
    reading: Option<Reading>,
    by_name: BTreeMap<String, usize>,
    maps: Vec<Option<Mmap>>,
}

impl Mapped {
    /// Opens a checkpoint and maps its files.
    ///
    /// # Safety
    /// While the value lives, no process may change or shorten the files: the slices it hands out would change under the reader, and reading past a
    /// new end kills the process. Checkpoints are written once and renamed into place, by this crate and by others, so this holds unless somebody writes
    /// into a finished file.
    ///
    /// # Errors
    /// As [`Checkpoint::open`] and [`read`]; [`Error::Io`] if a file cannot be mapped.
    #[allow(unsafe_code)]
    pub unsafe fn open(path: impl AsRef<Path>) -> Result<Self> {
        let checkpoint = Checkpoint::open(path)?;
        // SAFETY: the caller promises the same.
        unsafe { Self::of(checkpoint) }
    }

    /// Maps the files of an open checkpoint. Containers that are in memory stay where they are.
    ///
    /// # Safety
    /// As [`open`](Self::open).
    ///
    /// # Errors
    /// As [`read`]; [`Error::Container`] if a file cannot be mapped.
    #[allow(unsafe_code)]
    pub unsafe fn of(checkpoint: Checkpoint) -> Result<Self> {
        let reading = read(&checkpoint)?;
        let mut maps = Vec::new();
        for file in checkpoint.files() {
            let Some(open) = file.file() else {
                // In memory already, or neither there nor in a file of its own.
                maps.push(None);
                continue;
            };
            // SAFETY: a mapping is sound while nobody changes the file, which is what the caller promises. It is private to this value and only read;
            // the file is open for reading, and its length is compared below with the one that the header was checked against.
            let map = unsafe { Mmap::map(open) }.map_err(|e| Error::io("map", file.path(), e))?;
            if map.len() as u64 != file.file_len() {
                let (now, then) = (map.len(), file.file_len());
                return Err(Error::file(
                    file.path(),
                    format!("is {now} bytes long and was {then} a moment ago"),
                ));
            }
            maps.push(Some(map));
        }
        let mut by_name = BTreeMap::new();
        for (at, stored) in reading.iter().flat_map(|r| &r.linears).enumerate() {
            by_name.insert(stored.linear.module.clone(), at);
            by_name.insert(stored.linear.weight.clone(), at);
        }
        Ok(Self { checkpoint, reading, by_name, maps })
    }

    /// The checkpoint: configuration, headers.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The quantized linears, by name.
    pub fn linears(&self) -> &[Stored] {
        self.reading.as_ref().map_or(&[], |reading| &reading.linears)
    }

    /// The bytes of a tensor as they are in the file. They need not be aligned to its type.
    ///
    /// # Errors
    /// [`Error::File`] if there is no such tensor.
    pub fn bytes(&self, name: &str) -> Result<(&Entry, &[u8])> {
        let tensor = self.checkpoint.require(name)?;
        let is_own = |file: &dyn Container| std::ptr::addr_eq(file, tensor.file);
        let at = self.checkpoint.files().iter().position(|file| is_own(file.as_ref())).unwrap_or(0);
        let bytes = self.maps[at].as_deref().or(tensor.file.bytes());
        let bytes =
            bytes.ok_or_else(|| tensor.error("is in a container that can be neither mapped nor borrowed"))?;
        // The header was checked against the length of the file, and the map has that length.
        Ok((tensor.entry, &bytes[tensor.entry.begin as usize..tensor.entry.end as usize]))
    }

    /// All quantized linears, in name order, each with whether it is a view of the file.
    pub fn iter(&self) -> impl Iterator<Item = Result<MappedLinear<'_>>> {
        self.linears().iter().map(|stored| {
            let linear = self.linear(&stored.linear.module)?;
            Ok(MappedLinear { stored, linear, access: stored.access() })
        })
    }

    /// A quantized linear by module or weight name. Its codes, scales and zero points are borrowed from the map where the file has them as they are in
    /// memory.
    ///
    /// # Errors
    /// [`Error::File`] if there is no quantized linear of this name, or as [`Stored::read`].
    pub fn linear(&self, name: &str) -> Result<QLinear<'_>> {
        let missing = || Error::file(self.checkpoint.dir(), format!("there is no quantized linear `{name}`"));
        let at = *self.by_name.get(name).ok_or_else(missing)?;
        let stored = &self.linears()[at];
        if stored.assemble.is_some() {
            return stored.read(&self.checkpoint);
        }
        let (mut codes, mut scales, mut zeros) = (Cow::Borrowed(&[][..]), Cow::Borrowed(&[][..]), None);
        for part in &stored.parts {
            match part.holds {
                Holds::Codes(_) => codes = self.part(stored, part)?,
                Holds::Scales(_) => scales = self.part(stored, part)?,
                Holds::Zeros(_) => zeros = Some(self.part(stored, part)?),
                _ => {}
            }
        }
        if let Some(perm) = stored.perm(&self.checkpoint)? {
            let (bits, cols) = (stored.format.element.bits(), stored.shape().cols);
            crate::columns::gather(bits, cols, &perm, codes.to_mut());
        }
        let scale = stored.tensor_scale(&self.checkpoint)?;
        let weight = QTensor::new(stored.format, stored.shape(), codes, scales, zeros, scale)
            .map_err(|e| Error::tensor(self.checkpoint.dir(), &stored.linear.weight, e.to_string()))?;
        stored.dress(&self.checkpoint, weight)
    }

    /// The bytes of a part as in memory: borrowed if they are so in the file.
    fn part(&self, stored: &Stored, part: &Part) -> Result<Cow<'_, [u8]>> {
        let (_, bytes) = self.bytes(&part.name)?;
        if part.packing().is_none() {
            return Ok(Cow::Borrowed(bytes));
        }
        let (format, shape) = (&stored.format, stored.shape());
        let mut memory = Vec::new();
        for matrix in 0..shape.matrices {
            let rows = 0..shape.rows;
            let len = match part.holds {
                Holds::Codes(_) => format.codes_range(shape, matrix, rows.clone()).len(),
                Holds::Scales(_) => format.scales_range(shape, matrix, rows.clone()).len(),
                _ => format.zeros_range(shape, matrix, rows.clone()).len(),
            };
            let start = memory.len();
            memory.resize(start + len, 0);
            let range = part.range(format, shape, matrix, rows.clone());
            let file = &bytes[range.clone()];
            part.refuse_stray(self.checkpoint.require(&part.name)?, range.start, file)?;
            part.unpack(format, shape, rows, file, &mut memory[start..]);
        }
        Ok(Cow::Owned(memory))
    }
}
