//! E4M3 as whole numbers of its least one: magnitudes below 2^18, whose products with bytes are summed exactly.
//!
//! ```text
//! AVX-512            three bytes of the magnitude by lookups, as three sums: ((sum_2 << 8) + sum_1 << 8) + sum_0; a negative weight negates the activation
//! AVX2               (M * x) and 2^s are words, whose products are added in pairs (pmaddwd)
//! other levels       a table of all codes
//! ```
//!
//! A row with a NaN has NaN for all its results, so a row is checked once.

use super::Weights;
use super::exact::One;
use crate::Element;
use crate::lanes::CHUNK;
use crate::product::lanes::SumLanes;
use crate::product::tables::{E4M3, E4M3_FNUZ, dot_e4m3};

/// Whether an element is E4M3, of either kind.
pub(crate) fn is_e4m3(e: Element) -> bool {
    nan(e).is_some()
}

/// What makes the codes of NaN the largest byte: the mask of a code, and what is added to it.
const fn nan(e: Element) -> Option<(u8, u8)> {
    match e {
        Element::E4m3 => Some((0x7f, 0x80)),
        Element::E4m3Fnuz => Some((0xff, 0x7f)),
        _ => None,
    }
}

/// Codes by lookups, for activations that can all be negated.
#[derive(Clone, Copy)]
pub(crate) struct E4m3<L: SumLanes> {
    tables: L::E4m3Tables,
    any_x: E4m3AnyX,
}

impl<L: SumLanes> E4m3<L> {
    #[inline(always)]
    pub(crate) fn new(l: L, e: Element) -> Self {
        let tables = if e == Element::E4m3 { &E4M3 } else { &E4M3_FNUZ };
        Self { tables: l.e4m3_tables(tables), any_x: E4m3AnyX::new(e) }
    }
}

impl<L: SumLanes> Weights<L> for E4m3<L> {
    type X = [i8; CHUNK];
    type Loaded = L::E4m3Weights;
    type Exact = One;
    const NAN: bool = true;

    #[inline(always)]
    fn load(self, l: L, codes: &[u8]) -> Self::Loaded {
        l.e4m3_weights(self.tables, codes.try_into().unwrap())
    }
    #[inline(always)]
    fn dot(self, l: L, weights: Self::Loaded, x: &Self::X) -> L::I {
        l.e4m3_dot(weights, x)
    }
    #[inline(always)]
    fn track_nan(self, l: L, largest: L::B, weights: Self::Loaded) -> L::B {
        l.max_bytes(largest, l.e4m3_nan(weights))
    }
    #[inline(always)]
    fn tracks_nan(self) -> bool {
        self.any_x.mask == 0x7f
    }
    #[inline(always)]
    fn has_nan(self, codes: &[u8]) -> bool {
        self.any_x.contains_nan(codes)
    }
}

/// Codes by a table, for any activations: -128, which has no negative, among them.
#[derive(Clone, Copy)]
pub(crate) struct E4m3AnyX {
    mask: u8,
    add: u8,
}

impl E4m3AnyX {
    pub(crate) fn new(e: Element) -> Self {
        let (mask, add) = nan(e).unwrap_or((0, 0));
        Self { mask, add }
    }

    /// The loop has no early exit, so that the compiler vectorises it.
    #[inline(always)]
    fn contains_nan(self, codes: &[u8]) -> bool {
        let mut largest = 0;
        for code in codes {
            largest = largest.max((code & self.mask).wrapping_add(self.add));
        }
        largest == 0xff
    }
}

impl<L: SumLanes> Weights<L> for E4m3AnyX {
    type X = [i8; CHUNK];
    type Loaded = [u8; CHUNK];
    type Exact = One;
    const NAN: bool = true;

    #[inline(always)]
    fn load(self, _: L, codes: &[u8]) -> Self::Loaded {
        codes.try_into().unwrap()
    }
    #[inline(always)]
    fn dot(self, l: L, weights: Self::Loaded, x: &Self::X) -> L::I {
        l.ints(&dot_e4m3(&weights, x))
    }
    #[inline(always)]
    fn tracks_nan(self) -> bool {
        false
    }
    #[inline(always)]
    fn has_nan(self, codes: &[u8]) -> bool {
        self.contains_nan(codes)
    }
}
