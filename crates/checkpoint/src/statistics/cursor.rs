//! A forward reader of a file in memory. Counts are checked against the bytes that are left.

use crate::{Error, Result};
use std::path::Path;

/// A file in memory and the position of the next byte.
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

    pub(super) const fn left(&self) -> usize {
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

    /// A u64 count of items of at least `bytes` bytes each.
    pub(super) fn count(&mut self, bytes: usize, what: &str) -> Result<usize> {
        let n = self.u64(what)?;
        self.bounded(n, bytes, what)
    }

    /// An i32 count of items of at least `bytes` bytes each.
    pub(super) fn small_count(&mut self, bytes: usize, what: &str) -> Result<usize> {
        let n = self.u32(what)? as i32;
        let n = u64::try_from(n).map_err(|_| self.fail(format!("{n} {what}")))?;
        self.bounded(n, bytes, what)
    }

    fn bounded(&self, n: u64, bytes: usize, what: &str) -> Result<usize> {
        let fits = usize::try_from(n).ok().filter(|n| *n <= self.left() / bytes);
        fits.ok_or_else(|| self.fail(format!("{n} {what}, and {} bytes are left", self.left())))
    }

    /// A string preceded by its length as u64.
    pub(super) fn text(&mut self, what: &str) -> Result<String> {
        let n = self.count(1, what)?;
        self.string(n, what)
    }

    pub(super) fn string(&mut self, n: usize, what: &str) -> Result<String> {
        let bytes = self.take(n, what)?;
        let text = str::from_utf8(bytes).map_err(|e| self.fail(format!("{what} is not UTF-8: {e}")))?;
        Ok(text.to_owned())
    }

    /// The bytes from the next multiple of `alignment` on; empty if the file ends before it.
    pub(super) fn aligned_rest(&mut self, alignment: usize) -> Result<&'a [u8]> {
        Ok(self.bytes.get(self.at.next_multiple_of(alignment)..).unwrap_or_default())
    }
}
