//! Encoding with AVX2: what takes fewer instructions here than in the portable operations.
//!
//! ```text
//! vpshufb                sixteen codes of E2M1 by quarter of binade; 0 for what is below the first
//! vpermps                the next of up to eight cuts, by what the comparisons so far have said
//! ```

use super::lanes::{join_bytes, pack, packed};
use crate::Element;
use crate::codecs::Encoder;
use crate::codecs::int::IntEncoder;
use crate::codecs::minifloat::Layout;
use crate::codecs::table::{Sixteen, e3m0};
use crate::encode::{Chunks, Encode, Family};
use crate::levels::simd::Simd;
use fearless_simd::prelude::*;
use fearless_simd::x86::Avx2;
use fearless_simd::{f32x8, f32x16, u8x32, u8x64, u32x4, u32x8, u32x16};
use lowbit_scalar::{Fp4, Nf4};

#[cfg(target_arch = "x86")]
use core::arch::x86::*;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::*;

impl Encode for Simd<Avx2> {
    #[inline(always)]
    fn encode(self, e: Element, chunks: Chunks<'_>) {
        match Family::of(e) {
            Family::Float(_) if e == Element::E2m1 => chunks.encode(self, e, E2m1Encoder(self.0)),
            Family::Float(format) => chunks.encode(self, e, FloatEncoder::new(self.0, Layout::of(format))),
            Family::Sixteen(which) => chunks.encode(self, e, SearchEncoder::new(self.0, which)),
            Family::Int => chunks.encode(self, e, IntEncoder::new(self, e)),
        }
    }
}

/// E2M1 by a table of the quarters of binades, as with AVX-512: one unit less where a tie goes down, and all ties begin a quarter.
///
/// ```text
/// quarters of binade   0.25: 1 1 1 1      0.5: 1 1 2 2      1: 2 3 3 4      2: 4 5 5 6      4: 6 7 7 7
/// ```
#[derive(Clone, Copy)]
struct E2m1Encoder(Avx2);

impl Encoder<Simd<Avx2>> for E2m1Encoder {
    #[inline(always)]
    fn encode(self, l: Simd<Avx2>, [a, b, c, d]: [f32x16<Avx2>; 4]) -> u8x64<Avx2> {
        let ((a, b), (c, d)) = ((a.split(), b.split()), (c.split(), d.split()));
        let low = e2m1(self.0, [a.0.into(), a.1.into(), b.0.into(), b.1.into()]);
        join_bytes(l.0, low, e2m1(self.0, [c.0.into(), c.1.into(), d.0.into(), d.1.into()]))
    }
}

fearless_simd::kernel! {
    /// The quarter of binade of a magnitude, at least the one below 2^-3.
    #[inline(always)]
    fn quarter(avx2: Avx2, x: __m256) -> __m256i {
        let magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0), x);
        let bits = _mm256_castps_si256(_mm256_max_ps(magnitude, _mm256_set1_ps(0.125)));
        let down = _mm256_andnot_si256(_mm256_srli_epi32::<22>(bits), _mm256_set1_epi32(1));
        _mm256_srli_epi32::<21>(_mm256_sub_epi32(bits, down))
    }
}

fearless_simd::kernel! {
    #[inline(always)]
    fn e2m1(avx2: Avx2, x: [__m256; 4]) -> __m256i {
        let first = _mm256_packs_epi32(quarter(avx2, x[0]), quarter(avx2, x[1]));
        let last = _mm256_packs_epi32(quarter(avx2, x[2]), quarter(avx2, x[3]));
        // Counted from 0.5.
        let start = _mm256_set1_epi16(4 * 126);
        let index = _mm256_packs_epi16(_mm256_sub_epi16(first, start), _mm256_sub_epi16(last, start));
        let codes = _mm256_broadcastsi128_si256(_mm_setr_epi8(1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 7));
        let code = _mm256_shuffle_epi8(codes, _mm256_min_epi8(index, _mm256_set1_epi8(15)));
        // From 0.25 on.
        let one = _mm256_and_si256(_mm256_cmpgt_epi8(index, _mm256_set1_epi8(-5)), _mm256_set1_epi8(1));
        let sign = _mm256_and_si256(_mm256_srli_epi16::<4>(signs(avx2, x)), _mm256_set1_epi8(8));
        _mm256_or_si256(_mm256_max_epu8(code, one), sign)
    }
}

/// Minifloats of 6 and 8 bits as everywhere, but thirty-two values from beginning to end, for whose numbers there are registers, and signs by packing.
#[derive(Clone, Copy)]
struct FloatEncoder {
    avx2: Avx2,
    clamp: __m256i,
    min_exponent: __m256i,
    magic: __m256i,
    /// Bits of an f32 below the last one of the element, and of a byte above the sign.
    shifts: [__m128i; 2],
    rebase: __m256i,
    sign_code: __m256i,
    fnuz: bool,
    signed: bool,
}

