//! NF4 as whole numbers of 2^-27, none of which is above 2^27: four digits of seven bits, whose products with bytes are summed exactly.
//!
//! ```text
//! (value + 1) * 2^27 = ((d3 * 2^7 + d2) * 2^7 + d1) * 2^7 + d0        d3 is 128 for 1.0, all others are below
//! high = sum(d3 * x) * 2^7 + sum(d2 * x)      low = sum(d1 * x) * 2^7 + sum(d0 * x)
//! ```
//!
//! The offset adds `2^27 * sum(x)`, which is `2^13 * sum(x)` of the high sums. Two products of digits and bytes fit 16 bits, which is what AVX2 sums
//! them in. `wide` has a table of all values.

use super::exact::{LOW, Two};
use super::lanes::SumLanes;
use super::weights::Weights;
use crate::Element;
use crate::lanes::{CHUNK, LANES};

/// Digits of a value.
pub(crate) const DIGITS: usize = 4;
/// Bits of a digit.
pub(crate) const DIGIT: u32 = LOW / 2;
/// Bits of the largest magnitude.
const BITS: u32 = 27;
/// What the offset is in the high part.
pub(super) const OFFSET: i32 = 1 << (BITS - LOW);

/// Whether an element is summed by its digits.
pub(super) const fn has_digits(e: Element) -> bool {
    matches!(e, Element::Nf4)
}

/// `(value + 1) * 2^27` by code.
static VALUES: [u32; 16] = STEPS;
const STEPS: [u32; 16] = {
    let (mut values, mut code) = ([0; 16], 0);
    while code < 16 {
        let steps = Element::Nf4.decode_one(code as u8) * (1 << BITS) as f32;
        assert!(steps as i32 as f32 == steps);
        values[code] = (steps as i32 + (1 << BITS)) as u32;
        code += 1;
    }
    values
};

/// Digits by code, the lowest first.
const TABLES: [[u8; 16]; DIGITS] = {
    let (mut tables, mut at) = ([[0; 16]; DIGITS], 0);
    while at < 16 * DIGITS {
        let (digit, code) = (at / 16, at % 16);
        let above = STEPS[code] >> (digit as u32 * DIGIT);
        tables[digit][code] = if digit + 1 < DIGITS { above as u8 & 0x7f } else { above as u8 };
        at += 1;
    }
    tables
};

/// Codes of NF4.
#[derive(Clone, Copy)]
pub(super) struct Digits<L: SumLanes>([L::Bytes; DIGITS]);

impl<L: SumLanes> Digits<L> {
    #[inline(always)]
    pub(super) fn new(l: L) -> Self {
        let [a, b, c, d] = &TABLES;
        Self([l.byte_table(a), l.byte_table(b), l.byte_table(c), l.byte_table(d)])
    }
}

impl<L: SumLanes> Weights<L> for Digits<L> {
    type X = [i8; 2 * CHUNK];
    type Loaded = L::DigitWeights;
    type Sums = Two<L::I>;
    const VALUES: usize = 2 * CHUNK;
    const AHEAD: usize = 12288;
    const ZEROS: Self::X = [0; 2 * CHUNK];

    #[inline(always)]
    fn column(x: &[i8]) -> &[Self::X] {
        x[x.len() / 2..].as_chunks().0
    }
    #[inline(always)]
    fn load(self, l: L, codes: &[u8]) -> Self::Loaded {
        l.digits(self.0, codes.try_into().unwrap())
    }
    #[inline(always)]
    fn dot(self, l: L, digits: Self::Loaded, x: &Self::X) -> Self::Sums {
        let [high, low] = l.dot_digits(digits, x);
        Two { high, low }
    }
}

/// High and low sums of 4 neighbours among the low nibbles of bytes and 4 among the high ones, compiled once and not once per level.
#[inline(never)]
pub(super) fn by_table(codes: &[u8; CHUNK], x: &[i8; 2 * CHUNK]) -> [[i32; LANES]; 2] {
    let (mut high, mut low) = ([0; LANES], [0; LANES]);
    let [x_low, x_high] = x.as_chunks::<CHUNK>().0 else { unreachable!() };
    let fours =
        codes.as_chunks::<4>().0.iter().zip(x_low.as_chunks::<4>().0.iter().zip(x_high.as_chunks::<4>().0));
    for ((high, low), (codes, (x_low, x_high))) in high.iter_mut().zip(&mut low).zip(fours) {
        let mut sum = 0;
        for (&code, (&x_low, &x_high)) in codes.iter().zip(x_low.iter().zip(x_high)) {
            sum += i64::from(VALUES[usize::from(code & 15)]) * i64::from(x_low);
            sum += i64::from(VALUES[usize::from(code >> 4)]) * i64::from(x_high);
        }
        (*high, *low) = ((sum >> LOW) as i32, (sum & ((1 << LOW) - 1)) as i32);
    }
    [high, low]
}
