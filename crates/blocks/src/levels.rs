//! Scales of one or two levels: their bytes and their values.
//!
//! ```text
//! outer level   bytes of the scales of a matrix                                                effective scale
//! None          kind kind kind ...                                                             stored
//! Matrix        kind kind kind ...                        and one f32 per matrix             stored [* or /] tensor scale
//! Blocks        outer [kind * count, packed]  outer [kind * count, packed]  ...                outer * stored
//! ```
//!
//! A *super-block* is `count` consecutive blocks under one outer number. Its bytes are contiguous:
//! the outer number, then the scales of its blocks as one dense stream, least significant bit
//! first, padded to a byte. So any division of scales into rows or tiles divides both levels.
//! Groups fill whole super-blocks in every row. The last super-block of a flat matrix may be short.
//!
//! `outer * stored` is one f32 multiplication: `d * sc` of GGUF's K-quants. Minima (`dmin * m`) are
//! stored in the same way.

use core::ops::Range;

use lowbit_kernels::{Blocks, Kernels};

use crate::scale::ScaleKind;

/// The storage of scales: a type, and an optional outer level.
///
/// ```
/// use lowbit_blocks::{Outer, Scale, ScaleKind};
/// // Q4_K: an f16 over the 6-bit scales of 8 blocks.
/// let kind = ScaleKind::Int { bits: 6, signed: false };
/// let scale = Scale { kind, outer: Outer::Blocks { count: 8, kind: ScaleKind::F16 } };
/// assert_eq!(scale.len(16), 2 * (2 + 6));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Scale {
    /// The type of a block's scale.
    pub kind: ScaleKind,
    /// The outer level.
    pub outer: Outer,
}

/// The outer level of scales: numbers that several blocks share, by which their scales are
/// multiplied.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Outer {
    /// No outer level.
    #[default]
    None,
    /// One f32 per matrix: the tensor scale, which multiplies or divides as
    /// [`TensorScale`](crate::TensorScale) has it (NVFP4).
    Matrix,
    /// One number per super-block of consecutive blocks (GGUF's K-quants).
    Blocks {
        /// The number of blocks of a super-block.
        count: usize,
        /// The type of the number: f32, f16 or bf16.
        kind: ScaleKind,
    },
}

impl Outer {
    /// [`Outer::Matrix`] if there is a tensor scale, otherwise [`Outer::None`].
    #[must_use]
    pub const fn matrix(tensor_scale: bool) -> Self {
        if tensor_scale { Self::Matrix } else { Self::None }
    }

    /// The type of the outer numbers; `None` without super-blocks or tensor scale.
    #[must_use]
    pub const fn kind(self) -> Option<ScaleKind> {
        match self {
            Self::None => None,
            Self::Matrix => Some(ScaleKind::F32),
            Self::Blocks { kind, .. } => Some(kind),
        }
    }

    /// The number of blocks of a super-block; `None` if there are no super-blocks.
    #[must_use]
    pub const fn count(self) -> Option<usize> {
        match self {
            Self::Blocks { count, .. } => Some(count),
            Self::None | Self::Matrix => None,
        }
    }
}

impl Scale {
    /// Scales of this type, without an outer level.
    #[must_use]
    pub const fn new(kind: ScaleKind) -> Self {
        Self { kind, outer: Outer::None }
    }

    /// The number of blocks that are stored together: those of a super-block, or one.
    #[must_use]
    pub const fn run(&self) -> usize {
        match self.outer {
            Outer::Blocks { count, .. } => count,
            Outer::None | Outer::Matrix => 1,
        }
    }

    /// The number of bytes of the scales of the first `blocks` blocks of a matrix, without the
    /// tensor scale.
    #[must_use]
    pub const fn len(&self, blocks: usize) -> usize {
        match self.checked_len(blocks) {
            Some(bytes) => bytes,
            None => usize::MAX,
        }
    }

    /// True if the scales of this number of blocks take no bytes, which is the case for no blocks.
    #[must_use]
    pub const fn is_empty(&self, blocks: usize) -> bool {
        blocks == 0
    }

    pub(crate) const fn checked_len(&self, blocks: usize) -> Option<usize> {
        let Outer::Blocks { count: count @ 1.., kind } = self.outer else {
            return self.kind.checked_len(blocks);
        };
        let (Some(inner), Some(last)) = (self.kind.checked_len(count), self.kind.checked_len(blocks % count))
        else {
            return None;
        };
        let last = if blocks.is_multiple_of(count) { 0 } else { kind.bytes() + last };
        match (blocks / count).checked_mul(kind.bytes() + inner) {
            Some(whole) => whole.checked_add(last),
            None => None,
        }
    }

    /// Decodes the scales of some blocks of one matrix, without the tensor scale. `stored` holds
    /// those of all its blocks, or of all from the start of a super-block on.
    pub(crate) fn decode(&self, stored: &[u8], blocks: Range<usize>, out: &mut [f32]) {
        let Outer::Blocks { count, kind } = self.outer else {
            return self.kind.decode_into(&stored[self.len(blocks.start)..self.len(blocks.end)], out);
        };
        let size = self.len(count);
        let mut at = blocks.start;
        while at < blocks.end {
            let (index, first) = (at / count, at % count);
            let last = count.min(first + (blocks.end - at));
            let bytes = &stored[index * size..];
            let mut outer = [0.0];
            kind.decode_into(&bytes[..kind.bytes()], &mut outer);
            let inner = &bytes[kind.bytes()..bytes.len().min(size)];
            let out = &mut out[at - blocks.start..][..last - first];
            self.decode_super_block(inner, first, outer[0], out);
            at += last - first;
        }
    }

