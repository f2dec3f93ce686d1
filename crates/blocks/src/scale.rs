//! Scale types, and tensor scales.
//!
//! ```text
//! kind   bytes   value                                     used by
//! f32    4       little endian IEEE single                 FP8, bitsandbytes
//! f16    2       little endian IEEE half                   GPTQ, AWQ
//! bf16   2       little endian upper half of an f32        compressed-tensors INT and FP8
//! e4m3   1       OCP FP8 E4M3 (the sign is rarely used)    NVFP4, with a tensor scale
//! ue5m3  1       5 exponent bits, bias 15, no sign         E2M1 in 16 without a tensor scale
//! e8m0   1       2^(byte - 127), 255 is NaN                OCP MX
//! int    bits/8  an integer, packed                        GGUF's K-quants, under an outer scale
//! ```

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use half::slice::HalfBitsSliceExt;
use half::{bf16, f16};
use lowbit_kernels::{Blocks, Element, Kernels};
use lowbit_scalar::{E4M3, E8M0, UE5M3};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::values::Dtype;

/// The type of stored block scales. In files it is written as its [`name`](Self::name).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ScaleKind {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of an f32.
    Bf16,
    /// OCP FP8 E4M3, largest value 448.
    E4m3,
    /// A power of two: OCP MX.
    E8m0,
    /// Unsigned, 5 exponent bits, 3 mantissa bits, bias 15; largest value 114688, 0xFF alone is
    /// NaN.
    Ue5m3,
    /// An integer of 1 to 8 bits, multiplied by an outer scale.
    Int {
        /// The width, 1 to 8.
        bits: u8,
        /// `true` for two's complement, `false` for unsigned.
        signed: bool,
    },
}

