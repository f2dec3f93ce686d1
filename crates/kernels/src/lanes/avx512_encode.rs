//! Encoding with AVX-512: what takes one instruction here and several elsewhere.
//!
//! ```text
//! vpmultishiftqb   any eight bits of each lane to a byte, four vectors merged into one register under masks
//! vcmpunordps      two vectors at once are asked for NaN
//! vpermb           sixty-four bytes looked up in sixty-four
//! ```
//!
//! Merging leaves bytes in an order of its own: qword `j` holds lanes `2j` and `2j + 1` of the first vector, then of the second, third and
//! fourth. One more vpermb, at the end of all byte operations, restores theirs.

use super::{Lanes, Simd};
use crate::Element;
use crate::encode::Encoder;
use fearless_simd::prelude::*;
use fearless_simd::x86::Avx512;
use fearless_simd::{Simd as Token, f32x16, u8x64};
use lowbit_scalar::{Fp4, Nf4};

#[cfg(target_arch = "x86")]
use core::arch::x86::*;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::*;

fearless_simd::kernel! {
    #[inline(always)]
    pub(super) fn any_nan(avx512: Avx512, x: [__m512; 4]) -> bool {
        let first = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(x[0], x[1]);
        let last = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(x[2], x[3]);
        first | last != 0
    }
}

fearless_simd::kernel! {
    #[inline(always)]
    pub(super) fn bytes_at(avx512: Avx512, x: [__m512i; 4], bit: u32) -> __m512i {
        // Bytes 0 and 1 of each word of the control: from bit `bit` of the lower and of the upper lane of a qword.
        let from = _mm512_set1_epi16((bit | (bit + 32) << 8) as i16);
        let merged = _mm512_multishift_epi64_epi8(from, x[0]);
        let merged = _mm512_mask_multishift_epi64_epi8(merged, 0x0c0c_0c0c_0c0c_0c0c, from, x[1]);
        let merged = _mm512_mask_multishift_epi64_epi8(merged, 0x3030_3030_3030_3030, from, x[2]);
        _mm512_mask_multishift_epi64_epi8(merged, 0xc0c0_c0c0_c0c0_c0c0, from, x[3])
    }
}

fearless_simd::kernel! {
    #[inline(always)]
    pub(super) fn in_order(avx512: Avx512, x: __m512i) -> __m512i {
        // Lane 16 i + 2 j + h is byte 8 j + 2 i + h.
        let order = _mm512_setr_epi64(
            0x1918_1110_0908_0100,
            0x3938_3130_2928_2120,
            0x1b1a_1312_0b0a_0302,
            0x3b3a_3332_2b2a_2322,
            0x1d1c_1514_0d0c_0504,
            0x3d3c_3534_2d2c_2524,
            0x1f1e_1716_0f0e_0706,
            0x3f3e_3736_2f2e_2726,
        );
        _mm512_permutexvar_epi8(order, x)
    }
}

fearless_simd::kernel! {
    #[inline(always)]
    pub(super) fn join_nibbles(avx512: Avx512, x: __m512i) -> __m256i {
        _mm512_cvtepi16_epi8(_mm512_maddubs_epi16(x, _mm512_set1_epi16(0x1001)))
    }
}

/// E2M1 by a table of the quarters of binades.
///
/// The points halfway between two values, 0.25 0.75 1.25 1.75 2.5 3.5 5, all begin a quarter of a binade, and those whose tie goes down to
/// the even code are those whose last mantissa bit is 0. One unit less there, and a tie lies in the quarter below: what remains is to
/// look up the two mantissa bits and three of the exponent, which tell binades from 2^-4 to 2^3 apart, and to mend what is outside.
///
/// ```text
/// quarters of binade   0.25: 1 1 1 1      0.5: 1 1 2 2      1: 2 3 3 4      2: 4 5 5 6      4: 6 7 7 7
/// ```
#[derive(Clone, Copy)]
pub(super) struct E2m1Encoder(pub(super) Avx512);

