//! Integers of 1 to 8 bits, signed or not, and MXINT8: steps of a fixed size, clamped.
//!
//! Rounding is the adder's: `x + 1.5 * 2^(23 + s)` has a last place worth `2^s`, one step, and its low bits are the step
//! count in two's complement. Decoding goes the other way: the low bits of `2^23` are the code, and the difference to `2^23`
//! is its value.

use crate::Element;
use crate::codecs::{Decoder, Encoder};
use crate::codes::unpack_lanes;
use crate::lanes::{CHUNK, Lanes};

/// `2^23`, the first f32 whose last place is worth 1.
const UNIT: f32 = (1 << (f32::MANTISSA_DIGITS - 1)) as f32;

/// The distance between two neighbouring values.
fn step(e: Element) -> f32 {
    e.step().expect("evenly spaced values")
}

/// Quotients to codes.
#[derive(Clone, Copy)]
pub(crate) struct IntEncoder<L: Lanes> {
    min: L::F,
    max: L::F,
    magic: L::F,
    mask: L::B,
}

impl<L: Lanes> IntEncoder<L> {
    #[inline(always)]
    pub(crate) fn new(l: L, e: Element) -> Self {
        Self {
            min: l.splat(e.min()),
            max: l.splat(e.max()),
            magic: l.splat(1.5 * UNIT * step(e)),
            mask: l.splat_byte(u8::MAX >> (u8::BITS - e.bits())),
        }
    }

    #[inline(always)]
    fn rounded(self, l: L, x: L::F) -> L::U {
        l.bits(l.clamp(x, self.min, self.max) + self.magic)
    }
}

impl<L: Lanes> Encoder<L> for IntEncoder<L> {
    #[inline(always)]
    fn encode(self, l: L, x: [L::F; 4]) -> L::B {
        let [a, b, c, d] = x;
        let rounded = [self.rounded(l, a), self.rounded(l, b), self.rounded(l, c), self.rounded(l, d)];
        l.and_bytes(l.bytes_at(rounded, 0), self.mask)
    }
}

/// Codes to values.
#[derive(Clone, Copy)]
pub(crate) struct IntDecoder<L: Lanes> {
    bits: u32,
    sign_code: L::U,
    unit: L::U,
    origin: L::F,
    step: L::F,
}

impl<L: Lanes> IntDecoder<L> {
    #[inline(always)]
    pub(crate) fn new(l: L, e: Element) -> Self {
        // Flipping the sign bit of two's complement adds half the range, which the origin takes away.
        let sign_code = if e.is_signed() { 1 << (e.bits() - 1) } else { 0 };
        Self {
            bits: e.bits(),
            sign_code: l.splat_bits(sign_code),
            unit: l.splat_bits(UNIT.to_bits()),
            origin: l.splat(UNIT + sign_code as f32),
            step: l.splat(step(e)),
        }
    }

    #[inline(always)]
    fn vector(self, l: L, codes: L::U) -> L::F {
        (l.float((codes ^ self.sign_code) | self.unit) - self.origin) * self.step
    }
}

impl<L: Lanes> Decoder<L> for IntDecoder<L> {
    #[inline(always)]
    fn bytes(self) -> usize {
        CHUNK / 8 * self.bits as usize
    }
    #[inline(always)]
    fn decode(self, l: L, codes: &[u8]) -> [L::F; 4] {
        let [a, b, c, d] = unpack_lanes(l, self.bits, codes);
        [self.vector(l, a), self.vector(l, b), self.vector(l, c), self.vector(l, d)]
    }
}
