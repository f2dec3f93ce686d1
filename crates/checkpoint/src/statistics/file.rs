//! Files of statistics in lowbit's own format: safetensors, so that any tool can read them.
//!
//! ```text
//! NAME.absmax       F32 [n]              max_t |x_tc|
//! NAME.sum          F64 [n]              sum_t x_tc
//! NAME.sum_abs      F64 [n]              sum_t |x_tc|
//! NAME.sum_square   F64 [n]              sum_t x_tc^2          sums, not means: files of other texts add up
//! NAME.tokens       I64 [1]              number of tokens
//! NAME.hessian      F32 or F64           sum_t x_t x_t^T: the upper triangle by rows [n (n + 1) / 2], or all of it [n, n]       may be absent
//! __metadata__      {"format": "lowbit-statistics", "version": "1", …}
//! ```
//!
//! Opening reads the header alone. Each linear is read on demand, so a file of Hessians need not
//! fit into memory.

use super::{ABSMAX, FORMAT, HESSIAN, SUM, SUM_ABS, SUM_SQUARE, TOKENS, VERSION, triangle};
use crate::safetensors::{Dtype, Entry, TensorFile};
use crate::{Error, Result};
use lowbit_calib::{ChannelStats, Hessian};
use std::collections::BTreeMap;
use std::path::Path;

/// Bytes that are read at a time.
const CHUNK: usize = 1 << 20;

/// An open file of statistics.
#[derive(Debug)]
pub struct StatisticsFile {
    file: TensorFile,
    linears: BTreeMap<String, Parts>,
}

/// The header entries of a linear, by index.
#[derive(Debug, Default)]
struct Parts {
    absmax: Option<usize>,
    sum: Option<usize>,
    sum_abs: Option<usize>,
    sum_square: Option<usize>,
    tokens: Option<usize>,
    hessian: Option<usize>,
}