    /// Decodes the scales of the first blocks of a matrix, without the tensor scale.
    ///
    /// # Panics
    /// If `stored` is not [`len`](Self::len)`(out.len())` bytes long.
    ///
    /// ```
    /// use lowbit_blocks::Q4_K;
    /// // f16 0.5, then 3 and 1 in 6 bits each, and zeros.
    /// let mut scales = [0.0; 8];
    /// Q4_K.scale.decode_into(&[0x00, 0x38, 0b01_000011, 0, 0, 0, 0, 0], &mut scales);
    /// assert_eq!(scales[..3], [1.5, 0.5, 0.0]);
    /// ```
    pub fn decode_into(&self, stored: &[u8], out: &mut [f32]) {
        assert_eq!(stored.len(), self.len(out.len()), "bytes for {} scales", out.len());
        self.decode(stored, 0..out.len(), out);
    }

    /// Decodes the scales of a super-block, from block `first` on.
    fn decode_super_block(&self, inner: &[u8], first: usize, outer: f32, out: &mut [f32]) {
        let bits = self.kind.bits() as usize;
        match self.kind.integer() {
            // Integer scales are integer codes, so decoding them with the outer number as scale
            // computes the product.
            Some(element) if (first * bits).is_multiple_of(8) => {
                let codes = &inner[first * bits / 8..][..element.packed_len(out.len())];
                Kernels::best().decode(element, codes, Blocks::whole(&outer), out);
            }
            Some(element) => {
                for (out, block) in out.iter_mut().zip(first..) {
                    *out = element.decode_one(packed_code(inner, bits, block)) * outer;
                }
            }
            None => {
                let bytes = self.kind.bytes();
                self.kind.decode_into(&inner[first * bytes..(first + out.len()) * bytes], out);
                out.iter_mut().for_each(|scale| *scale *= outer);
            }
        }
    }

    /// Encodes scales, from the first block of a matrix on.
    ///
    /// With super-blocks, each scale becomes the nearest multiple of the outer number, ties to
    /// even. The outer number is the scale of largest magnitude divided by the largest number of
    /// the inner type, rounded to its own type. For signed integers that scale keeps its sign and
    /// maps to the lowest integer, whose magnitude is larger by one.
    ///
    /// # Panics
    /// If `out` is not [`len`](Self::len)`(scales.len())` bytes long.
    ///
    /// ```
    /// use lowbit_blocks::{Q4_K, ScaleKind};
    /// let mut stored = [0; 8];
    /// Q4_K.scale.encode_into(&[63.0, 31.4, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], &mut stored);
    /// // 63 / 63 = 1 in f16; then 63, 31, 0, 0 | 0, 0, 0, 1 in 6 bits each.
    /// assert_eq!(stored, [0x00, 0x3c, 0b11_111111, 0b0000_0111, 0, 0, 0, 0b0000_0100]);
    /// ```
    pub fn encode_into(&self, scales: &[f32], out: &mut [u8]) {
        let Outer::Blocks { count, kind } = self.outer else { return self.kind.encode_into(scales, out) };
        assert_eq!(out.len(), self.len(scales.len()), "bytes for {} scales of two levels", scales.len());
        let mut quotients = alloc::vec![0.0; count.min(scales.len())];
        for (scales, out) in scales.chunks(count).zip(out.chunks_mut(self.len(count))) {
            let (stored, inner) = out.split_at_mut(kind.bytes());
            let outer = kind.rounded(self.outer_number(scales));
            kind.encode_into(&[outer], stored);
            let divisor = if outer == 0.0 { f32::INFINITY } else { outer };
            let quotients = &mut quotients[..scales.len()];
            quotients.iter_mut().zip(scales).for_each(|(quotient, scale)| *quotient = scale / divisor);
            self.kind.encode_into(quotients, inner);
        }
    }

    /// The outer number that maps the scale of largest magnitude to the integer of largest
    /// magnitude.
    fn outer_number(&self, scales: &[f32]) -> f32 {
        let largest = scales.iter().fold(0.0f32, |a, &b| if b.abs() > a.abs() { b } else { a });
        match self.kind.integer() {
            Some(element) if element.min() < 0.0 => largest / element.min(),
            _ => largest.abs() / self.kind.largest(),
        }
    }
}

/// The code at `index` of a dense stream of codes of `bits` bits.
fn packed_code(stream: &[u8], bits: usize, index: usize) -> u8 {
    let (byte, shift) = (index * bits / 8, index * bits % 8);
    let wide = u16::from(stream[byte]) | u16::from(stream.get(byte + 1).copied().unwrap_or(0)) << 8;
    (wide >> shift) as u8 & (u8::MAX >> (8 - bits))
}
