//! Prefetches of what a product reads next.
//!
//! A processor looks ahead a few hundred instructions, which here are about a kilobyte of codes: too few for the memory to be busy all
//! the time. A prefetch some kilobytes ahead costs next to nothing where the cache line is in a cache already.

use super::rows::Rows;
use crate::lanes::{LINE, Lanes};
use crate::level::{Level, on};

/// Bytes of codes to look ahead.
const CODES_AHEAD: usize = 8192;
/// Scales of f32 to look ahead.
pub(super) const SCALES_AHEAD: usize = 4096;
/// Bytes of stored scales to look ahead.
pub(super) const STORED_AHEAD: usize = 2048;

/// Codes and scales from some place on to the end of all rows.
#[derive(Clone, Copy)]
pub(super) struct Ahead<'a> {
    codes: &'a [u8],
    scales: &'a [f32],
}

impl<'a> Ahead<'a> {
    #[inline(always)]
    pub(super) fn of_codes(codes: &'a [u8]) -> Self {
        Self { codes, scales: &[] }
    }

    /// From byte `byte` of a row on, of rows of so many bytes and scales.
    #[inline(always)]
    pub(super) fn of_row(rows: Rows<'a>, row: usize, (bytes, scales): (usize, usize), byte: usize) -> Self {
        Self { codes: &rows.codes[row * bytes + byte..], scales: &rows.blocks.scales[row * scales..] }
    }

    /// All codes.
    #[inline(always)]
    pub(super) fn all_codes(self) -> &'a [u8] {
        self.codes
    }

    /// Prefetches the cache line that is [`CODES_AHEAD`] after byte `at`.
    #[inline(always)]
    pub(super) fn codes<L: Lanes>(self, l: L, at: usize) {
        if let Some(byte) = self.codes.get(at + CODES_AHEAD) {
            l.prefetch(byte);
        }
    }

    /// Prefetches the cache line that is [`SCALES_AHEAD`] after scale `at`.
    #[inline(always)]
    pub(super) fn scales<L: Lanes>(self, l: L, at: usize) {
        if let Some(scale) = self.scales.get(at + SCALES_AHEAD) {
            l.prefetch(scale);
        }
    }

    /// So many codes from `ahead` on; where there are fewer, the first ones, which cost nothing to prefetch again.
    #[inline(always)]
    pub(super) fn as_many(self, ahead: usize, bytes: usize) -> &'a [u8] {
        &self.codes[if bytes + ahead <= self.codes.len() { ahead } else { 0 }..][..bytes]
    }

    /// The codes that are [`CODES_AHEAD`] after byte `at`, as far as there are any.
    #[inline(always)]
    pub(super) fn after(self, at: usize) -> &'a [u8] {
        self.codes.get(at + CODES_AHEAD..).unwrap_or(&[])
    }
}

/// Prefetches the cache lines of a slice.
pub(super) fn prefetch(level: Level, bytes: &[u8]) {
    on!(level, l => for byte in bytes.iter().step_by(LINE) {
        l.prefetch(byte);
    });
}