impl StatisticsFile {
    /// Opens a file and checks that each linear has all required tensors, in the right types and
    /// shapes.
    ///
    /// # Errors
    /// As [`TensorFile::open`]; [`Error::File`](lowbit_container::Error::File) or
    /// [`Error::Tensor`](lowbit_container::Error::Tensor) if the file has another format or
    /// version, or is inconsistent.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let file = TensorFile::open(path.as_ref())?;
        let get = |key: &str| file.header().metadata.get(key).map_or("", String::as_str);
        if (get("format"), get("version")) != (FORMAT, VERSION) {
            let reason = format!(
                "format `{}` version `{}`, not {FORMAT} version {VERSION}",
                get("format"),
                get("version")
            );
            return Err(Error::file(file.path(), reason));
        }
        let mut linears = BTreeMap::<String, Parts>::new();
        for (at, entry) in file.header().entries.iter().enumerate() {
            // Names of another form are ignored: a later version may store more.
            let Some((name, what)) = entry.name.rsplit_once('.') else { continue };
            let place = |parts: &mut Parts| {
                let slot = match what {
                    ABSMAX => &mut parts.absmax,
                    SUM => &mut parts.sum,
                    SUM_ABS => &mut parts.sum_abs,
                    SUM_SQUARE => &mut parts.sum_square,
                    TOKENS => &mut parts.tokens,
                    HESSIAN => &mut parts.hessian,
                    _ => return,
                };
                *slot = Some(at);
            };
            if [ABSMAX, SUM, SUM_ABS, SUM_SQUARE, TOKENS, HESSIAN].contains(&what) {
                place(linears.entry(name.to_owned()).or_default());
            }
        }
        let opened = Self { file, linears };
        opened.linears.iter().try_for_each(|(name, parts)| opened.check(name, parts))?;
        Ok(opened)
    }

    fn check(&self, name: &str, parts: &Parts) -> Result<()> {
        let n = match self.entry(name, ABSMAX, parts.absmax)?.shape[..] {
            [n] if n > 0 => n,
            ref other => {
                return Err(Error::tensor(self.file.path(), name, format!("absmax of shape {other:?}")));
            }
        };
        let expect = |what: &str, at: Option<usize>, dtype: Dtype, shape: usize| {
            let entry = self.entry(name, what, at)?;
            if entry.dtype == dtype && entry.shape == [shape] {
                return Ok(());
            }
            let reason = format!("is {} {:?}, but should be {dtype} [{shape}]", entry.dtype, entry.shape);
            Err(Error::tensor(self.file.path(), &entry.name, reason))
        };
        expect(ABSMAX, parts.absmax, Dtype::F32, n)?;
        expect(SUM, parts.sum, Dtype::F64, n)?;
        expect(SUM_ABS, parts.sum_abs, Dtype::F64, n)?;
        expect(SUM_SQUARE, parts.sum_square, Dtype::F64, n)?;
        expect(TOKENS, parts.tokens, Dtype::I64, 1)?;
        let Some(at) = parts.hessian else { return Ok(()) };
        let entry = &self.file.header().entries[at];
        let fits = match entry.shape[..] {
            [len] => Some(len) == triangle::len(n),
            ref square => *square == [n, n],
        };
        if fits && matches!(entry.dtype, Dtype::F32 | Dtype::F64) {
            return Ok(());
        }
        let reason = format!("is {} {:?}, which is no Hessian of {n} channels", entry.dtype, entry.shape);
        Err(Error::tensor(self.file.path(), &entry.name, reason))
    }

    fn entry(&self, name: &str, what: &str, at: Option<usize>) -> Result<&Entry> {
        let missing = || Error::tensor(self.file.path(), &format!("{name}.{what}"), "is missing");
        at.map(|at| &self.file.header().entries[at]).ok_or_else(missing)
    }

    /// The file's metadata, such as the model and the texts.
    pub fn about(&self) -> &BTreeMap<String, String> {
        &self.file.header().metadata
    }

    /// Names of the linears, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.linears.keys().map(String::as_str)
    }

    /// Whether a linear has a Hessian; false if there is no such linear.
    pub fn has_hessian(&self, name: &str) -> bool {
        self.linears.get(name).is_some_and(|parts| parts.hessian.is_some())
    }

    fn parts(&self, name: &str) -> Result<&Parts> {
        let missing = || Error::tensor(self.file.path(), name, "has no statistics here");
        self.linears.get(name).ok_or_else(missing)
    }

    /// The moments of a linear's input.
    ///
    /// # Errors
    /// [`Error::Tensor`](lowbit_container::Error::Tensor) if there is no such linear or its numbers
    /// are invalid (NaN, negative); [`Error::Io`](lowbit_container::Error::Io) if they cannot be
    /// read.
    pub fn channels(&self, name: &str) -> Result<ChannelStats> {
        let parts = self.parts(name)?;
        let absmax = self.bytes(self.entry(name, ABSMAX, parts.absmax)?)?;
        let absmax = absmax.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        let wide = |what: &str, at| -> Result<Vec<f64>> {
            let bytes = self.bytes(self.entry(name, what, at)?)?;
            Ok(bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect())
        };
        let sum = wide(SUM, parts.sum)?;
        let (sum_abs, sum_square) = (wide(SUM_ABS, parts.sum_abs)?, wide(SUM_SQUARE, parts.sum_square)?);
        let tokens = self.tokens(name, parts)?;
        ChannelStats::from_sums(absmax, sum, sum_abs, sum_square, tokens)
            .map_err(|e| Error::tensor(self.file.path(), name, e.to_string()))
    }

    /// The Hessian of a linear's input; `None` if the file has none.
    ///
    /// # Errors
    /// [`Error::Tensor`](lowbit_container::Error::Tensor) if there is no such linear, if a number
    /// is NaN or infinite, or if one on the diagonal is negative;
    /// [`Error::Io`](lowbit_container::Error::Io) if it cannot be read.
    pub fn hessian(&self, name: &str) -> Result<Option<Hessian>> {
        let parts = self.parts(name)?;
        let Some(at) = parts.hessian else { return Ok(None) };
        let entry = &self.file.header().entries[at];
        let n = self.entry(name, ABSMAX, parts.absmax)?.shape[0];
        let triangle = entry.shape.len() == 1;
        // At most four times the size that the file stores: f64 for f32, and a full matrix for a
        // triangle.
        let mut sums = vec![0.0; n * n];
        let mut bytes = Vec::new();
        for i in 0..n {
            let stored = if triangle { triangle::row(n, i) } else { i * n..(i + 1) * n };
            let out = if triangle { i * n + i..(i + 1) * n } else { i * n..(i + 1) * n };
            self.numbers(entry, stored.start, &mut bytes, &mut sums[out])?;
        }
        if triangle {
            triangle::mirror(n, &mut sums);
        }
        let refuse = |e: lowbit_calib::Error| Error::tensor(self.file.path(), &entry.name, e.to_string());
        Ok(Some(Hessian::from_sums(n, self.tokens(name, parts)?, sums).map_err(refuse)?))
    }

    fn tokens(&self, name: &str, parts: &Parts) -> Result<u64> {
        let bytes = self.bytes(self.entry(name, TOKENS, parts.tokens)?)?;
        let tokens = bytes.first_chunk().map_or(0, |b| i64::from_le_bytes(*b));
        u64::try_from(tokens).map_err(|_| {
            Error::tensor(self.file.path(), &format!("{name}.{TOKENS}"), format!("{tokens} tokens"))
        })
    }

    /// Numbers of a tensor, from index `first` on.
    fn numbers(&self, entry: &Entry, first: usize, bytes: &mut Vec<u8>, out: &mut [f64]) -> Result<()> {
        let width = entry.dtype.bitsize() / 8;
        let mut at = first;
        for out in out.chunks_mut(CHUNK / width) {
            bytes.resize(out.len() * width, 0);
            self.file.read(entry, (at * width) as u64, bytes)?;
            at += out.len();
            match entry.dtype {
                Dtype::F64 => {
                    let numbers = bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b));
                    out.iter_mut().zip(numbers).for_each(|(out, x)| *out = x);
                }
                _ => {
                    let numbers = bytes.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b)));
                    out.iter_mut().zip(numbers).for_each(|(out, x)| *out = x);
                }
            }
        }
        Ok(())
    }

    fn bytes(&self, entry: &Entry) -> Result<Vec<u8>> {
        // The header was checked against the length of the file.
        let mut bytes = vec![0; entry.len() as usize];
        self.file.read(entry, 0, &mut bytes)?;
        Ok(bytes)
    }
}