/// The code of a magnitude by its quarter of a binade, modulo eight binades, twice.
static QUARTERS: [u8; 64] = {
    let mut codes = [0; 64];
    let mut i = 0;
    while i < 64 {
        // From 2^-4, whose exponent field is 3 modulo 8, to 2^3.
        let (binade, quarter) = ((i / 4 + 5) % 8, i % 4);
        let start = ((4 + quarter) << binade) as f32 / 64.0;
        codes[i] = Element::E2m1.encode_one(start.next_up());
        i += 1;
    }
    codes
};

impl<S: Token> Encoder<Simd<S>> for E2m1Encoder {
    #[inline(always)]
    fn encode(self, l: Simd<S>, [a, b, c, d]: [f32x16<S>; 4]) -> u8x64<S> {
        let x = [a.into(), b.into(), c.into(), d.into()];
        let quarters = u8x64::load_array_ref(self.0, &QUARTERS);
        e2m1(self.0, x, quarters.into()).simd_into(l.0)
    }
}

fearless_simd::kernel! {
    #[inline(always)]
    fn e2m1(avx512: Avx512, x: [__m512; 4], quarters: __m512i) -> __m512i {
        let one = _mm512_set1_epi32(1);
        let bits = [
            _mm512_castps_si512(x[0]),
            _mm512_castps_si512(x[1]),
            _mm512_castps_si512(x[2]),
            _mm512_castps_si512(x[3]),
        ];
        let below_ties = [
            _mm512_sub_epi32(bits[0], _mm512_andnot_si512(_mm512_srli_epi32::<22>(bits[0]), one)),
            _mm512_sub_epi32(bits[1], _mm512_andnot_si512(_mm512_srli_epi32::<22>(bits[1]), one)),
            _mm512_sub_epi32(bits[2], _mm512_andnot_si512(_mm512_srli_epi32::<22>(bits[2]), one)),
            _mm512_sub_epi32(bits[3], _mm512_andnot_si512(_mm512_srli_epi32::<22>(bits[3]), one)),
        ];
        // Sign and all of the exponent but its last bit: 2^-3 has 62 there, 4 has 64.
        let top = bytes_at(avx512, bits, 24);
        let binades = _mm512_and_si512(top, _mm512_set1_epi8(0x7f));
        let not_tiny = _mm512_cmpge_epi8_mask(binades, _mm512_set1_epi8(62));
        let huge = _mm512_cmpgt_epi8_mask(binades, _mm512_set1_epi8(64));
        let code = _mm512_maskz_permutexvar_epi8(not_tiny, bytes_at(avx512, below_ties, 21), quarters);
        let code = _mm512_mask_mov_epi8(code, huge, _mm512_set1_epi8(7));
        _mm512_ternarylogic_epi32::<0xf8>(code, _mm512_srli_epi16::<4>(top), _mm512_set1_epi8(8))
    }
}

/// NF4 and FP4 by cells: a number belongs to the nearest sixteenth, and no sixteenth has more than one cut near it. So one lookup finds the
/// cut to compare with, and another, of sixty-four bytes, the code by cell and outcome.
///
/// ```text
/// byte    NF4: cell -15 … 15, + 32 past the cut, modulo 64        FP4: cell 0 … 15 of the magnitude, + 16 past the cut, + 32 below zero
/// ```
#[derive(Clone, Copy)]
pub(super) struct CellEncoder {
    avx512: Avx512,
    signed: bool,
    cells: &'static Cells,
}

struct Cells {
    cuts: [f32; 32],
    codes: [u8; 64],
}

/// Where numbers end that are beyond the last cut.
const LAST_CELL: f32 = 15.0 / 16.0;

