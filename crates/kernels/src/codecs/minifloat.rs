//! Floats of few bits: one encoder and one decoder for every exponent and mantissa width, f16 included.
//!
//! Encoding lets the adder round. With `e` the exponent of `|x|`, not below the smallest normal one, and `M = 2^(e + 23 - m)`,
//! one step of the format is one unit in the last place of `M`, so the low bits of `|x| + M` count steps, rounded to
//! nearest even, subnormals included; what carries out of the mantissa lands in the exponent by itself:
//!
//! ```text
//! code = (bits(|x| + M) - bits(M)) + ((e - emin) << m)        |x| first clamped to the largest value
//! ```
//!
//! The low bits of `M` are 0, so `bits(|x| + M) + (e << m)` has the code in its lowest byte but for a constant: that and the sign are
//! added to sixty-four bytes at once.
//!
//! Decoding puts exponent and mantissa in their place in f32 and adds the difference of biases to the exponent field;
//! where the field is 0, it adds one more and subtracts `2^emin` as a float, which is exact. There is no product with a
//! subnormal f32 anywhere: those are slow on some machines and zero on others.

use crate::codecs::{Decoder, Encoder};
use crate::codes::unpack_lanes;
use crate::lanes::{CHUNK, Lanes};
use lowbit_scalar::{E4M3, FloatFormat, Specials};

const F32_MANTISSA: u32 = f32::MANTISSA_DIGITS - 1;
const F32_BIAS: i32 = f32::MAX_EXP - 1;
const F32_MAGNITUDE: u32 = u32::MAX >> 1;
const F32_INFINITY: u32 = f32::INFINITY.to_bits();
const F32_NAN: u32 = f32::NAN.to_bits();
const F16_NAN: u32 = 0x7e00;

/// The numbers that a format is made of.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) bits: u32,
    mantissa_bits: u32,
    bias: i32,
    /// What magnitudes are clamped to before they are rounded, as f32.
    pub(crate) clamp: f32,
    /// The largest magnitude code that is a finite number.
    pub(crate) max_code: u32,
    /// Whether `max_code + 1` is infinity.
    infinite: bool,
    /// Whether negative zero is NaN.
    pub(crate) fnuz: bool,
    pub(crate) signed: bool,
}

impl Layout {
    /// Saturates.
    #[inline(always)]
    pub(crate) const fn of(format: FloatFormat) -> Self {
        Self {
            bits: format.bits(),
            mantissa_bits: format.mantissa_bits,
            bias: format.bias,
            clamp: format.max(),
            max_code: format.max_code() as u32,
            infinite: format.infinity_code().is_some(),
            fnuz: matches!(format.specials, Specials::NanNegativeZero),
            signed: format.signed,
        }
    }

    pub(crate) const E4M3: Self = Self::of(E4M3::FORMAT);

    /// IEEE 754 binary16. Overflows to infinity: the clamp is the number after the largest one, and it has that code.
    pub(crate) const F16: Self = Self {
        bits: 16,
        mantissa_bits: 10,
        bias: 15,
        clamp: 65536.0,
        max_code: 0x7bff,
        infinite: true,
        fnuz: false,
        signed: true,
    };

    /// The exponent field in f32 of the smallest normal number, in place.
    pub(crate) const fn min_exponent(self) -> u32 {
        ((F32_BIAS + 1 - self.bias) as u32) << F32_MANTISSA
    }

    /// The sign bit of a code, or 0.
    pub(crate) const fn sign_code(self) -> u32 {
        (self.signed as u32) << (self.bits - 1)
    }

    /// The bits of a code's magnitude.
    const fn magnitude_code(self) -> u32 {
        (1 << (self.bits - self.signed as u32)) - 1
    }

    pub(crate) const fn shift(self) -> u32 {
        F32_MANTISSA - self.mantissa_bits
    }
}

/// Quotients to codes.
#[derive(Clone, Copy)]
pub(crate) struct MinifloatEncoder<L: Lanes> {
    layout: Layout,
    magnitude: L::U,
    clamp: L::U,
    exponent: L::U,
    min_exponent: L::U,
    magic: L::U,
    /// What is left to add to the lowest byte of `steps`.
    rebase: L::B,
    sign_code: L::B,
    /// 0x7f, which carries into the highest bit of a byte that is not 0.
    carry: L::B,
}

impl<L: Lanes> MinifloatEncoder<L> {
    #[inline(always)]
    pub(crate) fn new(l: L, layout: Layout) -> Self {
        Self {
            layout,
            magnitude: l.splat_bits(F32_MAGNITUDE),
            clamp: l.splat_bits(layout.clamp.to_bits()),
            exponent: l.splat_bits(F32_INFINITY),
            min_exponent: l.splat_bits(layout.min_exponent()),
            magic: l.splat_bits(layout.shift() << F32_MANTISSA),
            rebase: l.splat_byte(((layout.min_exponent() >> layout.shift()) as u8).wrapping_neg()),
            sign_code: l.splat_byte(layout.sign_code() as u8),
            carry: l.splat_byte(0x7f),
        }
    }

