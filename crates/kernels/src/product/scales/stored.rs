//! Scales as files store them.

use crate::lanes::CHUNK;
use crate::level::Level;
use crate::product::groups::AHEAD;
use crate::product::integer::SEGMENT;

/// The type of a stored scale of fewer bits than an f32.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScaleType {
    /// IEEE half precision, little endian.
    F16,
    /// The upper half of an f32, little endian.
    Bf16,
    /// OCP FP8 E4M3.
    E4m3,
    /// `2^(byte - 127)`, 255 is NaN.
    E8m0,
    /// The byte itself, as zero points are stored.
    U8,
}

impl ScaleType {
    /// Bytes of a scale.
    pub const fn bytes(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::E4m3 | Self::E8m0 | Self::U8 => 1,
        }
    }
}

/// What all scales of a tensor are multiplied with or divided by; the result is rounded.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Factor {
    /// Scales are what is stored.
    None,
    /// `stored * factor`.
    Multiply(f32),
    /// `stored / factor`.
    Divide(f32),
}

/// Scales, or zero points, as files store them, one after the other: what [`Kernels::dot_stored`](crate::Kernels::dot_stored) reads in place of f32.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct StoredScales<'a> {
    /// Their type.
    pub kind: ScaleType,
    /// `kind.bytes()` for each scale, of all rows. What follows them, if more are given, is asked for as what is read next.
    pub bytes: &'a [u8],
    /// The second level.
    pub factor: Factor,
}

impl<'a> StoredScales<'a> {
    /// Bytes of the scale at `index` and of all after it.
    #[inline(always)]
    pub(crate) fn from(&self, index: usize) -> &'a [u8] {
        &self.bytes[index * self.kind.bytes()..]
    }

    /// The scales from `first` on, as many whole chunks as there are, up to `most`; returns how many.
    #[inline(always)]
    pub(super) fn widen_many(&self, level: Level, first: usize, most: usize, out: &mut [f32]) -> usize {
        let (bytes, each) = (self.from(first), self.kind.bytes());
        let count = (bytes.len() / each).min(most) / CHUNK * CHUNK;
        let later = bytes.get(AHEAD..).unwrap_or(&[]);
        level.widen_stored(self.kind, self.factor, &bytes[..count * each], later, out.as_chunks_mut().0);
        count
    }

    /// The scales from `first` on to the beginning of `out`, with a call, wherever they are; other numbers after them.
    #[inline(always)]
    pub(super) fn widen(self, level: Level, first: usize, count: usize, out: &mut [f32]) {
        let (bytes, whole) = (self.from(first), count.next_multiple_of(CHUNK));
        let (each, out) = (self.kind.bytes(), out[..whole].as_chunks_mut().0);
        match bytes.get(..whole * each) {
            Some(some) => {
                level.widen_stored(self.kind, self.factor, some, bytes.get(AHEAD..).unwrap_or(&[]), out);
            }
            None => {
                let some = &padded(&bytes[..count * each])[..whole * each];
                level.widen_stored(self.kind, self.factor, some, &[], out);
            }
        }
    }
}

/// For the last row, and kept apart, so that no other row stores zeros.
#[cold]
#[inline(never)]
fn padded(some: &[u8]) -> [u8; 2 * SEGMENT] {
    let mut all = [0; 2 * SEGMENT];
    all[..some.len()].copy_from_slice(some);
    all
}
