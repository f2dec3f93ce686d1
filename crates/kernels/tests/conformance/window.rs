//! A slice at a given offset within guards that nobody may touch.

/// `len` elements at offset `GUARD + offset` of a buffer filled with `guard`.
pub(crate) struct Window<T> {
    buffer: Vec<T>,
    start: usize,
    len: usize,
    guard: T,
}

/// More than any vector store is wide.
const GUARD: usize = 72;

impl<T: Copy + PartialEq + core::fmt::Debug> Window<T> {
    pub(crate) fn new(len: usize, offset: usize, guard: T) -> Self {
        Self { buffer: vec![guard; len + 2 * GUARD + offset], start: GUARD + offset, len, guard }
    }

    pub(crate) fn of(values: &[T], offset: usize, guard: T) -> Self {
        let mut window = Self::new(values.len(), offset, guard);
        window.get_mut().copy_from_slice(values);
        window
    }

    pub(crate) fn get(&self) -> &[T] {
        &self.buffer[self.start..][..self.len]
    }

    pub(crate) fn get_mut(&mut self) -> &mut [T] {
        &mut self.buffer[self.start..][..self.len]
    }

    /// The contents, after a look at the guards.
    #[track_caller]
    pub(crate) fn checked(&self) -> &[T] {
        let (before, rest) = self.buffer.split_at(self.start);
        let after = &rest[self.len..];
        assert!(before.iter().all(|x| *x == self.guard), "wrote before the slice");
        assert!(after.iter().all(|x| *x == self.guard), "wrote after the slice");
        self.get()
    }
}

/// Bits, with every NaN the same.
pub(crate) fn bits(x: f32) -> u32 {
    if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }
}

/// Compares bits; a NaN agrees with any NaN.
#[track_caller]
pub(crate) fn assert_same(got: &[f32], want: &[f32], case: impl core::fmt::Display) {
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert_eq!(bits(*got), bits(*want), "{case}, value {i}: got {got:?}, want {want:?}");
    }
}
