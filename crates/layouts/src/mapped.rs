//! A checkpoint mapped into memory: quantized linears whose codes and scales are views of the file, for engines that run from it.
//!
//! What a layout stores as it is in memory (NVFP4, MX, FP8, INT8, everything in `plain`) is borrowed; packed INT words and row pairs are
//! arranged once, and owned. Mapped pages count as memory of the process only while the system keeps them.

use crate::{Checkpoint, Error, Result};
use crate::{Holds, Part, Reading, Stored, read};
use half::{bf16, f16};
use lowbit_blocks::{Bytes, Dtype, QLinear, QTensor, Values};
use lowbit_container::{Container, Entry};
use memmap2::Mmap;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

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
    /// The linear. It shares the map, which stays for as long as it does.
    pub linear: QLinear<'static>,
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

/// A mapped checkpoint. Clones, and the linears that it gives, share the map: it is unmapped when the last of them is dropped.
///
/// An engine keeps linears in a structure of its own, and needs neither a lifetime nor this handle:
///
/// ```no_run
/// use std::collections::BTreeMap;
/// use lowbit_blocks::QLinear;
/// use lowbit_layouts::Mapped;
///
/// struct Engine {
///     linears: BTreeMap<String, QLinear<'static>>,
/// }
///
/// // SAFETY: nobody writes to a finished checkpoint.
/// let mapped = unsafe { Mapped::open("model-nvfp4") }?;
/// let engine = Engine { linears: mapped.named_linears().collect::<Result<_, _>>()? };
/// drop(mapped); // the linears keep the files mapped
/// # Ok::<(), lowbit_layouts::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Mapped {
    held: Arc<Held>,
    reading: Arc<Option<Reading>>,
    by_name: Arc<BTreeMap<String, usize>>,
    /// The files, each as a buffer that parts of tensors share.
    buffers: Arc<[Arc<MappedFile>]>,
}

/// The checkpoint and its maps.
#[derive(Debug)]
struct Held {
    checkpoint: Checkpoint,
    maps: Vec<Option<Mmap>>,
}

impl Held {
    /// The bytes of a file, if it is mapped or in memory.
    fn bytes(&self, at: usize) -> Option<&[u8]> {
        self.maps[at].as_deref().or(self.checkpoint.files()[at].bytes())
    }
}

/// One file of a mapped checkpoint.
#[derive(Debug)]
struct MappedFile {
    held: Arc<Held>,
    at: usize,
}

impl AsRef<[u8]> for MappedFile {
    fn as_ref(&self) -> &[u8] {
        self.held.bytes(self.at).unwrap_or_default()
    }
}

/// A tensor of plain numbers of a mapped checkpoint: a norm, an embedding, a bias. It shares the map.
#[derive(Clone, Debug)]
pub struct PlainTensor {
    shape: Vec<usize>,
    numbers: Numbers,
}

#[derive(Clone, Debug)]
enum Numbers {
    /// Aligned to their type.
    Mapped(Dtype, Bytes<'static>),
    /// Copied, since the file does not align them.
    F32(Arc<[f32]>),
    F16(Arc<[f16]>),
    Bf16(Arc<[bf16]>),
}

impl PlainTensor {
    /// Length of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The numbers, row-major.
    pub fn values(&self) -> Values<'_> {
        match &self.numbers {
            Numbers::Mapped(dtype, bytes) => Values::from_bytes(*dtype, bytes).unwrap_or(Values::F32(&[])),
            Numbers::F32(x) => Values::F32(x),
            Numbers::F16(x) => Values::F16(x),
            Numbers::Bf16(x) => Values::Bf16(x),
        }
    }
}

