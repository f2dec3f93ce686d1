//! The scales of sixteen blocks, as a loop of groups reads them: laid out as f32, or as they are stored, made f32 in registers.
//!
//! ```text
//! E4M3, below NaN and not negative   code << 7 is an f16, 2^-8 of the value; * 2^8 * unit * factor, or / what that divides by
//! E8M0, neither 0 nor 255            code << 23
//! BF16, F16                          code << 16; as the level widens f16
//! ```
//!
//! Rows with other codes, which no encoder writes but a file may hold, are laid out. That takes a pass over the scales, and a buffer.

use super::stored::Factor;
use crate::lanes::{CHUNK, LANES, LINE};
use crate::product::lanes::SumLanes;
use crate::product::prefetch::STORED_AHEAD;

/// What f16 makes of the bits of E4M3.
const E4M3_AS_F16: f32 = 1.0 / 256.0;
/// Factors between this and its inverse can be multiplied with a unit and [`E4M3_AS_F16`] exactly, and so can all scales be.
const MODEST: f32 = (1_u64 << 60) as f32;

/// The scales of a row's blocks, in groups of sixteen.
pub(crate) trait ScaleGroups<L: SumLanes>: Copy {
    /// Whether they are times the unit of the products already.
    const WITH_UNIT: bool;

    fn group(self, l: L, group: usize) -> L::F;
    /// The group after the whole ones. What is not there can be anything.
    fn last(self, l: L) -> L::F;
}

/// As f32 in memory.
#[derive(Clone, Copy)]
pub(crate) struct LaidOut<'a> {
    groups: &'a [[f32; LANES]],
    last: &'a [f32],
}

impl<'a> LaidOut<'a> {
    #[inline(always)]
    pub(crate) fn new(scales: &'a [f32], whole: usize) -> Self {
        let (groups, last) = scales.split_at(whole * LANES);
        Self { groups: &groups.as_chunks().0[..whole], last }
    }
}

impl<L: SumLanes> ScaleGroups<L> for LaidOut<'_> {
    const WITH_UNIT: bool = false;

    #[inline(always)]
    fn group(self, l: L, group: usize) -> L::F {
        l.load(&self.groups[group])
    }
    #[inline(always)]
    fn last(self, l: L) -> L::F {
        let copy;
        let last = if let Some(last) = self.last.first_chunk() {
            last
        } else {
            copy = padded(self.last);
            &copy
        };
        l.load(last)
    }
}

/// Fewer than sixteen numbers, then zeros. The last row needs it: it is kept apart, so that no other row stores zeros.
#[cold]
#[inline(never)]
fn padded(some: &[f32]) -> [f32; LANES] {
    let mut all = [0.0; LANES];
    all[..some.len()].copy_from_slice(some);
    all
}

/// As f32 in memory, each for `2^shift` blocks.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a, L: SumLanes> {
    some: &'a [f32],
    /// From one group to the next.
    step: usize,
    whole: usize,
    index: L::U,
}

impl<'a, L: SumLanes> Shared<'a, L> {
    /// Eight can be read for each group.
    #[inline(always)]
    pub(crate) fn new(l: L, (some, shift): (&'a [f32], u32), whole: usize) -> Self {
        let index = match shift {
            1 => const { &shared_by(2) },
            2 => const { &shared_by(4) },
            _ => const { &shared_by(8) },
        };
        Self { some, step: LANES >> shift, whole, index: l.bits(l.load(index)) }
    }
}

/// Which scale is that of each lane, where `run` lanes share one; as bits.
const fn shared_by(run: usize) -> [f32; LANES] {
    let (mut index, mut lane) = ([0.0; LANES], 0);
    while lane < LANES {
        index[lane] = f32::from_bits((lane / run) as u32);
        lane += 1;
    }
    index
}

impl<L: SumLanes> ScaleGroups<L> for Shared<'_, L> {
    const WITH_UNIT: bool = false;

    #[inline(always)]
    fn group(self, l: L, group: usize) -> L::F {
        l.pick(self.some[group * self.step..].first_chunk().unwrap(), self.index)
    }
    #[inline(always)]
    fn last(self, l: L) -> L::F {
        self.group(l, self.whole)
    }
}

/// A type of stored scales of which sixteen, in `B` bytes, become f32 in registers.
pub(crate) trait InRegisters<L: SumLanes, const B: usize>: Copy {
    /// See [`ScaleGroups::WITH_UNIT`].
    const WITH_UNIT: bool = false;

    /// Whether all of a row do.
    #[inline(always)]
    fn takes(self, _: L, _: &[u8]) -> bool {
        true
    }
    fn widen(self, l: L, bytes: &[u8; B]) -> L::F;

