//! Encoding with AVX-512: what takes one instruction here and several elsewhere.
//!
//! ```text
//! vpermb         sixty-four bytes looked up in sixty-four
//! vpermi2ps      thirty-two f32 by the low five bits of each index
//! ```

use super::lanes::{bytes_at, upper_halves};
use crate::Element;
use crate::codecs::Encoder;
use crate::codecs::int::IntEncoder;
use crate::codecs::minifloat::{Layout, MinifloatEncoder};
use crate::codecs::table::{Sixteen, e3m0};
use crate::encode::{Chunks, Encode, Family};
use crate::lanes::Lanes;
use crate::levels::simd::Simd;
use fearless_simd::prelude::*;
use fearless_simd::x86::Avx512;
use fearless_simd::{f32x16, u8x32, u8x64};
use lowbit_scalar::{Fp4, Nf4};

#[cfg(target_arch = "x86")]
use core::arch::x86::*;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::*;

impl Encode for Simd<Avx512> {
    #[inline(always)]
    fn encode(self, e: Element, chunks: Chunks<'_>) {
        match Family::of(e) {
            Family::Float(_) if e == Element::E2m1 => chunks.encode(self, e, E2m1Encoder(self.0)),
            Family::Float(format) => chunks.encode(self, e, MinifloatEncoder::new(self, Layout::of(format))),
            Family::Sixteen(which) => chunks.encode(self, e, CellEncoder::new(self.0, which)),
            Family::Int => chunks.encode(self, e, IntEncoder::new(self, e)),
        }
    }
}

/// E2M1 by a table of the quarters of binades.
///
/// The points halfway between two values, 0.25 0.75 1.25 1.75 2.5 3.5 5, all begin a quarter of a binade, and those whose tie goes down to
/// the even code are those whose last mantissa bit is 0. Rounded up to quarters, a tie lies in the quarter that ends with it, where it
/// belongs if it goes down, and one unit more takes it to the next if it goes up:
///
/// ```text
/// quarter = (bits + 2^21 - 1 + last bit) >> 21                 counted from the one that ends with 0.25, which is all of [0, 0.25]
/// ends    0.25: 0   0.5: 1 1 1 1   1: 1 1 2 2   2: 2 3 3 4   4: 4 5 5 6   8: 6 7 7 7   and 7 beyond
/// ```
///
/// All of it but the division is done in the upper halves, in words of two vectors at once.
#[derive(Clone, Copy)]
struct E2m1Encoder(Avx512);

/// The exponent and two bits of the mantissa of 0.25.
const FIRST_QUARTER: u16 = (0.25f32.to_bits() >> 21) as u16;

/// The code of a magnitude by its quarter of a binade.
static QUARTERS: [u8; 64] = {
    let mut codes = [0; 64];
    let mut i = 1;
    while i < 64 {
        let start = f32::from_bits((FIRST_QUARTER as u32 + i - 1) << 21);
        codes[i as usize] = Element::E2m1.encode_one(start.next_up());
        i += 1;
    }
    codes
};

impl Encoder<Simd<Avx512>> for E2m1Encoder {
    /// Words are packed within 128 bits.
    #[inline(always)]
    fn encode(self, l: Simd<Avx512>, [a, b, c, d]: [f32x16<Avx512>; 4]) -> u8x64<Avx512> {
        let (low, high) =
            (upper_quarters(self.0, a.into(), b.into()), upper_quarters(self.0, c.into(), d.into()));
        let quarters = u8x64::load_array_ref(self.0, &QUARTERS);
        e2m1(self.0, low, high, quarters.into()).simd_into(l.0)
    }
    /// Neighbours are neighbours in any order, so one permutation is enough for both.
    #[inline(always)]
    fn write(self, l: Simd<Avx512>, _: u32, codes: u8x64<Avx512>, out: &mut [u8]) {
        let joined: u8x32<Avx512> = unpacked_nibbles(self.0, codes.into()).simd_into(l.0);
        joined.store_array(out.first_chunk_mut().unwrap());
    }
}

/// Upper halves of two vectors whose magnitude is rounded up to quarters of binades.
#[inline(always)]
fn upper_quarters(avx512: Avx512, a: __m512, b: __m512) -> __m512i {
    upper_halves(avx512, rounded_up(avx512, a), rounded_up(avx512, b))
}

