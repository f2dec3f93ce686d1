//! E4M3 as whole numbers of its least one: magnitudes below 2^18, whose products with bytes are summed exactly.
//!
//! ```text
//! code 0 eeee mmm    M << s,   M = mmm, 8 more where eeee is not 0,   s = max(eeee, 1) - 1
//!
//! AVX-512            three bytes of the magnitude by lookups, as three sums: ((sum_2 << 8) + sum_1 << 8) + sum_0; a negative weight negates the activation
//! AVX2               (M * x) and 2^s are words, whose products are added in pairs (pmaddwd)
//! other levels       a table of all codes
//! ```
//!
//! A row with a NaN has NaN for all its results, so that is asked for once a row.

use super::lanes::SumLanes;
use super::weights::{Weights, in_order};
use crate::Element;
use crate::lanes::CHUNK;

/// Whether an element is E4M3, of either kind.
pub(super) fn is_fine(e: Element) -> bool {
    nan(e).is_some()
}

/// What makes the codes of NaN the largest byte: what is left of a code, and what is added to it.
const fn nan(e: Element) -> Option<(u8, u8)> {
    match e {
        Element::E4m3 => Some((0x7f, 0x80)),
        Element::E4m3Fnuz => Some((0xff, 0x7f)),
        _ => None,
    }
}

/// How a level looks magnitudes up.
pub(crate) struct Tables {
    /// Bytes of the magnitude of each code without its sign, the lowest first. The highest is 0xff for the NaN of OCP's E4M3.
    pub(crate) planes: [[u8; 128]; 3],
    /// By the exponent: what is added to a mantissa, and the two bytes of `2^s`.
    pub(crate) lead: [u8; 16],
    pub(crate) powers: [[u8; 16]; 2],
}

static OCP: Tables = Tables::new(0xff);
static FNUZ: Tables = Tables::new(3);

impl Tables {
    const fn new(highest_of_last: u8) -> Self {
        let mut tables = Self { planes: [[0; 128]; 3], lead: [8; 16], powers: [[0; 16]; 2] };
        tables.lead[0] = 0;
        let mut code = 0;
        while code < 128 {
            let (exponent, mantissa) = (code >> 3, code & 7);
            let shift = if exponent == 0 { 0 } else { exponent - 1 };
            let magnitude = (tables.lead[exponent] as u32 + mantissa as u32) << shift;
            let [low, middle, high, _] = magnitude.to_le_bytes();
            (tables.planes[0][code], tables.planes[1][code], tables.planes[2][code]) = (low, middle, high);
            let [low, high] = (1_u16 << shift).to_le_bytes();
            (tables.powers[0][exponent], tables.powers[1][exponent]) = (low, high);
            code += 1;
        }
        tables.planes[2][127] = highest_of_last;
        tables
    }
}

/// All codes of E4M3, in steps.
static VALUES: [i32; 256] = {
    let (mut values, mut code) = ([0; 256], 0);
    while code < 256 {
        let [low, middle, high] = &FNUZ.planes;
        let at = code % 128;
        let magnitude = i32::from_le_bytes([low[at], middle[at], high[at], 0]);
        values[code] = if code < 128 { magnitude } else { -magnitude };
        code += 1;
    }
    values
};

/// Codes by lookups, for activations that can all be negated.
#[derive(Clone, Copy)]
pub(super) struct Fine<L: SumLanes> {
    tables: L::Fine,
    any: Any,
}

impl<L: SumLanes> Fine<L> {
    #[inline(always)]
    pub(super) fn new(l: L, e: Element) -> Self {
        let tables = if e == Element::E4m3 { &OCP } else { &FNUZ };
        Self { tables: l.fine_tables(tables), any: Any::new(e) }
    }
}

impl<L: SumLanes> Weights<L> for Fine<L> {
    type X = [i8; CHUNK];
    type Loaded = L::FineWeights;
    type Sums = L::I;
    const VALUES: usize = CHUNK;
    const ZEROS: Self::X = [0; CHUNK];
    const NAN: bool = true;

    #[inline(always)]
    fn column(x: &[i8]) -> &[Self::X] {
        in_order(x)
    }
    #[inline(always)]
    fn load(self, l: L, codes: &[u8]) -> Self::Loaded {
        l.fine_weights(self.tables, codes.try_into().unwrap())
    }
    #[inline(always)]
    fn dot(self, l: L, weights: Self::Loaded, x: &Self::X) -> Self::Sums {
        l.fine_dot(weights, x)
    }
    #[inline(always)]
    fn see(self, l: L, seen: L::B, weights: Self::Loaded) -> L::B {
        l.max_bytes(seen, l.fine_nan(weights))
    }
    #[inline(always)]
    fn sees_nan(self) -> bool {
        self.any.left == 0x7f
    }
    #[inline(always)]
    fn is_nan(self, codes: &[u8]) -> bool {
        self.any.contains_nan(codes)
    }
}

/// Codes by a table, for any activations.
#[derive(Clone, Copy)]
pub(super) struct Any {
    left: u8,
    add: u8,
}

impl Any {
    pub(super) fn new(e: Element) -> Self {
        let (left, add) = nan(e).unwrap_or((0, 0));
        Self { left, add }
    }

    /// Without a way out, so that the compiler vectorises it.
    #[inline(always)]
    fn contains_nan(self, codes: &[u8]) -> bool {
        let mut largest = 0;
        for code in codes {
            largest = largest.max((code & self.left).wrapping_add(self.add));
        }
        largest == 0xff
    }
}

impl<L: SumLanes> Weights<L> for Any {
    type X = [i8; CHUNK];
    type Loaded = [u8; CHUNK];
    type Sums = L::I;
    const VALUES: usize = CHUNK;
    const ZEROS: Self::X = [0; CHUNK];
    const NAN: bool = true;

    #[inline(always)]
    fn column(x: &[i8]) -> &[Self::X] {
        in_order(x)
    }
    #[inline(always)]
    fn load(self, _: L, codes: &[u8]) -> Self::Loaded {
        codes.try_into().unwrap()
    }
    #[inline(always)]
    fn dot(self, l: L, weights: Self::Loaded, x: &Self::X) -> Self::Sums {
        l.ints(&by_table(&weights, x))
    }
    #[inline(always)]
    fn sees_nan(self) -> bool {
        false
    }
    #[inline(always)]
    fn is_nan(self, codes: &[u8]) -> bool {
        self.contains_nan(codes)
    }
}

/// Sums of four neighbours, compiled once and not once per level.
#[inline(never)]
pub(super) fn by_table(codes: &[u8; CHUNK], x: &[i8; CHUNK]) -> [i32; CHUNK / 4] {
    let mut sums = [0; CHUNK / 4];
    let fours = codes.as_chunks::<4>().0.iter().zip(x.as_chunks::<4>().0);
    for (sum, (codes, x)) in sums.iter_mut().zip(fours) {
        for (&code, &x) in codes.iter().zip(x) {
            *sum += VALUES[usize::from(code)] * i32::from(x);
        }
    }
    sums
}
