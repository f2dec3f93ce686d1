//! Elements of up to 16 values: NF4 and bitsandbytes' FP4 encode by comparing with the cuts between neighbours, and any
//! element of up to 4 bits decodes by looking its values up.

use crate::Element;
use crate::codecs::{Affine, Decoder, Encoder};
use crate::lanes::{CHUNK, Lanes};
use lowbit_scalar::{Fp4, Nf4};

/// How many of the `N = 2^k - 1` sorted cuts each number has passed, which one above a cut has, and only such a one: k comparisons, each
/// with the middle one of the cuts that those before have left.
#[inline(always)]
fn passed<L: Lanes, const N: usize>(l: L, x: L::F, sorted: [f32; N]) -> L::U {
    let mut cuts = [l.splat_bits(0); N];
    for (vector, cut) in cuts.iter_mut().zip(sorted) {
        *vector = l.splat_bits(cut.to_bits());
    }
    let mut rank = l.splat_bits(0);
    for half in [8, 4, 2, 1] {
        if half <= N {
            let passed = l.gt_f32(x, l.float(cuts[half - 1]));
            rank = rank + l.select(passed, l.splat_bits(half as u32), l.splat_bits(0));
            for i in 0..half - 1 {
                cuts[i] = l.select(passed, cuts[half + i], cuts[i]);
            }
        }
    }
    rank
}

/// Elements of 16 values that are encoded by where a number lies between them.
#[derive(Clone, Copy)]
pub(crate) enum Sixteen {
    Nf4,
    Fp4,
    E3m0,
}

/// The codes of E3M0: bits of a magnitude, rounded to the exponent field, whose parity is that of the code. Below the least value the
/// halfway point is a power of two, and what is above it is taken for that value.
///
/// ```text
/// code = RNE(bits >> 23) - 124        0.25 … 16, of which the exponent fields are 125 … 131
/// ```
#[inline(always)]
pub(crate) fn e3m0<L: Lanes>(l: L, x: L::F) -> L::U {
    let (first, last) = (l.splat_bits(0.25f32.to_bits()), l.splat_bits(16f32.to_bits()));
    let bits = l.bits(x);
    let magnitude = bits & l.splat_bits(u32::MAX >> 1);
    let clamped = l.min(l.max(magnitude, first), last);
    let odd = (clamped >> 23) & l.splat_bits(1);
    let code = ((clamped + l.splat_bits((1 << 22) - 1) + odd) >> 23) - l.splat_bits(124);
    let is_zero = l.gt(l.splat_bits(0.125f32.next_up().to_bits()), magnitude);
    l.select(is_zero, l.splat_bits(0), code) | ((bits >> 28) & l.splat_bits(8))
}

/// Quotients to codes of an element of 16 values.
#[derive(Clone, Copy)]
pub(crate) struct TableEncoder(pub(crate) Sixteen);

impl TableEncoder {
    #[inline(always)]
    fn vector<L: Lanes>(self, l: L, x: L::F) -> L::U {
        match self.0 {
            Sixteen::Nf4 => return passed(l, x, Nf4::CUTS),
            Sixteen::E3m0 => return e3m0(l, x),
            Sixteen::Fp4 => {}
        }
        let rank = passed(l, l.float(l.bits(x) & l.splat_bits(u32::MAX >> 1)), Fp4::CUTS);
        // The codes of FP4 in the order of their values: 0 1 6 7 4 5 2 3.
        let code = rank ^ (rank & l.splat_bits(2)) << 1;
        let negative = l.gt_f32(l.splat(0.0), x);
        code | l.select(negative, l.splat_bits(8), l.splat_bits(0))
    }
}

impl<L: Lanes> Encoder<L> for TableEncoder {
    #[inline(always)]
    fn encode(self, l: L, x: [L::F; 4]) -> L::B {
        // A loop: a vector is much code.
        let mut codes = [l.splat_bits(0); 4];
        for (code, x) in codes.iter_mut().zip(x) {
            *code = self.vector(l, x);
        }
        l.bytes_at(codes, 0)
    }
}

/// The values of the codes of 4 bits, found by the compiler: at run time it would take as long as decoding a thousand of them.
const fn values(e: Element) -> [f32; 16] {
    assert!(e.bits() == 4);
    let mut values = [0.0; 16];
    let mut code = 0;
    while code < 16 {
        values[code] = e.decode_one(code as u8);
        code += 1;
    }
    values
}

/// The first eight of them twice.
const fn magnitudes_twice(e: Element) -> [f32; 16] {
    let mut twice = values(e);
    let mut code = 0;
    while code < 8 {
        twice[8 + code] = twice[code];
        code += 1;
    }
    twice
}

/// What decoding an element of 4 bits takes.
struct Nibbles {
    values: &'static [f32; 16],
    /// Of an element whose fourth bit is the sign, the magnitudes twice.
    magnitudes: Option<&'static [f32; 16]>,
    /// Whether all values have at most eight significant bits.
    is_short: bool,
}

