//! The kernels of one SIMD level behind one type; lengths are checked here and nowhere below.

use crate::decode::{self, AsBf16, AsF16, AsF32, STREAMS, Streamed};
use crate::level::Level;
use crate::widen::Half;
use crate::{Blocks, Element, reference, slices};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// Values that are asked for before they are needed: a page of 4 KB.
const AHEAD: usize = 1024;

/// The kernels at one SIMD level of this machine. Copy it around; it is a tag.
///
/// Every level computes the same bits (a NaN agrees with any NaN), so the choice is one of speed only.
///
/// ```
/// use lowbit_kernels::Kernels;
/// let mut amax = [0.0; 2];
/// Kernels::best().absmax(&[1.0, -3.0, 2.0, -0.5, 0.25], 3, &mut amax);
/// assert_eq!(amax, [3.0, 0.5]); // blocks of 3: the last one is short
/// ```
#[derive(Clone, Copy)]
pub struct Kernels(pub(crate) Option<Level>); // None is the reference

impl Kernels {
    /// The fastest level that this machine has.
    pub fn best() -> Self {
        #[cfg(feature = "std")]
        {
            static BEST: std::sync::LazyLock<Kernels> = std::sync::LazyLock::new(detect);
            *BEST
        }
        #[cfg(not(feature = "std"))]
        detect()
    }

    /// The scalar definition.
    pub const fn reference() -> Self {
        Self(None)
    }

    /// Every level that this machine has, `reference` first, the fastest last.
    pub fn available() -> impl Iterator<Item = Self> {
        core::iter::once(Self::reference()).chain(Level::available().map(|level| Self(Some(level))))
    }

    /// The level of this name, if this machine has it.
    pub fn named(name: &str) -> Option<Self> {
        Self::available().find(|kernels| kernels.name() == name)
    }

