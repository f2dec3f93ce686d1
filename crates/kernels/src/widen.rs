//! f16 and bf16 to f32 and back, two vectors at a time.

use crate::encode::Encoder;
use crate::lanes::{LANES, Lanes};
use crate::minifloat::{Layout, MinifloatDecoder, MinifloatEncoder};

/// Values that are converted at once.
pub(crate) const PAIR: usize = 2 * LANES;

#[inline(always)]
pub(crate) fn widen_f16<L: Lanes>(l: L, x: &[[u16; PAIR]], out: &mut [[f32; PAIR]]) {
    let decoder = MinifloatDecoder::new(l, Layout::F16);
    for (x, out) in x.iter().zip(out) {
        for (x, out) in l.load_u16(x).into_iter().zip(out.as_chunks_mut().0) {
            l.store(decoder.decode(l, x), out);
        }
    }
}

/// A bf16 is the upper half of an f32.
#[inline(always)]
pub(crate) fn widen_bf16<L: Lanes>(l: L, x: &[[u16; PAIR]], out: &mut [[f32; PAIR]]) {
    for (x, out) in x.iter().zip(out) {
        for (x, out) in l.load_u16(x).into_iter().zip(out.as_chunks_mut().0) {
            l.store(l.float(x << u16::BITS), out);
        }
    }
}

#[inline(always)]
pub(crate) fn narrow_f16<L: Lanes>(l: L, x: &[[f32; PAIR]], out: &mut [[u16; PAIR]]) {
    let encoder = MinifloatEncoder::new(l, Layout::F16);
    for (x, out) in x.iter().zip(out) {
        let [a, b] = *x.as_chunks().0 else { unreachable!() };
        l.store_u16([encoder.encode(l, l.load(&a)), encoder.encode(l, l.load(&b))], out);
    }
}

/// Adding just under half a unit of the upper half, and one more if it is odd, rounds to nearest even.
#[inline(always)]
pub(crate) fn narrow_bf16<L: Lanes>(l: L, x: &[[f32; PAIR]], out: &mut [[u16; PAIR]]) {
    let (magnitude, infinity) = (l.splat_bits(u32::MAX >> 1), l.splat_bits(f32::INFINITY.to_bits()));
    let (one, under_half) = (l.splat_bits(1), l.splat_bits(0x7fff));
    let nan = l.splat_bits(f32::NAN.to_bits() >> u16::BITS);
    for (x, out) in x.iter().zip(out) {
        let mut halves = [nan; 2];
        for (x, half) in x.as_chunks().0.iter().zip(&mut halves) {
            let bits = l.bits(l.load(x));
            let odd = (bits >> u16::BITS) & one;
            let rounded = (bits + under_half + odd) >> u16::BITS;
            *half = l.select(l.gt(bits & magnitude, infinity), nan, rounded);
        }
        l.store_u16(halves, out);
    }
}