impl Nibbles {
    /// # Panics
    /// If the element has another width.
    fn of(e: Element) -> Self {
        match e {
            Element::E2m1 => Self {
                values: const { &values(Element::E2m1) },
                magnitudes: Some(const { &magnitudes_twice(Element::E2m1) }),
                is_short: true,
            },
            Element::E3m0 => Self {
                values: const { &values(Element::E3m0) },
                magnitudes: Some(const { &magnitudes_twice(Element::E3m0) }),
                is_short: true,
            },
            Element::Int { bits: 4 } => {
                Self { values: const { &values(Element::Int { bits: 4 }) }, magnitudes: None, is_short: true }
            }
            Element::Uint { bits: 4 } => Self {
                values: const { &values(Element::Uint { bits: 4 }) },
                magnitudes: None,
                is_short: true,
            },
            Element::Nf4 => {
                Self { values: const { &values(Element::Nf4) }, magnitudes: None, is_short: false }
            }
            Element::Fp4 => {
                Self { values: const { &values(Element::Fp4) }, magnitudes: None, is_short: false }
            }
            Element::Int { .. }
            | Element::Uint { .. }
            | Element::E3m2
            | Element::E2m3
            | Element::E4m3
            | Element::E5m2
            | Element::E4m3Fnuz
            | Element::E5m2Fnuz
            | Element::E4m3B11Fnuz
            | Element::E4m3Ieee
            | Element::E3m4
            | Element::Ue5m3
            | Element::MxInt8 => unreachable!("{e} has no nibbles"),
        }
    }
}

/// Codes of 4 bits to values.
#[derive(Clone, Copy)]
pub(crate) struct NibbleDecoder<L: Lanes> {
    table: L::Table,
    /// The sixteen values; where the fourth bit is the sign, the eight magnitudes twice.
    values: L::F,
    is_signed: bool,
    is_short: bool,
}

impl<L: Lanes> NibbleDecoder<L> {
    #[inline(always)]
    pub(crate) fn new(l: L, e: Element) -> Self {
        let Nibbles { values, magnitudes, is_short } = Nibbles::of(e);
        Self {
            table: l.table(values),
            values: l.load(magnitudes.unwrap_or(values)),
            is_signed: magnitudes.is_some(),
            is_short,
        }
    }
}

impl<L: Lanes> Decoder<L> for NibbleDecoder<L> {
    #[inline(always)]
    fn bytes(self) -> usize {
        CHUNK / 2
    }
    #[inline(always)]
    fn decode(self, l: L, codes: &[u8]) -> [L::F; 4] {
        l.lookup_nibbles(self.table, codes.first_chunk().unwrap())
    }
    #[inline(always)]
    fn is_short(self) -> bool {
        self.is_short
    }
    /// Zero point and scale are applied to the sixteen values, not to each that is looked up: the same operations.
    #[inline(always)]
    fn in_block(self, l: L, block: Affine<L>) -> impl Fn(&[u8]) -> [L::F; 4] {
        let folds = L::FOLDS;
        let table = if folds { l.fold(self.table, |values| block.apply(values)) } else { self.table };
        #[inline(always)]
        move |codes| {
            let [a, b, c, d] = Self { table, ..self }.decode(l, codes);
            if folds {
                [a, b, c, d]
            } else {
                [block.apply(a), block.apply(b), block.apply(c), block.apply(d)]
            }
        }
    }
    /// The sixteen values are narrowed, too.
    #[inline(always)]
    fn block_by_halves(
        self,
        l: L,
        block: Affine<L>,
        narrow: impl Fn(L::F) -> L::F,
        codes: &[u8],
        out: &mut [[u16; CHUNK]],
    ) -> bool {
        if !L::FOLDS || block.has_nan(l) {
            return false;
        }
        let table = l.fold(self.table, |values| narrow(block.apply(values)));
        for (codes, out) in codes.as_chunks::<{ CHUNK / 2 }>().0.iter().zip(out) {
            l.store_upper(l.lookup_nibbles(table, codes), out);
        }
        true
    }
    /// Two blocks of 32 codes, or four of 16 signed ones: thirty-two values are scaled and narrowed, not sixty-four.
    #[inline(always)]
    fn blocks_by_halves<const N: usize>(
        self,
        l: L,
        scales: &[[f32; N]],
        zeros: Option<&[[f32; N]]>,
        narrow: impl Fn(L::F) -> L::F,
        codes: &[u8],
        out: &mut [[u16; CHUNK]],
    ) -> usize {
        let values = self.values;
        let chunks = codes.as_chunks().0.iter().zip(out);
        match (zeros, self.is_signed) {
            (None, true) if N == 4 => by_words(
                l,
                true,
                chunks.zip(scales.as_flattened().as_chunks().0),
                #[inline(always)]
                |scales| {
                    let [first, last] = l.pairs(scales);
                    [values * first, values * last]
                },
                narrow,
            ),
            (None, false) if N == 2 => by_words(
                l,
                false,
                chunks.zip(scales),
                #[inline(always)]
                |scales| [values * l.splat(scales[0]), values * l.splat(scales[1])],
                narrow,
            ),
            (Some(zeros), false) if N == 2 => by_words(
                l,
                false,
                chunks.zip(scales.iter().zip(zeros)),
                #[inline(always)]
                |(scales, zeros)| {
                    let steps = [values - l.splat(zeros[0]), values - l.splat(zeros[1])];
                    [steps[0] * l.splat(scales[0]), steps[1] * l.splat(scales[1])]
                },
                narrow,
            ),
            _ => 0,
        }
    }
}

/// Chunks up to one that has a NaN, or that the level had better decode otherwise; how many.
#[inline(always)]
fn by_words<'a, L: Lanes, S>(
    l: L,
    signed: bool,
    chunks: impl Iterator<Item = ((&'a [u8; CHUNK / 2], &'a mut [u16; CHUNK]), S)>,
    scaled: impl Fn(S) -> [L::F; 2],
    narrow: impl Fn(L::F) -> L::F,
) -> usize {
    let mut done = 0;
    for ((codes, out), scales) in chunks {
        let [first, last] = scaled(scales);
        if l.any_nan([first, last, first, last])
            || !l.store_nibble_words(signed, [narrow(first), narrow(last)], codes, out)
        {
            break;
        }
        done += 1;
    }
    done
}