impl Mapped {
    /// Opens a checkpoint and maps its files.
    ///
    /// # Safety
    /// While the value or anything that it gave lives, no process may change or shorten the files: the slices it hands out would change under the reader, and reading past a
    /// new end kills the process. Checkpoints are written once and renamed into place, by this crate and by others, so this holds unless somebody writes
    /// into a finished file.
    ///
    /// # Errors
    /// As [`Checkpoint::open`] and [`read`]; [`Error::Io`](lowbit_container::Error::Io) if a file cannot be mapped.
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
        let held = Arc::new(Held { checkpoint, maps });
        let files = 0..held.maps.len();
        let buffers = files.map(|at| Arc::new(MappedFile { held: held.clone(), at })).collect();
        Ok(Self { held, reading: Arc::new(reading), by_name: Arc::new(by_name), buffers })
    }

    /// The checkpoint: configuration, headers.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.held.checkpoint
    }

    /// The quantized linears, by name.
    pub fn linears(&self) -> &[Stored] {
        (*self.reading).as_ref().map_or(&[], |reading| &reading.linears)
    }

    /// The bytes of a tensor as they are in the file. They need not be aligned to its type.
    ///
    /// # Errors
    /// [`Error::File`](lowbit_container::Error::File) if there is no such tensor.
    pub fn bytes(&self, name: &str) -> Result<(&Entry, &[u8])> {
        let (entry, _, bytes) = self.place(name)?;
        Ok((entry, bytes))
    }

    /// Where a tensor is: its entry, its file, and its bytes there.
    fn place(&self, name: &str) -> Result<(&Entry, usize, &[u8])> {
        let tensor = self.held.checkpoint.require(name)?;
        let is_own = |file: &dyn Container| std::ptr::addr_eq(file, tensor.file);
        let at = self.held.checkpoint.files().iter().position(|file| is_own(file.as_ref())).unwrap_or(0);
        let bytes = self.held.bytes(at);
        let bytes =
            bytes.ok_or_else(|| tensor.error("is in a container that can be neither mapped nor borrowed"))?;
        // The header was checked against the length of the file, and the map has that length.
        Ok((tensor.entry, at, &bytes[tensor.entry.begin as usize..tensor.entry.end as usize]))
    }

    /// The bytes of a tensor, sharing the map.
    fn shared(&self, name: &str) -> Result<Bytes<'static>> {
        let (entry, at, _) = self.place(name)?;
        Ok(Bytes::shared(self.buffers[at].clone(), entry.begin as usize..entry.end as usize))
    }

    /// A tensor of f32, f16 or bf16 numbers: a slice of the map where the file aligns them, a copy where it does not.
    ///
    /// ```no_run
    /// # use lowbit_layouts::Mapped;
    /// // SAFETY: nobody writes to a finished checkpoint.
    /// let mapped = unsafe { Mapped::open("model-nvfp4") }?;
    /// let norm = mapped.plain("model.norm.weight")?;
    /// assert_eq!(norm.shape(), [norm.values().len()]);
    /// # Ok::<(), lowbit_layouts::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Container`] if there is no such tensor; [`Error::Tensor`](lowbit_container::Error::Tensor) if it is of another type.
    pub fn plain(&self, name: &str) -> Result<PlainTensor> {
        let (entry, _, bytes) = self.place(name)?;
        let dtype = match entry.dtype {
            lowbit_container::Dtype::F32 => Dtype::F32,
            lowbit_container::Dtype::F16 => Dtype::F16,
            lowbit_container::Dtype::BF16 => Dtype::Bf16,
            other => {
                let reason = format!("holds {other}, not f32, f16 or bf16");
                return Err(Error::tensor(self.held.checkpoint.dir(), name, reason));
            }
        };
        let pairs = || bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        let numbers = match dtype {
            _ if cfg!(target_endian = "little") && Values::from_bytes(dtype, bytes).is_some() => {
                Numbers::Mapped(dtype, self.shared(name)?)
            }
            Dtype::F16 => Numbers::F16(pairs().map(f16::from_bits).collect()),
            Dtype::Bf16 => Numbers::Bf16(pairs().map(bf16::from_bits).collect()),
            _ => {
                let numbers = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
                Numbers::F32(numbers.collect())
            }
        };
        Ok(PlainTensor { shape: entry.shape.clone(), numbers })
    }

    /// All quantized linears with their module names, in name order.
    pub fn named_linears(&self) -> impl Iterator<Item = Result<(String, QLinear<'static>)>> {
        self.iter().map(|linear| linear.map(|linear| (linear.stored.linear.module.clone(), linear.linear)))
    }

    /// All quantized linears, in name order, each with whether it is a view of the file.
    pub fn iter(&self) -> impl Iterator<Item = Result<MappedLinear<'_>>> {
        self.linears().iter().map(|stored| {
            let linear = self.linear(&stored.linear.module)?;
            Ok(MappedLinear { stored, linear, access: stored.access() })
        })
    }

    /// A quantized linear by module or weight name. Its codes, scales and zero points share the map where the file has them as they are in
    /// memory.
    ///
    /// # Errors
    /// [`Error::File`](lowbit_container::Error::File) if there is no quantized linear of this name, or as [`Stored::read`].
    pub fn linear(&self, name: &str) -> Result<QLinear<'static>> {
        let missing =
            || Error::file(self.held.checkpoint.dir(), format!("there is no quantized linear `{name}`"));
        let at = *self.by_name.get(name).ok_or_else(missing)?;
        let stored = &self.linears()[at];
        if stored.assemble.is_some() {
            return stored.read(&self.held.checkpoint);
        }
        let (mut codes, mut scales, mut zeros) = (Bytes::default(), Bytes::default(), None);
        for part in &stored.parts {
            match part.holds {
                Holds::Codes(_) => codes = self.part(stored, part)?,
                Holds::Scales(_) => scales = self.part(stored, part)?,
                Holds::Zeros(_) => zeros = Some(self.part(stored, part)?),
                _ => {}
            }
        }
        if let Some(perm) = stored.perm(&self.held.checkpoint)? {
            let (bits, cols) = (stored.format.element.bits(), stored.shape().cols);
            let mut gathered = codes.into_vec();
            crate::columns::gather(bits, cols, &perm, &mut gathered);
            codes = own(gathered);
        }
        let scale = stored.tensor_scale(&self.held.checkpoint)?;
        let weight = QTensor::of_bytes(stored.format, stored.shape(), codes, scales, zeros, scale)
            .map_err(|e| Error::tensor(self.held.checkpoint.dir(), &stored.linear.weight, e.to_string()))?;
        stored.dress(&self.held.checkpoint, weight)
    }

    /// The bytes of a part as in memory: those of the map if they are so in the file.
    fn part(&self, stored: &Stored, part: &Part) -> Result<Bytes<'static>> {
        if part.packing().is_none() {
            return self.shared(&part.name);
        }
        let (_, bytes) = self.bytes(&part.name)?;
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
            part.refuse_stray(self.held.checkpoint.require(&part.name)?, range.start, file)?;
            part.unpack(format, shape, rows, file, &mut memory[start..]);
        }
        Ok(own(memory))
    }
}

/// Bytes that clones share.
fn own(bytes: Vec<u8>) -> Bytes<'static> {
    let range = 0..bytes.len();
    Bytes::shared(Arc::new(bytes), range)
}
