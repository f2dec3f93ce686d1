//! Buffers that begin where a cache line does.
//!
//! A large `Vec` begins 16 bytes into a page, so that every 64-byte access to it crosses a line. Which of the two a program sees is its
//! own affair; a bench has to know.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line, and of the widest vector.
const LINE: usize = 64;

/// A slice of a `Vec` that starts on a multiple of 64 bytes, or a chosen number of bytes after one.
pub struct Aligned<T> {
    vec: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Copy + Default> Aligned<T> {
    /// `len` zeros.
    pub fn new(len: usize) -> Self {
        Self::after(0, len)
    }

    /// `len` zeros that start `bytes` after a multiple of 64.
    pub fn after(bytes: usize, len: usize) -> Self {
        let vec = vec![T::default(); len + 2 * LINE / size_of::<T>()];
        let start = vec.as_ptr().align_offset(LINE) + bytes / size_of::<T>();
        Self { vec, start, len }
    }

    /// A copy of a slice.
    pub fn copy_of(slice: &[T]) -> Self {
        let mut copy = Self::new(slice.len());
        copy.copy_from_slice(slice);
        copy
    }

    /// The same for as long as the program runs, which is how long a bench needs its inputs.
    pub fn leak(self) -> &'static [T] {
        &self.vec.leak()[self.start..self.start + self.len]
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.vec[self.start..self.start + self.len]
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.vec[self.start..self.start + self.len]
    }
}