fearless_simd::kernel! {
    #[inline(always)]
    fn rounded_up(avx512: Avx512, x: __m512) -> __m512 {
        let bits = _mm512_castps_si512(x);
        let last = _mm512_test_epi32_mask(bits, _mm512_set1_epi32(1 << 22));
        let up = _mm512_add_epi32(bits, _mm512_set1_epi32((1 << 21) - 1));
        _mm512_castsi512_ps(_mm512_mask_sub_epi32(up, last, up, _mm512_set1_epi32(-1)))
    }
}

fearless_simd::kernel! {
    #[inline(always)]
    fn e2m1(avx512: Avx512, low: __m512i, high: __m512i, quarters: __m512i) -> __m512i {
        let (magnitude, first) = (_mm512_set1_epi16(0x7fff), _mm512_set1_epi16(FIRST_QUARTER as i16));
        let from_first = [
            _mm512_sub_epi16(_mm512_srli_epi16::<5>(_mm512_and_si512(low, magnitude)), first),
            _mm512_sub_epi16(_mm512_srli_epi16::<5>(_mm512_and_si512(high, magnitude)), first),
        ];
        let quarter = _mm512_packus_epi16(from_first[0], from_first[1]);
        let code = _mm512_permutexvar_epi8(_mm512_min_epu8(quarter, _mm512_set1_epi8(63)), quarters);
        let signs = _mm512_packs_epi16(low, high);
        _mm512_ternarylogic_epi32::<0xf8>(code, _mm512_srli_epi16::<4>(signs), _mm512_set1_epi8(8))
    }
}

fearless_simd::kernel! {
    #[inline(always)]
    fn unpacked_nibbles(avx512: Avx512, x: __m512i) -> __m256i {
        let pairs = _mm512_maddubs_epi16(x, _mm512_set1_epi16(0x1001));
        let order = _mm512_setr_epi64(
            0x1614_1210_0604_0200,
            0x3634_3230_2624_2220,
            0x1e1c_1a18_0e0c_0a08,
            0x3e3c_3a38_2e2c_2a28,
            0, 0, 0, 0,
        );
        _mm512_castsi512_si256(_mm512_permutexvar_epi8(order, pairs))
    }
}

/// NF4 and FP4 by cells: a number belongs to the nearest sixteenth, and no sixteenth has more than one cut near it. So one lookup finds the
/// cut to compare with, and another, of sixty-four bytes, the code by cell and outcome.
///
/// ```text
/// byte    NF4: cell -15 … 15, + 32 past the cut, modulo 64        FP4: cell 0 … 15 of the magnitude, + 16 past the cut, + 32 below zero
/// ```
#[derive(Clone, Copy)]
struct CellEncoder {
    avx512: Avx512,
    which: Sixteen,
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
/// The cell is the code.
static E3M0: Cells = {
    let mut cells = Cells { cuts: [f32::INFINITY; 32], codes: [0; 64] };
    let mut code = 0;
    while code < 64 {
        cells.codes[code] = code as u8;
        code += 1;
    }
    cells
};

impl CellEncoder {
    #[inline(always)]
    fn new(avx512: Avx512, which: Sixteen) -> Self {
        let cells = match which {
            Sixteen::Nf4 => &NF4,
            Sixteen::Fp4 => &FP4,
            Sixteen::E3m0 => &E3M0,
        };
        Self { avx512, which, cells }
    }
}

impl CellEncoder {
    /// The cells of sixteen numbers, in the six lowest bits.
    #[inline(always)]
    fn cell(self, l: Simd<Avx512>, x: f32x16<Avx512>, cuts: [__m512; 2]) -> __m512i {
        match self.which {
            Sixteen::Nf4 => signed_cell(self.avx512, x.into(), cuts),
            Sixteen::Fp4 => magnitude_cell(self.avx512, x.into(), cuts),
            Sixteen::E3m0 => e3m0(l, x).into(),
        }
    }
}

impl Encoder<Simd<Avx512>> for CellEncoder {
    #[inline(always)]
    fn encode(self, l: Simd<Avx512>, [a, b, c, d]: [f32x16<Avx512>; 4]) -> u8x64<Avx512> {
        let [low, high] = *self.cells.cuts.as_chunks().0 else { unreachable!() };
        let cuts = [l.load(&low).into(), l.load(&high).into()];
        let codes = l.load_bytes(&self.cells.codes).into();
        let cells =
            [self.cell(l, a, cuts), self.cell(l, b, cuts), self.cell(l, c, cuts), self.cell(l, d, cuts)];
        looked_up(self.avx512, bytes_at(self.avx512, cells, 0), codes).simd_into(l.0)
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
    fn looked_up(avx512: Avx512, cells: __m512i, codes: __m512i) -> __m512i {
        _mm512_permutexvar_epi8(cells, codes)
    }
}
