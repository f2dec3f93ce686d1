//! Largest magnitudes and extremes of blocks, and the search for what is not finite.
//!
//! Everything is compared as an integer, which has no NaN rules. Magnitudes are their bits. In the total order of IEEE 754 positive
//! numbers rise with their bits and negative ones fall, so two maxima know both ends of a block of both signs, and
//! one end of the few others takes a second look at the block:
//!
//! ```text
//! largest signed integer     the maximum, if it is not negative      else all are, and the maximum is the least unsigned integer
//! largest unsigned integer   the minimum, if it is negative          else none is, and the minimum is the least unsigned integer
//! ```

mod reduce;
mod widened;

pub(crate) use widened::widened;

use crate::lanes::{CHUNK, LANES, Lanes, apart};
use reduce::{Ends, Magnitude, folded, of_block, reduce};

/// `max |x|` of each block.
#[inline(always)]
pub(crate) fn absmax<L: Lanes>(l: L, x: &[f32], block: usize, out: &mut [f32]) {
    match block {
        // Code of its own for the block lengths of NVFP4, the MX formats and NF4 pays.
        16 => apart!(l, short::<_, 16>(l, x, out)),
        32 => apart!(l, short::<_, 32>(l, x, out)),
        64 if !L::COMPACT => apart!(l, short::<_, 64>(l, x, out)),
        _ => apart!(l, reduce(l, x, block, Magnitude, [out])),
    }
}

/// Blocks of `BLOCK` values, sixteen at a time.
#[inline(always)]
fn short<L: Lanes, const BLOCK: usize>(l: L, x: &[f32], out: &mut [f32]) {
    let (blocks, _) = x.as_chunks::<BLOCK>();
    let (groups, _) = blocks.as_chunks::<LANES>();
    let (results, left) = out.split_at_mut(groups.len() * LANES);
    for (x, out) in groups.iter().zip(results.as_chunks_mut::<LANES>().0) {
        let [amax] = folded(
            l,
            Magnitude,
            #[inline(always)]
            |i| [of_block(l, &x[i], Magnitude), of_block(l, &x[i + 1], Magnitude)],
        );
        l.store(l.float(amax), out);
    }
    if !left.is_empty() {
        reduce(l, &x[groups.len() * LANES * BLOCK..], BLOCK, Magnitude, [left]);
    }
}

/// The least and the largest value of each block, in the IEEE 754 total order.
#[inline(always)]
pub(crate) fn min_max<L: Lanes>(l: L, x: &[f32], block: usize, min: &mut [f32], max: &mut [f32]) {
    reduce(l, x, block, Ends, [&mut *min, &mut *max]);
    for ((x, min), max) in x.chunks(block).zip(min).zip(max) {
        if min.is_sign_positive() {
            *min = least_unsigned(l, x);
        } else if max.is_sign_negative() {
            *max = least_unsigned(l, x);
        }
    }
}

/// The value nearest to zero of a block of one sign.
#[inline(always)]
fn least_unsigned<L: Lanes>(l: L, x: &[f32]) -> f32 {
    let (vectors, rest) = x.as_chunks::<LANES>();
    let mut least = l.splat_bits(u32::MAX);
    for x in vectors {
        least = l.min_unsigned(least, l.bits(l.load(x)));
    }
    let mut lanes = [0.0; LANES];
    l.store(l.float(least), &mut lanes);
    let least = lanes.iter().chain(rest).fold(u32::MAX, |least, x| least.min(x.to_bits()));
    f32::from_bits(least)
}

/// The least magnitude, infinity at most, and the largest one, as bits.
#[inline(always)]
pub(crate) fn magnitude_range<L: Lanes>(l: L, x: &[[f32; LANES]]) -> (u32, u32) {
    let magnitude = l.splat_bits(u32::MAX >> 1);
    let (mut least, mut largest) = (l.splat_bits(f32::INFINITY.to_bits()), l.splat_bits(0));
    for x in x {
        let bits = l.bits(l.load(x)) & magnitude;
        (least, largest) = (l.min(least, bits), l.max(largest, bits));
    }
    let [mut lows, mut highs] = [[0.0; LANES]; 2];
    l.store(l.float(least), &mut lows);
    l.store(l.float(largest), &mut highs);
    let least = lows.into_iter().fold(u32::MAX, |least, x| least.min(x.to_bits()));
    (least, highs.into_iter().fold(0, |largest, x| largest.max(x.to_bits())))
}

/// The index of the first chunk with an infinity or a NaN.
#[inline(always)]
pub(crate) fn first_non_finite<L: Lanes>(l: L, x: &[[f32; CHUNK]]) -> Option<usize> {
    let (magnitude, finite) = (l.splat_bits(u32::MAX >> 1), l.splat_bits(f32::MAX.to_bits()));
    x.iter().position(
        #[inline(always)]
        |x| {
            let mut max = l.splat_bits(0);
            for x in x.as_chunks().0 {
                max = l.max(max, l.bits(l.load(x)) & magnitude);
            }
            l.any(l.gt(max, finite))
        },
    )
}
