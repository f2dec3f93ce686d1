//! Memory-mapped checkpoints: quantized linears whose codes and scales are views of the file, for
//! inference engines.
//!
//! Parts that a layout stores as in memory (NVFP4, MX, FP8, INT8, everything in `plain`) are
//! borrowed. Packed INT words and row pairs are unpacked once, and owned. Mapped pages count as
//! memory of the process only while the system keeps them.

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
    /// They are stored as in memory: views, at no cost.
    Borrowed,
    /// The file packs them differently: copies, which take additional memory.
    Repacked,
}

/// One quantized linear of a mapped checkpoint.
#[derive(Clone, Debug)]
pub struct MappedLinear<'a> {
    /// The record of the linear: names, tensors, configuration.
    pub stored: &'a Stored,
    /// The linear. It shares the mapping and keeps it alive.
    pub linear: QLinear<'static>,
    /// Whether the linear is a view of the file.
    pub access: Access,
}

impl Stored {
    /// Whether a mapped linear is a view of the file or a copy.
    pub fn access(&self) -> Access {
        let as_in_memory = self.parts.iter().all(|part| part.packing().is_none());
        match as_in_memory && self.assemble.is_none() && self.groups.is_none() {
            true => Access::Borrowed,
            false => Access::Repacked,
        }
    }
}

/// A mapped checkpoint. Clones and linears share the mapping; it is unmapped when the last of them
/// is dropped.
///
/// An engine can keep linears in a structure of its own, without a lifetime and without this
/// handle:
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
    /// The files, each as a buffer that tensor parts share.
    buffers: Arc<[Arc<MappedFile>]>,
}

/// The checkpoint and its mappings.
#[derive(Debug)]
struct Held {
    checkpoint: Checkpoint,
    maps: Vec<Option<Mmap>>,
}

impl Held {
    /// The bytes of a file; `None` if it is neither mapped nor in memory.
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

/// An unquantized float tensor of a mapped checkpoint: a norm, an embedding, a bias. It shares the
/// mapping.
#[derive(Clone, Debug)]
pub struct PlainTensor {
    shape: Vec<usize>,
    numbers: Numbers,
}

#[derive(Clone, Debug)]
enum Numbers {
    /// A view of the mapping, aligned to its type.
    Mapped(Dtype, Bytes<'static>),
    /// A copy, because the file does not align it.
    F32(Arc<[f32]>),
    F16(Arc<[f16]>),
    Bf16(Arc<[bf16]>),
}

impl PlainTensor {
    /// The length of each axis.
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
    /// While this value or anything obtained from it is alive, no process may change or shorten the
    /// files. Otherwise the slices would change under the reader, and reading past the new end
    /// would kill the process. Checkpoints are written once and renamed into place, by this crate
    /// and by others, so this holds unless somebody writes into a finished file.
    ///
    /// # Errors
    /// As [`Checkpoint::open`] and [`read`]; [`Error::Io`](lowbit_container::Error::Io) if a file
    /// cannot be mapped.
    #[allow(unsafe_code)]
    pub unsafe fn open(path: impl AsRef<Path>) -> Result<Self> {
        let checkpoint = Checkpoint::open(path)?;
        // SAFETY: the caller makes the same promise.
        unsafe { Self::of(checkpoint) }
    }

    /// Maps the files of an open checkpoint. Containers in memory are borrowed.
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
                // In memory already, or neither in memory nor a file.
                maps.push(None);
                continue;
            };
            // SAFETY: a mapping is sound while nobody changes the file, as the caller promises. It
            // is private to this value and only read. The file is open for reading, and its length
            // is compared below with the length that the header was validated against.
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

    /// The underlying checkpoint, with configuration and headers.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.held.checkpoint
    }

    /// The records of the quantized linears, in name order.
    pub fn linears(&self) -> &[Stored] {
        (*self.reading).as_ref().map_or(&[], |reading| &reading.linears)
    }

    /// The bytes of a tensor as in the file. They may be unaligned to its type.
    ///
    /// # Errors
    /// [`Error::File`](lowbit_container::Error::File) if there is no such tensor.
    pub fn bytes(&self, name: &str) -> Result<(&Entry, &[u8])> {
        let (entry, _, bytes) = self.place(name)?;
        Ok((entry, bytes))
    }

    /// The location of a tensor: its entry, the index of its file, and its bytes.
    fn place(&self, name: &str) -> Result<(&Entry, usize, &[u8])> {
        let tensor = self.held.checkpoint.require(name)?;
        let is_own = |file: &dyn Container| std::ptr::addr_eq(file, tensor.file);
        let at = self.held.checkpoint.files().iter().position(|file| is_own(file.as_ref())).unwrap_or(0);
        let bytes = self.held.bytes(at);
        let bytes =
            bytes.ok_or_else(|| tensor.error("is in a container that can be neither mapped nor borrowed"))?;
        // The header was validated against the length of the file, and the mapping has that length.
        Ok((tensor.entry, at, &bytes[tensor.entry.begin as usize..tensor.entry.end as usize]))
    }

    /// The bytes of a tensor as a view that shares the mapping.
    fn shared(&self, name: &str) -> Result<Bytes<'static>> {
        let (entry, at, _) = self.place(name)?;
        Ok(Bytes::shared(self.buffers[at].clone(), entry.begin as usize..entry.end as usize))
    }

    /// An unquantized tensor of f32, f16 or bf16. A view of the mapping if the file aligns it,
    /// otherwise a copy.
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
    /// [`Error::Container`] if there is no such tensor;
    /// [`Error::Tensor`](lowbit_container::Error::Tensor) if it has another dtype.
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

    /// All quantized linears with the names of their modules, in name order.
    pub fn named_linears(&self) -> impl Iterator<Item = Result<(String, QLinear<'static>)>> {
        self.iter().map(|linear| linear.map(|linear| (linear.stored.linear.module.clone(), linear.linear)))
    }

    /// All quantized linears, in name order, each with its [`Access`].
    pub fn iter(&self) -> impl Iterator<Item = Result<MappedLinear<'_>>> {
        self.linears().iter().map(|stored| {
            let linear = self.linear(&stored.linear.module)?;
            Ok(MappedLinear { stored, linear, access: stored.access() })
        })
    }

    /// A quantized linear by the name of its module or weight. Codes, scales and zero points are
    /// views of the mapping if the file stores them as in memory.
    ///
    /// # Errors
    /// [`Error::File`](lowbit_container::Error::File) if there is no quantized linear of this name;
    /// otherwise as [`Stored::read`].
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

    /// The bytes of a part as in memory: a view of the mapping if the file stores them so,
    /// otherwise a copy.
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

/// A buffer that clones share.
fn own(bytes: Vec<u8>) -> Bytes<'static> {
    let range = 0..bytes.len();
    Bytes::shared(Arc::new(bytes), range)
}