impl FloatEncoder {
    #[inline(always)]
    fn new(avx2: Avx2, layout: Layout) -> Self {
        let count = |count: u32| u32x4::from_slice(avx2, &[count, 0, 0, 0]).into();
        let byte = |byte: u32| u8x32::splat(avx2, byte as u8).into();
        let (least, shift) = (layout.min_exponent(), layout.shift());
        Self {
            avx2,
            clamp: u32x8::splat(avx2, layout.clamp.to_bits()).into(),
            min_exponent: u32x8::splat(avx2, least).into(),
            magic: u32x8::splat(avx2, shift << (f32::MANTISSA_DIGITS - 1)).into(),
            shifts: [count(shift), count(u8::BITS - layout.bits)],
            rebase: byte((least >> shift).wrapping_neg()),
            sign_code: byte(layout.sign_code()),
            fnuz: layout.fnuz,
            signed: layout.signed,
        }
    }

    #[inline(always)]
    fn steps(self, x: f32x8<Avx2>) -> __m256i {
        float_steps(self.avx2, x.into(), self.clamp, self.min_exponent, self.magic, self.shifts[0])
    }

    #[inline(always)]
    fn half(self, a: f32x16<Avx2>, b: f32x16<Avx2>) -> __m256i {
        let ((mut a, mut b), (mut c, mut d)) = (a.split(), b.split());
        if !self.signed {
            for x in [&mut a, &mut b, &mut c, &mut d] {
                *x = not_negative(self.avx2, (*x).into()).simd_into(self.avx2);
            }
        }
        let steps = pack(self.avx2, [self.steps(a), self.steps(b), self.steps(c), self.steps(d)]);
        let signs = signs(self.avx2, [a.into(), b.into(), c.into(), d.into()]);
        signed(self.avx2, steps, self.rebase, signs, self.sign_code, self.shifts[1], self.fnuz)
    }
}

impl Encoder<Simd<Avx2>> for FloatEncoder {
    #[inline(always)]
    fn encode(self, l: Simd<Avx2>, [a, b, c, d]: [f32x16<Avx2>; 4]) -> u8x64<Avx2> {
        let low = self.half(a, b);
        join_bytes(l.0, low, self.half(c, d))
    }
}

fearless_simd::kernel! {
    /// The lowest byte of the code of a magnitude, but for a constant.
    #[inline(always)]
    fn float_steps(avx2: Avx2, x: __m256, clamp: __m256i, min_exponent: __m256i, magic: __m256i, shift: __m128i) -> __m256i {
        let magnitude = _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(i32::MAX));
        let clamped = _mm256_min_epi32(magnitude, clamp);
        let bits = _mm256_and_si256(clamped, _mm256_set1_epi32(f32::INFINITY.to_bits() as i32));
        let exponent = _mm256_max_epi32(bits, min_exponent);
        let sum = _mm256_add_ps(_mm256_castsi256_ps(clamped), _mm256_castsi256_ps(_mm256_add_epi32(exponent, magic)));
        let steps = _mm256_add_epi32(_mm256_castps_si256(sum), _mm256_srl_epi32(exponent, shift));
        _mm256_and_si256(steps, _mm256_set1_epi32(0xff))
    }
}

fearless_simd::kernel! {
    /// 0 for a negative number: as signed integers those are below it.
    #[inline(always)]
    fn not_negative(avx2: Avx2, x: __m256) -> __m256 {
        _mm256_castsi256_ps(_mm256_max_epi32(_mm256_castps_si256(x), _mm256_setzero_si256()))
    }
}

fearless_simd::kernel! {
    /// The highest bit of each lane in that of a byte.
    #[inline(always)]
    fn signs(avx2: Avx2, x: [__m256; 4]) -> __m256i {
        _mm256_packs_epi16(
            _mm256_packs_epi32(_mm256_castps_si256(x[0]), _mm256_castps_si256(x[1])),
            _mm256_packs_epi32(_mm256_castps_si256(x[2]), _mm256_castps_si256(x[3])),
        )
    }
}

fearless_simd::kernel! {
    #[inline(always)]
    fn signed(avx2: Avx2, steps: __m256i, rebase: __m256i, signs: __m256i, sign_code: __m256i, shift: __m128i, fnuz: bool) -> __m256i {
        let code = _mm256_add_epi8(steps, rebase);
        let sign = _mm256_and_si256(_mm256_srl_epi16(signs, shift), sign_code);
        if !fnuz {
            return _mm256_xor_si256(code, sign);
        }
        // A zero has no sign: that would be NaN.
        let carry = _mm256_add_epi8(code, _mm256_set1_epi8(0x7f));
        _mm256_xor_si256(code, _mm256_and_si256(sign, carry))
    }
}