    /// `reference`, `wide`, `sse4.2`, `avx2`, `avx512`, `neon` or `wasm`.
    pub fn name(self) -> &'static str {
        match self.0 {
            None => "reference",
            Some(level) => level.name(),
        }
    }

    /// `max |x|` of each block of `block` values, the last of which may be short.
    ///
    /// Magnitudes compare as integers: infinity is larger than all numbers, and NaN larger than infinity, so either shows.
    ///
    /// # Panics
    /// If `block` is 0 or `out.len() != x.len().div_ceil(block)`.
    #[track_caller]
    pub fn absmax(self, x: &[f32], block: usize, out: &mut [f32]) {
        check_blocks(x.len(), block, out.len());
        match self.0 {
            None => reference::absmax(x, block, out),
            Some(level) => level.absmax(x, block, out),
        }
    }

    /// The least and the largest value of each block of `block` values, the last of which may be short.
    ///
    /// Values compare in the IEEE 754 total order, `f32::total_cmp`: `-NaN < -inf < ... < -0 < +0 < ... < inf < NaN`.
    ///
    /// ```
    /// let (mut min, mut max) = ([0.0; 2], [0.0; 2]);
    /// lowbit_kernels::Kernels::best().min_max(&[1.0, -3.0, 2.0, 7.0], 3, &mut min, &mut max);
    /// assert_eq!((min, max), ([-3.0, 7.0], [2.0, 7.0]));
    /// ```
    ///
    /// # Panics
    /// If `block` is 0, or `min.len()` or `max.len()` is not `x.len().div_ceil(block)`.
    #[track_caller]
    pub fn min_max(self, x: &[f32], block: usize, min: &mut [f32], max: &mut [f32]) {
        check_blocks(x.len(), block, min.len());
        check_blocks(x.len(), block, max.len());
        match self.0 {
            None => reference::min_max(x, block, min, max),
            Some(level) => level.min_max(x, block, min, max),
        }
    }

    /// The least and the largest magnitude; of no values, infinity and 0.
    ///
    /// Magnitudes compare as in [`absmax`](Self::absmax), so the largest shows infinity and NaN, and the least a zero. It is infinity at most.
    ///
    /// ```
    /// let best = lowbit_kernels::Kernels::best();
    /// assert_eq!(best.magnitude_range(&[-4.0, 0.5, 3.0]), (0.5, 4.0));
    /// assert_eq!(best.magnitude_range(&[-0.0, f32::NEG_INFINITY]), (0.0, f32::INFINITY));
    /// ```
    pub fn magnitude_range(self, x: &[f32]) -> (f32, f32) {
        match self.0 {
            None => reference::magnitude_range(x),
            Some(level) => slices::magnitude_range(level, x),
        }
    }

    /// The index of the first infinity or NaN.
    ///
    /// ```
    /// assert_eq!(lowbit_kernels::Kernels::best().first_non_finite(&[1.0, f32::MAX, f32::INFINITY, f32::NAN]), Some(2));
    /// ```
    pub fn first_non_finite(self, x: &[f32]) -> Option<usize> {
        match self.0 {
            None => reference::first_non_finite(x),
            Some(level) => slices::first_non_finite(level, x),
        }
    }

    /// `code = RNE_saturating(x / scale)`, or `RNE_saturating(x / scale + zero)`: one f32 division, one f32 addition,
    /// one rounding to the element, into `e.packed_len(x.len())` bytes of one dense stream whose last bits are zero.
    ///
    /// A NaN quotient becomes the element's positive NaN, or 0 where it has none.
    ///
    /// ```
    /// use lowbit_kernels::{Blocks, Element, Kernels};
    /// let mut codes = [0; 3];
    /// let blocks = Blocks { len: 2, scales: &[0.5, 4.0], zeros: None };
    /// Kernels::best().encode(Element::Int { bits: 8 }, &[1.25, -100.0, 10.0], blocks, &mut codes);
    /// assert_eq!(codes.map(|code| code as i8), [2, -128, 2]); // 2.5 and 2.5 are ties: to even
    /// ```
    ///
    /// # Panics
    /// If the lengths of codes, scales or zeros do not fit.
    #[track_caller]
    pub fn encode(self, e: Element, x: &[f32], blocks: Blocks<'_>, codes: &mut [u8]) {
        // A page ahead, which the hardware does not cross by itself.
        let next = x.get(AHEAD..).unwrap_or_default();
        self.encode_ahead(e, x, blocks, codes, bytemuck::cast_slice(next));
    }

    /// [`encode`](Self::encode), and meanwhile brings `next` into the cache: the bytes that will be read after it.
    ///
    /// One who reads a slice twice, for its scales and for its codes, reads it from memory the first time and from the cache the second.
    /// Memory would stand idle during the second; it is twice as fast when it does not.
    ///
    /// # Panics
    /// As [`encode`](Self::encode).
    #[track_caller]
    pub fn encode_ahead(self, e: Element, x: &[f32], blocks: Blocks<'_>, codes: &mut [u8], next: &[u8]) {
        check_codes(e, x.len(), codes.len());
        blocks.check(x.len());
        match self.0 {
            None => reference::encode(e, x, blocks, codes),
            Some(level) => slices::encode(level, e, x, blocks, codes, next),
        }
    }

    /// `value(code) * scale`, or `(value(code) - zero) * scale`, in f32, each operation rounded.
    ///
    /// ```
    /// use lowbit_kernels::{Blocks, Element, Kernels};
    /// let mut values = [0.0; 3];
    /// let blocks = Blocks { len: 2, scales: &[0.5, 4.0], zeros: Some(&[8.0, 0.0]) };
    /// Kernels::best().decode(Element::Uint { bits: 4 }, &[0xf0, 0x03], blocks, &mut values);
    /// assert_eq!(values, [-4.0, 3.5, 12.0]); // (0 - 8) / 2, (15 - 8) / 2, 3 * 4
    /// ```
    ///
    /// # Panics
    /// If the lengths of codes, scales or zeros do not fit.
    #[track_caller]
    pub fn decode(self, e: Element, codes: &[u8], blocks: Blocks<'_>, out: &mut [f32]) {
        if out.len() >= Self::STREAMED {
            return self.decode_streaming(e, codes, blocks, out);
        }
        check_codes(e, out.len(), codes.len());
        blocks.check(out.len());
        match self.0 {
            None => reference::decode(e, codes, blocks, out),
            Some(level) => {
                slices::decode(e, codes, blocks, out, AsF32, |chunks| level.decode(e, chunks));
            }
        }
    }

    /// From so many values on, 32 MiB of f32, [`decode`](Self::decode) is [`decode_streaming`](Self::decode_streaming).
    pub const STREAMED: usize = 32 * 1024 * 1024 / size_of::<f32>();

    /// [`decode`](Self::decode) for a part of an output that is larger than the caches: the same values, and with the feature
    /// `streaming` on x86-64 they are stored past the caches.
    ///
    /// # Panics
    /// As [`decode`](Self::decode).
    #[track_caller]
    pub fn decode_streaming(self, e: Element, codes: &[u8], blocks: Blocks<'_>, out: &mut [f32]) {
        check_codes(e, out.len(), codes.len());
        blocks.check(out.len());
        match self.0 {
            None => reference::decode(e, codes, blocks, out),
            Some(level) if STREAMS => decode::scope(|stream| {
                let stream = Streamed(stream);
                slices::decode(e, codes, blocks, out, stream, |chunks| level.decode_streaming(e, chunks));
            }),
            Some(level) => {
                slices::decode(e, codes, blocks, out, AsF32, |chunks| level.decode(e, chunks));
            }
        }
    }

    /// [`decode`](Self::decode) followed by [`narrow_f16`](Self::narrow_f16), in one pass.
    ///
    /// ```
    /// use half::f16;
    /// use lowbit_kernels::{Blocks, Element, Kernels};
    /// let mut values = [f16::ZERO; 2];
    /// Kernels::best().decode_f16(Element::E2m1, &[0x72], Blocks::whole(&20000.0), &mut values);
    /// assert_eq!(values, [f16::from_f32(20000.0), f16::INFINITY]); // 1 * 20000, and 6 * 20000 > 65504
    /// ```
    ///
    /// # Panics
    /// As [`decode`](Self::decode).
    #[track_caller]
    pub fn decode_f16(self, e: Element, codes: &[u8], blocks: Blocks<'_>, out: &mut [f16]) {
        check_codes(e, out.len(), codes.len());
        blocks.check(out.len());
        match self.0 {
            None => reference::decode_f16(e, codes, blocks, out),
            Some(level) => {
                let out = out.reinterpret_cast_mut();
                slices::decode(e, codes, blocks, out, AsF16, |chunks| level.decode_f16(e, chunks));
            }
        }
    }

    /// [`decode`](Self::decode) followed by [`narrow_bf16`](Self::narrow_bf16), in one pass.
    ///
    /// ```
    /// use half::bf16;
    /// use lowbit_kernels::{Blocks, Element, Kernels};
    /// let mut values = [bf16::ZERO; 2];
    /// Kernels::best().decode_bf16(Element::E2m1, &[0x72], Blocks::whole(&0.5), &mut values);
    /// assert_eq!(values, [bf16::from_f32(0.5), bf16::from_f32(3.0)]);
    /// ```
    ///
    /// # Panics
    /// As [`decode`](Self::decode).
    #[track_caller]
    pub fn decode_bf16(self, e: Element, codes: &[u8], blocks: Blocks<'_>, out: &mut [bf16]) {
        check_codes(e, out.len(), codes.len());
        blocks.check(out.len());
        match self.0 {
            None => reference::decode_bf16(e, codes, blocks, out),
            Some(level) => {
                let out = out.reinterpret_cast_mut();
                slices::decode(e, codes, blocks, out, AsBf16, |chunks| level.decode_bf16(e, chunks));
            }
        }
    }

    /// The squared errors of sixteen blocks rounded to E2M1, under one scale after the other: `x[k][i]` is value `k` of block `i`,
    /// `weights[k][i]` what its square counts (1 where there are none), and `scales[c][i]` candidate `c` for block `i`.
    ///
    /// `s^2 sum_k w_k (y_k - r_k)^2` with `y = |x| * (1 / |s|)` and `r` the nearest magnitude of E2M1; every operation is one f32 rounding. Terms
    /// are summed in their order, those of equal `k % 4` for themselves, and then `(S0 + S1) + (S2 + S3)`.
    ///
    /// ```
    /// use lowbit_kernels::Kernels;
    /// let (x, scales) = ([[6.0; 16], [-5.0; 16]], [[1.0; 16], [0.5; 16]]);
    /// let mut errors = [[0.0; 16]; 2];
    /// Kernels::best().e2m1_errors(&x, None, &scales, &mut errors);
    /// assert_eq!([errors[0][0], errors[1][0]], [1.0, 13.0]); // 6 and 4; 3 and 3: 3^2 + 2^2
    /// Kernels::best().e2m1_errors(&x, Some(&[[3.0; 16], [0.5; 16]]), &scales, &mut errors);
    /// assert_eq!([errors[0][15], errors[1][15]], [0.5, 29.0]);
    /// ```
    ///
    /// # Panics
    /// If there are not as many weights as values, or not as many errors as scales.
    #[track_caller]
    pub fn e2m1_errors(
        self,
        x: &[[f32; 16]],
        weights: Option<&[[f32; 16]]>,
        scales: &[[f32; 16]],
        errors: &mut [[f32; 16]],
    ) {
        check_same(scales.len(), errors.len());
        let weighed = weights.map_or(x.len(), <[_]>::len);
        assert!(weighed == x.len(), "{} values need as many weights, got {weighed}", x.len());
        match self.0 {
            None => reference::e2m1_errors(x, weights, scales, errors),
            Some(level) => level.e2m1_errors(x, weights, scales, errors),
        }
    }

    /// OCP E8M0 to f32, exactly: `2^(byte - 127)`, and NaN for 255.
    ///
    /// ```
    /// let mut scales = [0.0; 2];
    /// lowbit_kernels::Kernels::best().widen_e8m0(&[127, 120], &mut scales);
    /// assert_eq!(scales, [1.0, 1.0 / 128.0]);
    /// ```
    ///
    /// # Panics
    /// If the lengths differ.
    #[track_caller]
    pub fn widen_e8m0(self, x: &[u8], out: &mut [f32]) {
        check_same(x.len(), out.len());
        match self.0 {
            None => reference::widen_e8m0(x, out),
            Some(level) => slices::convert(x, out, |x, out| level.widen_e8m0(x, out)),
        }
    }

    /// Divides each number, one f32 division: block scales by a scale above them.
    ///
    /// ```
    /// let mut scales = [448.0, 1.0];
    /// lowbit_kernels::Kernels::best().divide(&mut scales, 896.0);
    /// assert_eq!(scales, [0.5, 1.0 / 896.0]);
    /// ```
    pub fn divide(self, x: &mut [f32], by: f32) {
        let (chunks, rest) = x.as_chunks_mut();
        match self.0 {
            None => reference::divide(chunks.as_flattened_mut(), by),
            Some(level) => level.divide(chunks, by),
        }
        reference::divide(rest, by);
    }

    /// f16 to f32, exactly.
    ///
    /// # Panics
    /// If the lengths differ.
    #[track_caller]
    pub fn widen_f16(self, x: &[f16], out: &mut [f32]) {
        check_same(x.len(), out.len());
        match self.0 {
            None => reference::widen_f16(x, out),
            Some(level) => slices::widen(level, Half::F16, x.reinterpret_cast(), out),
        }
    }

    /// bf16 to f32, exactly.
    ///
    /// # Panics
    /// If the lengths differ.
    #[track_caller]
    pub fn widen_bf16(self, x: &[bf16], out: &mut [f32]) {
        check_same(x.len(), out.len());
        match self.0 {
            None => reference::widen_bf16(x, out),
            Some(level) => slices::widen(level, Half::Bf16, x.reinterpret_cast(), out),
        }
    }

    /// [`widen_f16`](Self::widen_f16) and the [`absmax`](Self::absmax) of the result, in one pass where blocks are 16 or a multiple of 32.
    ///
    /// ```
    /// use half::f16;
    /// let (x, mut wide, mut amax) = ([f16::from_f32(-1.5); 16], [0.0; 16], [0.0]);
    /// lowbit_kernels::Kernels::best().widen_f16_absmax(&x, 16, &mut wide, &mut amax);
    /// assert_eq!((wide, amax), ([-1.5; 16], [1.5]));
    /// ```
    ///
    /// # Panics
    /// As [`widen_f16`](Self::widen_f16) and [`absmax`](Self::absmax).
    #[track_caller]
    pub fn widen_f16_absmax(self, x: &[f16], block: usize, out: &mut [f32], amax: &mut [f32]) {
        check_same(x.len(), out.len());
        check_blocks(x.len(), block, amax.len());
        match self.0 {
            None => {
                reference::widen_f16(x, out);
                reference::absmax(out, block, amax);
            }
            Some(level) => slices::widen_absmax(level, Half::F16, x.reinterpret_cast(), block, out, amax),
        }
    }

    /// [`widen_bf16`](Self::widen_bf16) and the [`absmax`](Self::absmax) of the result, in one pass where blocks are 16 or a multiple of 32.
    ///
    /// # Panics
    /// As [`widen_bf16`](Self::widen_bf16) and [`absmax`](Self::absmax).
    #[track_caller]
    pub fn widen_bf16_absmax(self, x: &[bf16], block: usize, out: &mut [f32], amax: &mut [f32]) {
        check_same(x.len(), out.len());
        check_blocks(x.len(), block, amax.len());
        match self.0 {
            None => {
                reference::widen_bf16(x, out);
                reference::absmax(out, block, amax);
            }
            Some(level) => slices::widen_absmax(level, Half::Bf16, x.reinterpret_cast(), block, out, amax),
        }
    }

    /// f32 to f16, to nearest even; what is too large becomes infinity.
    ///
    /// # Panics
    /// If the lengths differ.
    #[track_caller]
    pub fn narrow_f16(self, x: &[f32], out: &mut [f16]) {
        check_same(x.len(), out.len());
        match self.0 {
            None => reference::narrow_f16(x, out),
            Some(level) => slices::convert(x, out.reinterpret_cast_mut(), |x, out| level.narrow_f16(x, out)),
        }
    }

    /// f32 to bf16, to nearest even; what is too large becomes infinity.
    ///
    /// # Panics
    /// If the lengths differ.
    #[track_caller]
    pub fn narrow_bf16(self, x: &[f32], out: &mut [bf16]) {
        check_same(x.len(), out.len());
        match self.0 {
            None => reference::narrow_bf16(x, out),
            Some(level) => slices::convert(x, out.reinterpret_cast_mut(), |x, out| level.narrow_bf16(x, out)),
        }
    }
}

impl core::fmt::Debug for Kernels {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Kernels({})", self.name())
    }
}

impl PartialEq for Kernels {
    /// Whether this is the same level.
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Kernels {}

impl Default for Kernels {
    /// The [`best`](Kernels::best).
    fn default() -> Self {
        Self::best()
    }
}

fn detect() -> Kernels {
    Kernels::available().last().unwrap_or(Kernels::reference())
}

#[track_caller]
pub(crate) fn check_blocks(values: usize, block: usize, got: usize) {
    assert!(block > 0, "blocks of no values");
    let want = values.div_ceil(block);
    assert!(got == want, "{values} values in blocks of {block} need room for {want} results, got {got}");
}

#[track_caller]
pub(crate) fn check_codes(e: Element, values: usize, got: usize) {
    let want = e.packed_len(values);
    assert!(got == want, "{values} codes of {e} take {want} bytes, got {got}");
}

#[track_caller]
fn check_same(values: usize, got: usize) {
    assert!(got == values, "{values} values need room for as many, got {got}");
}