impl Cells {
    const fn of(e: Element, cuts: &[f32], signed: bool) -> Self {
        let mut cells = Self { cuts: [f32::INFINITY; 32], codes: [0; 64] };
        let mut cell = if signed { -15 } else { 0 };
        while cell <= 15 {
            let (start, end) = ((cell as f32 - 0.5) / 16.0, (cell as f32 + 0.5) / 16.0);
            let index = (cell & 31) as usize;
            let (mut below, mut above) = (cell as f32 / 16.0, cell as f32 / 16.0);
            let mut i = 0;
            while i < cuts.len() {
                if start <= cuts[i] && cuts[i] <= end {
                    assert!(cells.cuts[index] == f32::INFINITY, "two cuts in a cell");
                    cells.cuts[index] = cuts[i];
                    (below, above) = (cuts[i], cuts[i].next_up());
                }
                i += 1;
            }
            if signed {
                cells.codes[(cell & 63) as usize] = e.encode_one(below);
                cells.codes[((cell + 32) & 63) as usize] = e.encode_one(above);
            } else {
                cells.cuts[index + 16] = cells.cuts[index];
                (cells.codes[index], cells.codes[index + 16]) = (e.encode_one(below), e.encode_one(above));
                // The sign is kept where the magnitude rounds to zero, but not that of zero itself.
                (cells.codes[index + 32], cells.codes[index + 48]) =
                    (cells.codes[index] | 8, cells.codes[index + 16] | 8);
            }
            cell += 1;
        }
        cells
    }
}

static NF4: Cells = Cells::of(Element::Nf4, &Nf4::CUTS, true);
static FP4: Cells = Cells::of(Element::Fp4, &Fp4::CUTS, false);

impl CellEncoder {
    #[inline(always)]
    pub(super) fn new(avx512: Avx512, e: Element) -> Self {
        let signed = matches!(e, Element::Nf4);
        Self { avx512, signed, cells: if signed { &NF4 } else { &FP4 } }
    }
}

impl<S: Token> Encoder<Simd<S>> for CellEncoder {
    #[inline(always)]
    fn encode(self, l: Simd<S>, [a, b, c, d]: [f32x16<S>; 4]) -> u8x64<S> {
        let [low, high] = *self.cells.cuts.as_chunks().0 else { unreachable!() };
        let cuts = [l.load(&low).into(), l.load(&high).into()];
        let codes = l.load_bytes(&self.cells.codes).into();
        let cell = |x: f32x16<S>| match self.signed {
            true => signed_cell(self.avx512, x.into(), cuts),
            false => magnitude_cell(self.avx512, x.into(), cuts),
        };
        cell_codes(self.avx512, [cell(a), cell(b), cell(c), cell(d)], codes).simd_into(l.0)
    }
}

fearless_simd::kernel! {
    /// In the six lowest bits.
    #[inline(always)]
    fn signed_cell(avx512: Avx512, x: __m512, cuts: [__m512; 2]) -> __m512i {
        let last = _mm512_set1_ps(LAST_CELL);
        let inside = _mm512_max_ps(_mm512_min_ps(x, last), _mm512_set1_ps(-LAST_CELL));
        // The last place of 1.5 * 2^19 is worth a sixteenth.
        let cell = _mm512_castps_si512(_mm512_add_ps(inside, _mm512_set1_ps(1.5 * (1 << 19) as f32)));
        let cut = _mm512_permutex2var_ps(cuts[0], cell, cuts[1]);
        let passed = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(inside, cut);
        _mm512_mask_add_epi32(cell, passed, cell, _mm512_set1_epi32(32))
    }
}

fearless_simd::kernel! {
    /// In the six lowest bits.
    #[inline(always)]
    fn magnitude_cell(avx512: Avx512, x: __m512, cuts: [__m512; 2]) -> __m512i {
        let inside = _mm512_min_ps(_mm512_abs_ps(x), _mm512_set1_ps(LAST_CELL));
        let cell = _mm512_castps_si512(_mm512_add_ps(inside, _mm512_set1_ps(1.5 * (1 << 19) as f32)));
        let cut = _mm512_permutexvar_ps(cell, cuts[0]);
        let passed = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(inside, cut);
        let negative = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(x, _mm512_setzero_ps());
        let cell = _mm512_mask_add_epi32(cell, passed, cell, _mm512_set1_epi32(16));
        _mm512_mask_add_epi32(cell, negative, cell, _mm512_set1_epi32(32))
    }
}

fearless_simd::kernel! {
    #[inline(always)]
    fn cell_codes(avx512: Avx512, cells: [__m512i; 4], codes: __m512i) -> __m512i {
        _mm512_permutexvar_epi8(bytes_at(avx512, cells, 0), codes)
    }
}
