//! Scales as files store them.

use crate::lanes::LANES;

/// Blocks of a row whose scales are laid out at once, at most.
pub(crate) const SEGMENT: usize = 64 * LANES;

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
    /// `kind.bytes()` for each scale, of all rows. What follows them, if more are given, is prefetched as what is read next.
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
}
