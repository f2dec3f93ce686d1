//! How far sixteen blocks are from what E2M1 makes of them, under one scale after the other: what a search for scales asks.
//!
//! The blocks lie side by side, a block to a lane, so that nothing is summed across lanes and each has a scale of its own.
//!
//! ```text
//! error = s^2 sum_k w_k (y_k - r_k)^2      y = |x| (1 / |s|)     r = nearest of 0, 0.5, 1, 1.5, 2, 3, 4, 6
//!
//! every operation one f32 rounding      terms 0, 4, 8 …, 1, 5, 9 …, 2, 6, 10 … and 3, 7, 11 … in four sums, then (S0 + S1) + (S2 + S3)
//! ```
//!
//! The step between neighbouring values at y is half the power of two below y, at least 1/2; adding and subtracting 1.5 2^23 steps rounds to
//! multiples of it.

use crate::lanes::{LANES, Lanes};

/// The exponent of an f32.
const EXPONENT: u32 = 0x7f80_0000;
/// Times a power of two: 1.5 2^22, added to its bits.
const MAGIC: u32 = 22 << 23 | 1 << 22;
/// The largest value of E2M1.
const MAX: f32 = 6.0;
/// Sums of a block.
const SUMS: usize = 4;

/// The error of each block under each of its scales.
#[inline(always)]
pub(crate) fn e2m1<L: Lanes>(
    l: L,
    x: &[[f32; LANES]],
    weights: Option<&[[f32; LANES]]>,
    scales: &[[f32; LANES]],
    errors: &mut [[f32; LANES]],
) {
    for (scale, error) in scales.iter().zip(errors) {
        let scale = l.load(scale);
        let inverse = l.splat(1.0) / magnitude(l, scale);
        let mut sums = [l.splat(0.0); SUMS];
        match weights {
            None => {
                for (k, x) in x.iter().enumerate() {
                    let e = distance(l, l.load(x), inverse);
                    sums[k % SUMS] = sums[k % SUMS] + e * e;
                }
            }
            Some(weights) => {
                for (k, (x, weight)) in x.iter().zip(weights).enumerate() {
                    let e = distance(l, l.load(x), inverse);
                    sums[k % SUMS] = sums[k % SUMS] + e * e * l.load(weight);
                }
            }
        }
        let sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
        l.store(sum * (scale * scale), error);
    }
}

/// y - r.
#[inline(always)]
fn distance<L: Lanes>(l: L, x: L::F, inverse: L::F) -> L::F {
    let y = magnitude(l, x) * inverse;
    // Magnitudes compare as integers.
    let at_least_one = l.max(l.bits(y), l.splat_bits(1.0f32.to_bits()));
    let magic = l.float((at_least_one & l.splat_bits(EXPONENT)) + l.splat_bits(MAGIC));
    let nearest = (y + magic) - magic;
    y - l.float(l.min(l.bits(nearest), l.splat_bits(MAX.to_bits())))
}

#[inline(always)]
fn magnitude<L: Lanes>(l: L, x: L::F) -> L::F {
    l.float(l.bits(x) & l.splat_bits(u32::MAX >> 1))
}
