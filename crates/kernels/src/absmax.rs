//! Largest magnitudes and extremes of blocks, and the search for what is not finite.
//!
//! Sixteen blocks are reduced together: lane by lane to one vector per block, and then four rounds of pairwise maxima turn
//! sixteen vectors into one, whose lanes are the results in order. No block is reduced alone, which would cost as much
//! as the rest of the work.
//!
//! ```text
//! a0 … a15, b0 … b15  ->  max(a0, a1) … max(a14, a15), max(b0, b1) … max(b14, b15)       one of 8 + 4 + 2 + 1 steps
//! ```
//!
//! Everything is compared as an integer, which has no NaN rules: magnitudes by their bits, numbers by a [`Key`].

use crate::lanes::{CHUNK, LANES, Lanes};

/// Bits of an f32 to a signed integer of which the largest is wanted, and back.
trait Key: Copy {
    /// Whether code of its own for the block lengths of NVFP4 and the MX formats pays.
    const UNROLLED: bool = false;
    fn key<L: Lanes>(self, l: L, bits: L::U) -> L::U;
    fn back<L: Lanes>(self, l: L, key: L::U) -> L::U;
}

#[derive(Clone, Copy)]
struct Magnitude;

impl Key for Magnitude {
    const UNROLLED: bool = true;
    #[inline(always)]
    fn key<L: Lanes>(self, l: L, bits: L::U) -> L::U {
        bits & l.splat_bits(u32::MAX >> 1)
    }
    #[inline(always)]
    fn back<L: Lanes>(self, _: L, key: L::U) -> L::U {
        key
    }
}

/// The IEEE 754 total order.
#[derive(Clone, Copy)]
struct Ascending;

impl Key for Ascending {
    /// Negative numbers have their magnitude inverted.
    #[inline(always)]
    fn key<L: Lanes>(self, l: L, bits: L::U) -> L::U {
        let negative = l.splat_bits(0) - (bits >> 31);
        bits ^ (negative >> 1)
    }
    #[inline(always)]
    fn back<L: Lanes>(self, l: L, key: L::U) -> L::U {
        self.key(l, key)
    }
}

/// The opposite of [`Ascending`].
#[derive(Clone, Copy)]
struct Descending;

impl Key for Descending {
    #[inline(always)]
    fn key<L: Lanes>(self, l: L, bits: L::U) -> L::U {
        Ascending.key(l, bits) ^ l.splat_bits(u32::MAX)
    }
    #[inline(always)]
    fn back<L: Lanes>(self, l: L, key: L::U) -> L::U {
        Ascending.back(l, key ^ l.splat_bits(u32::MAX))
    }
}

/// `max |x|` of each block.
#[inline(always)]
pub(crate) fn absmax<L: Lanes>(l: L, x: &[f32], block: usize, out: &mut [f32]) {
    reduce(l, x, block, Magnitude, out);
}

/// The least and the largest value of each block, in the IEEE 754 total order.
#[inline(always)]
pub(crate) fn min_max<L: Lanes>(l: L, x: &[f32], block: usize, min: &mut [f32], max: &mut [f32]) {
    // Both passes over sixteen blocks while they are in the cache.
    let group = block.saturating_mul(LANES);
    for ((x, min), max) in x.chunks(group).zip(min.chunks_mut(LANES)).zip(max.chunks_mut(LANES)) {
        reduce(l, x, block, Descending, min);
        reduce(l, x, block, Ascending, max);
    }
}

/// The largest key of each block, turned back into an f32.
#[inline(always)]
fn reduce<L: Lanes, K: Key>(l: L, x: &[f32], block: usize, order: K, out: &mut [f32]) {
    let group = block.saturating_mul(LANES);
    let whole = x.len() / group;
    let (x, rest) = x.split_at(whole * group);
    let (out, out_rest) = out.split_at_mut(whole * LANES);
    match block {
        16 if K::UNROLLED => groups(l, x, 16, order, out),
        32 if K::UNROLLED => groups(l, x, 32, order, out),
        _ => groups(l, x, block, order, out),
    }
    if !rest.is_empty() {
        let mut v = [l.splat_bits(0); LANES];
        for (x, v) in rest.chunks(block).zip(&mut v) {
            *v = largest(l, x, order);
        }
        let mut results = [0.0; LANES];
        l.store(l.float(order.back(l, transpose_max(l, v))), &mut results);
        out_rest.copy_from_slice(&results[..out_rest.len()]);
    }
}

/// [`reduce`] for groups of sixteen whole blocks.
#[inline(always)]
fn groups<L: Lanes>(l: L, x: &[f32], block: usize, order: impl Key, out: &mut [f32]) {
    for (x, out) in x.chunks_exact(block.saturating_mul(LANES)).zip(out.as_chunks_mut().0) {
        let mut v = [l.splat_bits(0); LANES];
        for (x, v) in x.chunks_exact(block).zip(&mut v) {
            *v = largest(l, x, order);
        }
        l.store(l.float(order.back(l, transpose_max(l, v))), out);
    }
}

/// Lane `i` of the result is the largest lane of vector `i`.
#[inline(always)]
fn transpose_max<L: Lanes>(l: L, mut v: [L::U; LANES]) -> L::U {
    for width in [8, 4, 2, 1] {
        for i in 0..width {
            v[i] = l.pair_max(v[2 * i], v[2 * i + 1]);
        }
    }
    v[0]
}

/// The largest key of each lane of one block.
#[inline(always)]
fn largest<L: Lanes>(l: L, x: &[f32], order: impl Key) -> L::U {
    let (vectors, rest) = x.as_chunks::<LANES>();
    // Idle lanes repeat a value of the block.
    let mut max = order.key(l, l.splat_bits(x[0].to_bits()));
    for x in vectors {
        max = l.max(max, order.key(l, l.bits(l.load(x))));
    }
    if !rest.is_empty() {
        let mut last = [x[0]; LANES];
        last[..rest.len()].copy_from_slice(rest);
        max = l.max(max, order.key(l, l.bits(l.load(&last))));
    }
    max
}

/// Whether each chunk is finite: the index of the first one that is not.
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
