//! The older form of an importance matrix, and the cursor that both forms are read with.
//!
//! ```text
//! i32 entries     entry: i32 length, name, i32 calls, i32 n, f32[n]                    value = calls * (sum of squares / count)
//! i32 last chunk  i32 length, path of the text                                         absent in the oldest files
//! ```
//!
//! Source: llama.cpp `tools/imatrix`, before and after its change to GGUF. A reader divides by calls where that is not 0. Experts share one count here.

use super::imatrix::{Imatrix, ImatrixEntry};
use crate::{Error, Result};
use std::path::Path;

/// Bytes of the shortest entry.
const ENTRY: usize = 12;

/// What is left of a file in memory.
pub(super) struct Cursor<'a> {
    file: &'a Path,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(file: &'a Path, bytes: &'a [u8]) -> Self {
        Self { file, bytes, at: 0 }
    }

    pub(super) fn fail(&self, reason: String) -> Error {
        Error::file(self.file, format!("before byte {}: {reason}", self.at))
    }

    const fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) fn take(&mut self, n: usize, what: &str) -> Result<&'a [u8]> {
        if n > self.left() {
            return Err(self.fail(format!("{what} of {n} bytes, and {} are left", self.left())));
        }
        let taken = &self.bytes[self.at..self.at + n];
        self.at += n;
        Ok(taken)
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32> {
        Ok(self.take(4, what)?.first_chunk().map_or(0, |b| u32::from_le_bytes(*b)))
    }

    pub(super) fn u64(&mut self, what: &str) -> Result<u64> {
        Ok(self.take(8, what)?.first_chunk().map_or(0, |b| u64::from_le_bytes(*b)))
    }

    /// A u64 count of things of at least so many bytes each.
    pub(super) fn count(&mut self, bytes: usize, what: &str) -> Result<usize> {
        let n = self.u64(what)?;
        self.bounded(n, bytes, what)
    }

    /// An i32 count of things of at least so many bytes each.
    fn small_count(&mut self, bytes: usize, what: &str) -> Result<usize> {
        let n = self.u32(what)? as i32;
        let n = u64::try_from(n).map_err(|_| self.fail(format!("{n} {what}")))?;
        self.bounded(n, bytes, what)
    }

    fn bounded(&self, n: u64, bytes: usize, what: &str) -> Result<usize> {
        let fits = usize::try_from(n).ok().filter(|n| *n <= self.left() / bytes);
        fits.ok_or_else(|| self.fail(format!("{n} {what}, and {} bytes are left", self.left())))
    }

    /// A string with a u64 length.
    pub(super) fn text(&mut self, what: &str) -> Result<String> {
        let n = self.count(1, what)?;
        self.string(n, what)
    }

    fn string(&mut self, n: usize, what: &str) -> Result<String> {
        let bytes = self.take(n, what)?;
        let text = str::from_utf8(bytes).map_err(|e| self.fail(format!("{what} is not UTF-8: {e}")))?;
        Ok(text.to_owned())
    }

    /// What is left from the next multiple of `alignment` on: nothing where the file ends before it.
    pub(super) fn aligned_rest(&mut self, alignment: usize) -> Result<&'a [u8]> {
        Ok(self.bytes.get(self.at.next_multiple_of(alignment)..).unwrap_or_default())
    }
}

pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Imatrix> {
    let mut matrix = Imatrix::default();
    for _ in 0..cursor.small_count(ENTRY, "entries")? {
        let n = cursor.small_count(1, "bytes of a name")?;
        let name = cursor.string(n, "a name")?;
        let calls = cursor.u32("calls")? as i32;
        let n = cursor.small_count(4, "values")?;
        let values = cursor.take(4 * n, "values")?;
        let sums = values.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        // Older files may say 0 where there is one.
        let entry = ImatrixEntry::new(sums, vec![calls.max(1) as f32]);
        let entry = entry.map_err(|e| cursor.fail(format!("entry `{name}`: {e}")))?;
        if matrix.put(name.clone(), entry).is_some() {
            return Err(cursor.fail(format!("entry `{name}` comes twice")));
        }
    }
    if cursor.left() > 0 {
        let chunks = cursor.u32("chunks")? as i32;
        matrix.chunk_count = u32::try_from(chunks).map_err(|_| cursor.fail(format!("{chunks} chunks")))?;
        let n = cursor.small_count(1, "bytes of a path")?;
        let path = cursor.string(n, "a path")?;
        matrix.datasets.extend((!path.is_empty()).then_some(path));
    }
    match cursor.left() {
        0 => Ok(matrix),
        left => Err(cursor.fail(format!("{left} bytes after the end"))),
    }
}

pub(super) fn to_bytes(matrix: &Imatrix) -> Vec<u8> {
    let mut out = Vec::new();
    let number = |out: &mut Vec<u8>, n: usize| out.extend((n as u32).to_le_bytes());
    number(&mut out, matrix.names().count());
    for (name, entry) in matrix.entries() {
        number(&mut out, name.len());
        out.extend(name.as_bytes());
        let most = entry.counts().iter().fold(0.0f32, |a, b| a.max(*b));
        let calls = (most / matrix.chunk_size.max(1) as f32).ceil().max(1.0);
        number(&mut out, calls as usize);
        number(&mut out, entry.sums().len());
        // llama.cpp takes a matrix without counts as all ones.
        let n = entry.channels();
        for (sums, count) in entry.sums().chunks(n).zip(entry.counts()) {
            let value = |x: &f32| if *count > 0.0 { x / count * calls } else { calls };
            out.extend(sums.iter().flat_map(|x| value(x).to_le_bytes()));
        }
    }
    number(&mut out, matrix.chunk_count as usize);
    let path = matrix.datasets.first().map_or("", String::as_str);
    number(&mut out, path.len());
    out.extend(path.as_bytes());
    out
}