impl ScaleKind {
    /// The float scale of the same type as `dtype`.
    #[must_use]
    pub const fn of(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F32 => Self::F32,
            Dtype::F16 => Self::F16,
            Dtype::Bf16 => Self::Bf16,
        }
    }

    /// The float type of these scales; `None` for scales of 8 bits and fewer.
    #[must_use]
    pub const fn dtype(self) -> Option<Dtype> {
        match self {
            Self::F32 => Some(Dtype::F32),
            Self::F16 => Some(Dtype::F16),
            Self::Bf16 => Some(Dtype::Bf16),
            Self::E4m3 | Self::E8m0 | Self::Ue5m3 | Self::Int { .. } => None,
        }
    }

    /// The number of bits of one stored scale.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::F32 => 32,
            Self::F16 | Self::Bf16 => 16,
            Self::E4m3 | Self::E8m0 | Self::Ue5m3 => 8,
            Self::Int { bits, .. } => bits as u32,
        }
    }

    /// The number of bytes of a single stored scale.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.bits().div_ceil(8) as usize
    }

    /// The number of bytes of `n` stored scales. Integers of fewer than 8 bits are packed.
    #[must_use]
    pub const fn packed_len(self, n: usize) -> usize {
        match self.checked_len(n) {
            Some(bytes) => bytes,
            None => usize::MAX,
        }
    }

    pub(crate) const fn checked_len(self, n: usize) -> Option<usize> {
        let bits = self.bits() as usize;
        match (n / 8).checked_mul(bits) {
            Some(whole) => whole.checked_add((n % 8 * bits).div_ceil(8)),
            None => None,
        }
    }

    /// True if all scales are powers of two.
    #[must_use]
    pub const fn is_power_of_two(self) -> bool {
        matches!(self, Self::E8m0)
    }

    /// True if scales are 8-bit floats with a mantissa.
    #[must_use]
    pub const fn is_small_float(self) -> bool {
        matches!(self, Self::E4m3 | Self::Ue5m3)
    }

    /// True if a scale can be zero.
    #[must_use]
    pub const fn has_zero(self) -> bool {
        !matches!(self, Self::E8m0)
    }

    /// True if a scale can be negative.
    #[must_use]
    pub const fn has_sign(self) -> bool {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 | Self::E4m3 => true,
            Self::E8m0 | Self::Ue5m3 => false,
            Self::Int { signed, .. } => signed,
        }
    }

    /// The element of integer scales; `None` for floats.
    #[must_use]
    pub const fn integer(self) -> Option<Element> {
        match self {
            Self::Int { bits, signed: true } => Some(Element::Int { bits }),
            Self::Int { bits, signed: false } => Some(Element::Uint { bits }),
            _ => None,
        }
    }

    /// The largest finite scale.
    #[must_use]
    pub const fn largest(self) -> f32 {
        match self {
            Self::F32 => f32::MAX,
            Self::F16 => 65504.0,
            Self::Bf16 => f32::from_bits(0x7f7f_0000),
            Self::E4m3 => E4M3::MAX_F32,
            Self::E8m0 => E8M0::MAX_F32,
            Self::Ue5m3 => UE5M3::MAX_F32,
            Self::Int { bits, signed: true } => Element::Int { bits }.max(),
            Self::Int { bits, signed: false } => Element::Uint { bits }.max(),
        }
    }

    /// The scale as it is decoded after storing.
    #[must_use]
    pub fn rounded(self, scale: f32) -> f32 {
        match self {
            Self::F32 => scale,
            Self::F16 => f16::from_f32(scale).to_f32(),
            Self::Bf16 => bf16::from_f32(scale).to_f32(),
            _ => {
                let mut read = [0.0];
                self.decode_into(&self.encode(scale)[..self.bytes()], &mut read);
                read[0]
            }
        }
    }

    /// The scale type of this name, or `None`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let [int, uint] =
            [true, false].map(|signed| [1, 2, 3, 4, 5, 6, 7, 8].map(|bits| Self::Int { bits, signed }));
        let floats = [Self::F32, Self::F16, Self::Bf16, Self::E4m3, Self::E8m0, Self::Ue5m3];
        floats.into_iter().chain(int).chain(uint).find(|kind| kind.name() == name)
    }

    /// The name: `f32`, `f16`, `bf16`, `e4m3`, `e8m0`, `ue5m3`, `int6`, `uint6` …
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::E4m3 => "e4m3",
            Self::E8m0 => "e8m0",
            Self::Ue5m3 => "ue5m3",
            Self::Int { bits, signed: true } => Element::Int { bits }.name(),
            Self::Int { bits, signed: false } => Element::Uint { bits }.name(),
        }
    }

    /// True for f32, f16 and bf16. The choice among them belongs to the file, not to the format's
    /// name.
    #[must_use]
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::Bf16)
    }

    /// Rounds `scale` to nearest even and returns its stored bytes, the first
    /// [`bytes`](Self::bytes) of the array.
    ///
    /// Each type saturates in its own way: E4M3 at 448, f16 and bf16 at infinity, and E8M0 as
    /// [`E8M0::from_f32`] defines.
    ///
    /// ```
    /// use lowbit_blocks::ScaleKind;
    /// assert_eq!(ScaleKind::E8m0.encode(0.5)[0], 126);
    /// assert_eq!(ScaleKind::E4m3.encode(1.0)[0], 0x38);
    /// assert_eq!(ScaleKind::Bf16.encode(1.0)[..2], [0x80, 0x3f]);
    /// ```
    #[must_use]
    pub fn encode(self, scale: f32) -> [u8; 4] {
        let mut stored = [0; 4];
        match self {
            Self::F32 => stored = scale.to_le_bytes(),
            Self::F16 => stored[..2].copy_from_slice(&f16::from_f32(scale).to_le_bytes()),
            Self::Bf16 => stored[..2].copy_from_slice(&bf16::from_f32(scale).to_le_bytes()),
            Self::E4m3 => stored[0] = E4M3::from_f32(scale).to_bits(),
            Self::E8m0 => stored[0] = E8M0::from_f32(scale).to_bits(),
            Self::Ue5m3 => stored[0] = UE5M3::from_f32(scale).to_bits(),
            Self::Int { bits, signed: true } => stored[0] = Element::Int { bits }.encode_one(scale),
            Self::Int { bits, signed: false } => stored[0] = Element::Uint { bits }.encode_one(scale),
        }
        stored
    }

    /// Stores each of `scales` as [`encode`](Self::encode) does.
    ///
    /// # Panics
    /// If `out` is not [`packed_len`](Self::packed_len)`(scales.len())` bytes long.
    pub fn encode_into(self, scales: &[f32], out: &mut [u8]) {
        assert_eq!(out.len(), self.packed_len(scales.len()), "bytes for {} {self} scales", scales.len());
        if let Some(element) = self.integer().filter(|_| !scales.is_empty()) {
            return Kernels::best().encode(element, scales, Blocks::whole(&1.0), out);
        }
        if self == Self::F32 {
            let stored = out.as_chunks_mut().0.iter_mut();
            return stored.zip(scales).for_each(|(stored, scale)| *stored = scale.to_le_bytes());
        }
        if matches!(self, Self::F16 | Self::Bf16) {
            return self.encode_halves(scales, out);
        }
        for (stored, &scale) in out.iter_mut().zip(scales) {
            *stored = self.encode(scale)[0];
        }
    }

    /// Stores 16-bit scales with vectors: in place if `out` is aligned to two bytes, otherwise
    /// through a small buffer.
    fn encode_halves(self, scales: &[f32], out: &mut [u8]) {
        const ROOM: usize = 256;
        let narrow = |scales: &[f32], out: &mut [u16]| match self {
            Self::F16 => Kernels::best().narrow_f16(scales, out.reinterpret_cast_mut()),
            _ => Kernels::best().narrow_bf16(scales, out.reinterpret_cast_mut()),
        };
        if let (true, Ok(out)) = (cfg!(target_endian = "little"), bytemuck::try_cast_slice_mut(out)) {
            return narrow(scales, out);
        }
        let mut halves = [0; ROOM];
        for (scales, out) in scales.chunks(ROOM).zip(out.as_chunks_mut().0.chunks_mut(ROOM)) {
            narrow(scales, &mut halves[..scales.len()]);
            out.iter_mut().zip(&halves).for_each(|(out, half)| *out = half.to_le_bytes());
        }
    }

    /// Decodes stored scales exactly.
    ///
    /// # Panics
    /// If `stored` is not [`packed_len`](Self::packed_len)`(out.len())` bytes long.
    ///
    /// ```
    /// use lowbit_blocks::ScaleKind;
    /// let mut scales = [0.0; 3];
    /// ScaleKind::E8m0.decode_into(&[127, 130, 0], &mut scales);
    /// assert_eq!(scales, [1.0, 8.0, f32::MIN_POSITIVE / 2.0]);
    /// ```
    pub fn decode_into(self, stored: &[u8], out: &mut [f32]) {
        assert_eq!(stored.len(), self.packed_len(out.len()), "bytes for {} {self} scales", out.len());
        match self {
            Self::F32 => {
                for (scale, bytes) in out.iter_mut().zip(stored.as_chunks().0) {
                    *scale = f32::from_le_bytes(*bytes);
                }
            }
            Self::F16 => {
                widen(stored, out, |x, out| Kernels::best().widen_f16(x.reinterpret_cast(), out));
            }
            Self::Bf16 => {
                widen(stored, out, |x, out| Kernels::best().widen_bf16(x.reinterpret_cast(), out));
            }
            // E4M3 scales are E4M3 codes: the kernel that decodes elements reads them, with a scale
            // of one.
            Self::E4m3 if !out.is_empty() => {
                let blocks = Blocks { len: out.len(), scales: &[1.0], zeros: None };
                Kernels::best().decode(Element::E4m3, stored, blocks, out);
            }
            Self::E4m3 => {}
            Self::E8m0 => Kernels::best().widen_e8m0(stored, out),
            Self::Ue5m3 => {
                out.iter_mut()
                    .zip(stored)
                    .for_each(|(scale, code)| *scale = UE5M3::from_bits(*code).to_f32());
            }
            Self::Int { bits, signed } if !out.is_empty() => {
                let element = if signed { Element::Int { bits } } else { Element::Uint { bits } };
                Kernels::best().decode(element, stored, Blocks::whole(&1.0), out);
            }
            Self::Int { .. } => {}
        }
    }
}

