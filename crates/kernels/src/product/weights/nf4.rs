//! NF4 as whole numbers of 2^-27, none of which is above 2^27: four digits of seven bits, whose products with bytes are summed exactly.
//!
//! ```text
//! high = sum(d3 * x) * 2^7 + sum(d2 * x)      low = sum(d1 * x) * 2^7 + sum(d0 * x)
//! ```
//!
//! The offset adds `2^27 * sum(x)`, which is `2^13 * sum(x)` of the high sums. Two products of digits and bytes fit 16 bits, which is what AVX2 sums
//! them in.

use super::Weights;
use super::exact::Two;
use crate::lanes::CHUNK;
use crate::product::lanes::SumLanes;
use crate::product::tables::{NF4, NF4_DIGITS};

/// Codes of NF4.
#[derive(Clone, Copy)]
pub(crate) struct Nf4<L: SumLanes>([L::Bytes; NF4_DIGITS]);

impl<L: SumLanes> Nf4<L> {
    #[inline(always)]
    pub(crate) fn new(l: L) -> Self {
        let [a, b, c, d] = const { &NF4 };
        Self([l.byte_table(a), l.byte_table(b), l.byte_table(c), l.byte_table(d)])
    }
}

impl<L: SumLanes> Weights<L> for Nf4<L> {
    type X = [i8; 2 * CHUNK];
    type Loaded = [[L::B; 2]; NF4_DIGITS];
    type Exact = Two;

    #[inline(always)]
    fn load(self, l: L, codes: &[u8]) -> Self::Loaded {
        let ([a, b, c, d], codes) = (self.0, codes.try_into().unwrap());
        [l.halves(a, codes), l.halves(b, codes), l.halves(c, codes), l.halves(d, codes)]
    }
    #[inline(always)]
    fn dot(self, l: L, [d0, d1, d2, d3]: Self::Loaded, x: &Self::X) -> [L::I; 2] {
        [l.dot_digits(d3, d2, x), l.dot_digits(d1, d0, x)]
    }
}
