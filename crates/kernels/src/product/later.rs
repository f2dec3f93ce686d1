//! What a product reads later, asked for now.
//!
//! A processor looks ahead a few hundred instructions, which here are about a kilobyte of codes: too few for the memory to be busy all
//! the time. Asking for a cache line some kilobytes ahead costs next to nothing where it is in a cache already.

use super::Rows;
use super::lanes::SumLanes;
use crate::lanes::LINE;

/// Bytes of codes to look ahead.
const CODES: usize = 8192;
/// Scales to look ahead.
pub(super) const SCALES: usize = 4096;

/// Codes and scales from some place on to the end of all rows.
#[derive(Clone, Copy)]
pub(super) struct Later<'a> {
    codes: &'a [u8],
    scales: &'a [f32],
}

impl<'a> Later<'a> {
    #[inline(always)]
    pub(super) fn new(codes: &'a [u8], scales: &'a [f32]) -> Self {
        Self { codes, scales }
    }

    /// From a byte and a block of a row on, of rows of so many bytes and scales.
    #[inline(always)]
    pub(super) fn of_row(
        rows: Rows<'a>,
        row: usize,
        (bytes, scales): (usize, usize),
        byte: usize,
        block: usize,
    ) -> Self {
        Self::new(&rows.codes[row * bytes + byte..], &rows.blocks.scales[row * scales + block..])
    }

    /// All codes.
    #[inline(always)]
    pub(super) fn all_codes(self) -> &'a [u8] {
        self.codes
    }

    /// The cache line that is [`CODES`] after byte `at`.
    #[inline(always)]
    pub(super) fn codes<L: SumLanes>(self, l: L, at: usize) {
        if let Some(byte) = self.codes.get(at + CODES) {
            l.prefetch(byte);
        }
    }

    /// The cache line that is [`SCALES`] after scale `at`.
    #[inline(always)]
    pub(super) fn scales<L: SumLanes>(self, l: L, at: usize) {
        if let Some(scale) = self.scales.get(at + SCALES) {
            l.prefetch(scale);
        }
    }

    /// The next so many codes from `ahead` on; where there are fewer, some that have been asked for.
    #[inline(always)]
    pub(super) fn as_many(self, ahead: usize, bytes: usize) -> &'a [u8] {
        &self.codes[if bytes + ahead <= self.codes.len() { ahead } else { 0 }..][..bytes]
    }

    /// The codes that are [`CODES`] after byte `at`, as far as there are any.
    #[inline(always)]
    pub(super) fn after(self, at: usize) -> &'a [u8] {
        self.codes.get(at + CODES..).unwrap_or(&[])
    }
}

/// Asks for the cache lines of a slice.
#[inline(always)]
pub(super) fn prefetch<L: SumLanes>(l: L, later: &[u8]) {
    for byte in later.iter().step_by(LINE) {
        l.prefetch(byte);
    }
}