    /// The code of a magnitude plus `min_exponent >> shift`, in the bits below the mantissa's upper end: the others are in use.
    #[inline(always)]
    fn steps(self, l: L, bits: L::U) -> L::U {
        let clamped = l.min(bits & self.magnitude, self.clamp);
        let exponent = l.max(clamped & self.exponent, self.min_exponent);
        // The low bits of the magic number are 0, so those of the sum are the steps.
        l.bits(l.float(clamped) + l.float(exponent + self.magic)) + (exponent >> self.layout.shift())
    }

    /// One vector of f16. A NaN is positive.
    #[inline(always)]
    pub(crate) fn f16(self, l: L, x: L::F) -> L::U {
        let bits = l.bits(x);
        let rebase = l.splat_bits(self.layout.min_exponent() >> self.layout.shift());
        let code = (self.steps(l, bits) - rebase) & l.splat_bits(self.layout.magnitude_code());
        let signed = code | (bits >> u16::BITS & l.splat_bits(self.layout.sign_code()));
        let is_nan = l.gt(bits & self.magnitude, self.exponent);
        l.select(is_nan, l.splat_bits(F16_NAN), signed)
    }
}

impl<L: Lanes> Encoder<L> for MinifloatEncoder<L> {
    #[inline(always)]
    fn encode(self, l: L, x: [L::F; 4]) -> L::B {
        let [a, b, c, d] = x;
        let mut bits = [l.bits(a), l.bits(b), l.bits(c), l.bits(d)];
        if !self.layout.signed {
            // As signed integers negative numbers are below 0.
            let zero = l.splat_bits(0);
            for bits in &mut bits {
                *bits = l.max(*bits, zero);
            }
        }
        let [a, b, c, d] = bits;
        let steps = [self.steps(l, a), self.steps(l, b), self.steps(l, c), self.steps(l, d)];
        let code = l.add_bytes(l.bytes_at(steps, 0), self.rebase);
        let mut sign = l.and_bytes(l.bytes_at(bits, u32::BITS - self.layout.bits), self.sign_code);
        if self.layout.fnuz {
            // A zero has no sign: that would be NaN.
            sign = l.and_bytes(sign, l.add_bytes(code, self.carry));
        }
        l.xor_bytes(code, sign)
    }
}

/// Codes to values.
#[derive(Clone, Copy)]
pub(crate) struct MinifloatDecoder<L: Lanes> {
    layout: Layout,
    magnitude: L::U,
    rebias: L::U,
    one_exponent: L::U,
    hidden: L::U,
    min_positive: L::F,
    max_code: L::U,
    infinity_code: L::U,
    infinity: L::U,
    nan: L::U,
    sign_code: L::U,
}

impl<L: Lanes> MinifloatDecoder<L> {
    #[inline(always)]
    pub(crate) fn new(l: L, layout: Layout) -> Self {
        Self {
            layout,
            magnitude: l.splat_bits(layout.magnitude_code()),
            rebias: l.splat_bits(layout.min_exponent() - (1 << F32_MANTISSA)),
            one_exponent: l.splat_bits(1 << F32_MANTISSA),
            hidden: l.splat_bits(1 << layout.mantissa_bits),
            min_positive: l.splat(f32::from_bits(layout.min_exponent())),
            max_code: l.splat_bits(layout.max_code),
            infinity_code: l.splat_bits(layout.max_code + layout.infinite as u32),
            infinity: l.splat_bits(F32_INFINITY),
            nan: l.splat_bits(F32_NAN),
            sign_code: l.splat_bits(layout.sign_code()),
        }
    }

    /// One vector of codes, of which no bit above the width is set.
    #[inline(always)]
    pub(crate) fn vector(self, l: L, codes: L::U) -> L::F {
        let magnitude = codes & self.magnitude;
        let normal = (magnitude << self.layout.shift()) + self.rebias;
        let subnormal = l.bits(l.float(normal + self.one_exponent) - self.min_positive);
        let finite = l.select(l.gt(self.hidden, magnitude), subnormal, normal);
        let special = l.select(l.gt(magnitude, self.infinity_code), self.nan, self.infinity);
        let value = l.select(l.gt(magnitude, self.max_code), special, finite);
        let value = value | (codes & self.sign_code) << (u32::BITS - self.layout.bits);
        if !self.layout.fnuz {
            return l.float(value);
        }
        // The one NaN is the sign alone: the only code that, sign flipped, is less than 1.
        let is_nan = l.gt(l.splat_bits(1), codes ^ self.sign_code);
        l.float(l.select(is_nan, self.nan, value))
    }
}

impl<L: Lanes> Decoder<L> for MinifloatDecoder<L> {
    #[inline(always)]
    fn bytes(self) -> usize {
        CHUNK / 8 * self.layout.bits as usize
    }
    #[inline(always)]
    fn decode(self, l: L, codes: &[u8]) -> [L::F; 4] {
        let [a, b, c, d] = unpack_lanes(l, self.layout.bits, codes);
        [self.vector(l, a), self.vector(l, b), self.vector(l, c), self.vector(l, d)]
    }
}