impl Serialize for ScaleKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.name().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ScaleKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const NAMES: &[&str] =
            &["f32", "f16", "bf16", "e4m3", "e8m0", "ue5m3", "int1 to int8", "uint1 to uint8"];
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| D::Error::unknown_variant(&name, NAMES))
    }
}

/// Widens 16-bit scales: in place if `stored` is aligned to two bytes, otherwise through a small
/// buffer.
fn widen(stored: &[u8], out: &mut [f32], widen: impl Fn(&[u16], &mut [f32])) {
    if let (true, Ok(stored)) = (cfg!(target_endian = "little"), bytemuck::try_cast_slice(stored)) {
        return widen(stored, out);
    }
    let mut halves = [0; 256];
    for (stored, out) in stored.chunks(2 * halves.len()).zip(out.chunks_mut(halves.len())) {
        for (half, bytes) in halves.iter_mut().zip(stored.as_chunks().0) {
            *half = u16::from_le_bytes(*bytes);
        }
        widen(&halves[..out.len()], out);
    }
}

impl fmt::Display for ScaleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Tensor scales, one f32 per matrix, which multiply or divide as in their file.
///
/// ModelOpt stores `weight_scale_2` and multiplies; compressed-tensors stores `weight_global_scale`
/// and divides. Neither is converted to the other, because `1 / (1 / x)` in f32 is not always x.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum TensorScale {
    /// The format has no tensor scale.
    #[default]
    None,
    /// Effective scale = block scale * tensor scale, one f32 multiplication.
    Multiply(Vec<f32>),
    /// Effective scale = block scale / tensor scale, one f32 division.
    Divide(Vec<f32>),
}

impl TensorScale {
    /// The numbers as stored, one per matrix; empty for `None`.
    #[must_use]
    pub fn stored(&self) -> &[f32] {
        match self {
            Self::None => &[],
            Self::Multiply(scales) | Self::Divide(scales) => scales,
        }
    }

    /// Converts block scales of `matrix` to effective scales.
    ///
    /// # Panics
    /// If the matrix is out of range.
    ///
    /// ```
    /// use lowbit_blocks::TensorScale;
    /// let mut scales = [448.0];
    /// TensorScale::Divide(vec![896.0]).apply(0, &mut scales);
    /// assert_eq!(scales, [0.5]);
    /// ```
    pub fn apply(&self, matrix: usize, scales: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Multiply(of) => scales.iter_mut().for_each(|scale| *scale *= of[matrix]),
            Self::Divide(by) => Kernels::best().divide(scales, by[matrix]),
        }
    }

    /// The tensor scale of one matrix, of the same kind.
    ///
    /// # Panics
    /// If the matrix is out of range.
    #[must_use]
    pub fn matrix(&self, matrix: usize) -> Self {
        match self {
            Self::None => Self::None,
            Self::Multiply(scales) => Self::Multiply(alloc::vec![scales[matrix]]),
            Self::Divide(scales) => Self::Divide(alloc::vec![scales[matrix]]),
        }
    }
}
