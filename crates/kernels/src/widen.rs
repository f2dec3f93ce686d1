//! f16, bf16 and E8M0 to f32 and back, and scales divided by a scale above them.

use crate::lanes::{CHUNK, LANES, Lanes};

/// Values that are converted at once.
pub(crate) const PAIR: usize = 2 * LANES;

/// The two floats of 16 bits.
#[derive(Clone, Copy)]
pub(crate) enum Half {
    F16,
    Bf16,
}

#[inline(always)]
pub(crate) fn widen_f16<L: Lanes>(l: L, x: &[[u16; PAIR]], out: &mut [[f32; PAIR]]) {
    for (x, out) in x.iter().zip(out) {
        store(l, l.load_f16(x), out);
    }
}

#[inline(always)]
pub(crate) fn widen_bf16<L: Lanes>(l: L, x: &[[u16; PAIR]], out: &mut [[f32; PAIR]]) {
    for (x, out) in x.iter().zip(out) {
        store(l, l.load_bf16(x), out);
    }
}

#[inline(always)]
fn store<L: Lanes>(l: L, [a, b]: [L::F; 2], out: &mut [f32; PAIR]) {
    let [low, high] = out.as_chunks_mut().0 else { unreachable!() };
    l.store(a, low);
    l.store(b, high);
}

#[inline(always)]
pub(crate) fn narrow_f16<L: Lanes>(l: L, x: &[[f32; PAIR]], out: &mut [[u16; PAIR]]) {
    for (x, out) in x.iter().zip(out) {
        let [a, b] = x.as_chunks().0 else { unreachable!() };
        l.store_u16([l.narrow_f16(l.load(a)), l.narrow_f16(l.load(b))], out);
    }
}

#[inline(always)]
pub(crate) fn narrow_bf16<L: Lanes>(l: L, x: &[[f32; CHUNK]], out: &mut [[u16; CHUNK]]) {
    for (x, out) in x.iter().zip(out) {
        let [a, b, c, d] = x.as_chunks().0 else { unreachable!() };
        l.store_bf16([l.load(a), l.load(b), l.load(c), l.load(d)], out);
    }
}

/// An E8M0 is the exponent field of an f32, but 0 is 2^-127, which is subnormal, and 255 is NaN.
#[inline(always)]
pub(crate) fn widen_e8m0<L: Lanes>(l: L, x: &[[u8; CHUNK]], out: &mut [[f32; CHUNK]]) {
    for (x, out) in x.iter().zip(out) {
        for (x, out) in e8m0(l, x).into_iter().zip(out.as_chunks_mut().0) {
            l.store(x, out);
        }
    }
}

/// One chunk.
#[inline(always)]
pub(crate) fn e8m0<L: Lanes>(l: L, x: &[u8; CHUNK]) -> [L::F; 4] {
    let (one, max) = (l.splat_bits(1), l.splat_bits(254));
    let (least, nan) = (l.splat_bits(1 << 22), l.splat_bits(f32::NAN.to_bits()));
    let mut values = [l.splat(0.0); 4];
    for (x, value) in l.widen(l.load_bytes(x)).into_iter().zip(&mut values) {
        let normal = x << (f32::MANTISSA_DIGITS - 1);
        let number = l.select(l.gt(one, x), least, normal);
        *value = l.float(l.select(l.gt(x, max), nan, number));
    }
    values
}

#[inline(always)]
pub(crate) fn divide<L: Lanes>(l: L, x: &mut [[f32; CHUNK]], by: f32) {
    let by = l.splat(by);
    for x in x.as_flattened_mut().as_chunks_mut().0 {
        l.store(l.load(x) / by, x);
    }
}