    /// The scales of a row of so many blocks, if they are plain and there are as many bytes as it takes to tell. Prefetches the scales of later rows.
    #[inline(always)]
    fn of_row(self, l: L, bytes: &[u8], blocks: usize, whole: usize) -> Option<Stored<'_, Self, B>> {
        let own = bytes.get(..blocks.next_multiple_of(CHUNK) * B / LANES)?;
        for line in bytes.get(STORED_AHEAD..).unwrap_or(&[]).iter().step_by(LINE).take(own.len() / LINE) {
            l.prefetch(line);
        }
        if !self.takes(l, own) {
            return None;
        }
        let (groups, tail) = bytes.split_at(whole * B);
        let groups = &groups.as_chunks().0[..whole];
        Some(Stored { kind: self, groups, last: tail.first_chunk().unwrap_or(&[0; B]) })
    }
}

/// The scales of a row as stored, in groups of `B` bytes.
#[derive(Clone, Copy)]
pub(crate) struct Stored<'a, K, const B: usize> {
    kind: K,
    groups: &'a [[u8; B]],
    last: &'a [u8; B],
}

impl<L: SumLanes, K: InRegisters<L, B>, const B: usize> ScaleGroups<L> for Stored<'_, K, B> {
    const WITH_UNIT: bool = K::WITH_UNIT;

    #[inline(always)]
    fn group(self, l: L, group: usize) -> L::F {
        self.kind.widen(l, &self.groups[group])
    }
    #[inline(always)]
    fn last(self, l: L) -> L::F {
        self.kind.widen(l, self.last)
    }
}

/// Whether the unit of the products can be a part of the factor.
pub(crate) fn is_modest(factor: Factor) -> bool {
    match factor {
        Factor::None => true,
        Factor::Multiply(by) | Factor::Divide(by) => (1.0 / MODEST..=MODEST).contains(&by.abs()),
    }
}

/// E4M3: `f16 * factor` or `f16 / factor`, neither negative nor NaN.
#[derive(Clone, Copy)]
pub(crate) struct E4m3Scales<L: SumLanes> {
    factor: L::F,
    divide: bool,
}

impl<L: SumLanes> E4m3Scales<L> {
    /// If the factor [`is_modest`].
    #[inline(always)]
    pub(crate) fn new(l: L, factor: Factor, unit: f32) -> Self {
        let unit = unit / E4M3_AS_F16;
        let (factor, divide) = match factor {
            Factor::None => (unit, false),
            Factor::Multiply(by) => (by * unit, false),
            Factor::Divide(by) => (by / unit, true),
        };
        Self { factor: l.splat(factor), divide }
    }
}

impl<L: SumLanes> InRegisters<L, LANES> for E4m3Scales<L> {
    const WITH_UNIT: bool = true;

    #[inline(always)]
    fn takes(self, l: L, scales: &[u8]) -> bool {
        below(l, scales, 0, 0x7f)
    }
    #[inline(always)]
    fn widen(self, l: L, bytes: &[u8; LANES]) -> L::F {
        let f16 = l.scales_e4m3(bytes);
        if self.divide { f16 / self.factor } else { f16 * self.factor }
    }
}

/// E8M0: neither 2^-127, which becomes 255, nor NaN, which becomes 254.
#[derive(Clone, Copy)]
pub(crate) struct E8m0Scales;

impl<L: SumLanes> InRegisters<L, LANES> for E8m0Scales {
    #[inline(always)]
    fn takes(self, l: L, scales: &[u8]) -> bool {
        below(l, scales, 255, 254)
    }
    #[inline(always)]
    fn widen(self, l: L, bytes: &[u8; LANES]) -> L::F {
        l.scales_e8m0(bytes)
    }
}

/// BF16, any.
#[derive(Clone, Copy)]
pub(crate) struct Bf16Scales;

impl<L: SumLanes> InRegisters<L, { 2 * LANES }> for Bf16Scales {
    #[inline(always)]
    fn widen(self, l: L, bytes: &[u8; 2 * LANES]) -> L::F {
        l.scales_bf16(bytes)
    }
}

/// F16, any.
#[derive(Clone, Copy)]
pub(crate) struct F16Scales;

impl<L: SumLanes> InRegisters<L, { 2 * LANES }> for F16Scales {
    #[inline(always)]
    fn widen(self, l: L, bytes: &[u8; 2 * LANES]) -> L::F {
        l.scales_f16(bytes)
    }
}

/// Whether all bytes are below a limit once that has been added, wrapped.
#[inline(always)]
fn below<L: SumLanes>(l: L, bytes: &[u8], add: u8, limit: u8) -> bool {
    let (add, mut largest) = (l.splat_byte(add), l.splat_byte(0));
    for bytes in bytes.as_chunks().0 {
        largest = l.max_bytes(largest, l.add_bytes(l.load_bytes(bytes), add));
    }
    !l.any_byte_above(largest, limit - 1)
}