/// NF4 and FP4 by comparing with the middle one of the cuts that are left, which is looked up by the outcomes so far.
#[derive(Clone, Copy)]
struct SearchEncoder {
    avx2: Avx2,
    which: Sixteen,
    /// The cuts of the second, third and fourth comparison; the first of NF4 is apart.
    cuts: [__m256; 3],
}

/// The cuts of the comparison that halves runs of `2 half - 1`: cut `i` where the comparisons before have said `i`.
const fn level<const N: usize>(sorted: &[f32; N], half: usize) -> [f32; 8] {
    let mut cuts = [0.0; 8];
    let mut i = 0;
    while (2 * i + 1) * half <= N {
        cuts[i] = sorted[(2 * i + 1) * half - 1];
        i += 1;
    }
    cuts
}

static NF4: [[f32; 8]; 3] = [level(&Nf4::CUTS, 4), level(&Nf4::CUTS, 2), level(&Nf4::CUTS, 1)];
static FP4: [[f32; 8]; 3] = [level(&Fp4::CUTS, 4), level(&Fp4::CUTS, 2), level(&Fp4::CUTS, 1)];

impl SearchEncoder {
    #[inline(always)]
    fn new(avx2: Avx2, which: Sixteen) -> Self {
        let [first, second, third] = match which {
            Sixteen::Nf4 => &NF4,
            // Of E3M0 no cut is asked for.
            Sixteen::Fp4 | Sixteen::E3m0 => &FP4,
        };
        let load = |cuts| f32x8::load_array_ref(avx2, cuts).into();
        Self { avx2, which, cuts: [load(first), load(second), load(third)] }
    }

    #[inline(always)]
    fn eight(self, l: Simd<Avx2>, x: f32x8<Avx2>) -> u32x8<Avx2> {
        match self.which {
            Sixteen::Nf4 => nf4(self.avx2, x.into(), self.cuts).simd_into(l.0),
            _ => fp4(self.avx2, x.into(), self.cuts).simd_into(l.0),
        }
    }

    #[inline(always)]
    fn sixteen(self, l: Simd<Avx2>, x: f32x16<Avx2>) -> u32x16<Avx2> {
        if let Sixteen::E3m0 = self.which {
            return e3m0(l, x);
        }
        let (low, high) = x.split();
        self.eight(l, low).combine(self.eight(l, high))
    }
}

impl Encoder<Simd<Avx2>> for SearchEncoder {
    #[inline(always)]
    fn encode(self, l: Simd<Avx2>, [a, b, c, d]: [f32x16<Avx2>; 4]) -> u8x64<Avx2> {
        let codes = [self.sixteen(l, a), self.sixteen(l, b), self.sixteen(l, c), self.sixteen(l, d)];
        packed(self.avx2, codes)
    }
}

fearless_simd::kernel! {
    /// `2 * index`, and one more where `x` is above the cut at `index`.
    #[inline(always)]
    fn step(avx2: Avx2, x: __m256, cuts: __m256, index: __m256i) -> __m256i {
        let passed = _mm256_cmp_ps::<_CMP_GT_OQ>(x, _mm256_permutevar8x32_ps(cuts, index));
        _mm256_sub_epi32(_mm256_add_epi32(index, index), _mm256_castps_si256(passed))
    }
}

fearless_simd::kernel! {
    #[inline(always)]
    fn nf4(avx2: Avx2, x: __m256, cuts: [__m256; 3]) -> __m256i {
        let passed = _mm256_cmp_ps::<_CMP_GT_OQ>(x, _mm256_set1_ps(Nf4::CUTS[7]));
        let index = _mm256_srli_epi32::<31>(_mm256_castps_si256(passed));
        step(avx2, x, cuts[2], step(avx2, x, cuts[1], step(avx2, x, cuts[0], index)))
    }
}

fearless_simd::kernel! {
    #[inline(always)]
    fn fp4(avx2: Avx2, x: __m256, cuts: [__m256; 3]) -> __m256i {
        let magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0), x);
        let index = step(avx2, magnitude, cuts[0], _mm256_setzero_si256());
        let rank = step(avx2, magnitude, cuts[2], step(avx2, magnitude, cuts[1], index));
        // The codes of FP4 in the order of their values: 0 1 6 7 4 5 2 3.
        let two = _mm256_and_si256(rank, _mm256_set1_epi32(2));
        let code = _mm256_xor_si256(rank, _mm256_slli_epi32::<1>(two));
        let negative = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_LT_OQ>(x, _mm256_setzero_ps()));
        _mm256_or_si256(code, _mm256_and_si256(negative, _mm256_set1_epi32(8)))
    }
}
