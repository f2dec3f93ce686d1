//! Tables of the elements that are summed exactly though they are no small integers: E4M3 and NF4.
//!
//! ```text
//! E4M3    code 0 eeee mmm    M << s steps,   M = mmm, 8 more where eeee is not 0,   s = max(eeee, 1) - 1
//! NF4     (value + 1) * 2^27 = ((d3 * 2^7 + d2) * 2^7 + d1) * 2^7 + d0        d3 is 128 for 1.0, all others are below
//! ```

use crate::Element;
use crate::lanes::CHUNK;

/// The magnitudes of E4M3 in the forms that levels look up.
pub(crate) struct E4m3Tables {
    /// Bytes of the magnitude of each code without its sign, the lowest first. The highest is 0xff for the NaN of OCP's E4M3.
    pub(crate) planes: [[u8; 128]; 3],
    /// By the exponent: what is added to a mantissa.
    pub(crate) lead: [u8; 16],
    /// By the exponent: the two bytes of `2^s`.
    pub(crate) powers: [[u8; 16]; 2],
}

/// E4M3 of OCP.
pub(super) static E4M3: E4m3Tables = E4m3Tables::new(0xff);
/// E4M3 without a negative zero.
pub(super) static E4M3_FNUZ: E4m3Tables = E4m3Tables::new(3);

impl E4m3Tables {
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
static E4M3_STEPS: [i32; 256] = {
    let (mut values, mut code) = ([0; 256], 0);
    while code < 256 {
        let [low, middle, high] = &E4M3_FNUZ.planes;
        let at = code % 128;
        let magnitude = i32::from_le_bytes([low[at], middle[at], high[at], 0]);
        values[code] = if code < 128 { magnitude } else { -magnitude };
        code += 1;
    }
    values
};

/// Sums of four neighbouring products of E4M3 with any bytes, compiled once and not once per level.
#[inline(never)]
pub(crate) fn dot_e4m3(codes: &[u8; CHUNK], x: &[i8; CHUNK]) -> [i32; CHUNK / 4] {
    let mut sums = [0; CHUNK / 4];
    let fours = codes.as_chunks::<4>().0.iter().zip(x.as_chunks::<4>().0);
    for (sum, (codes, x)) in sums.iter_mut().zip(fours) {
        for (&code, &x) in codes.iter().zip(x) {
            *sum += E4M3_STEPS[usize::from(code)] * i32::from(x);
        }
    }
    sums
}

/// Digits of a value of NF4.
pub(super) const NF4_DIGITS: usize = 4;
/// Bits of a digit.
pub(crate) const DIGIT_BITS: u32 = 7;
/// Bits of the largest magnitude of NF4, in steps.
pub(super) const NF4_BITS: u32 = 27;

/// Digits of NF4 by code, the lowest first.
pub(super) const NF4: [[u8; 16]; NF4_DIGITS] = {
    let (mut tables, mut at) = ([[0; 16]; NF4_DIGITS], 0);
    while at < 16 * NF4_DIGITS {
        let (digit, code) = (at / 16, at % 16);
        let steps = Element::Nf4.decode_one(code as u8) * (1 << NF4_BITS) as f32;
        assert!(steps as i32 as f32 == steps);
        let above = (steps as i32 + (1 << NF4_BITS)) as u32 >> (digit as u32 * DIGIT_BITS);
        tables[digit][code] = if digit + 1 < NF4_DIGITS { above as u8 & 0x7f } else { above as u8 };
        at += 1;
    }
    tables
};
