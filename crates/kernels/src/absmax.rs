//! Largest magnitudes and extremes of blocks, and the search for what is not finite.
//!
//! Sixteen blocks are reduced together: lane by lane to one vector per block, and then four rounds of pairwise maxima turn
//! sixteen vectors into one, whose lanes are the results in order. No block is reduced alone, which would cost as much
//! as the rest of the work. Vectors are joined as soon as there are two, so that few are in registers at a time.
//!
//! ```text
//! a0 … a15, b0 … b15  ->  max(a0, a1) … max(a14, a15), max(b0, b1) … max(b14, b15)       one of 8 + 4 + 2 + 1 steps
//! ```
//!
//! Which lanes meet in a step is what a level does best.
//!
//! Everything is compared as an integer, which has no NaN rules. Magnitudes are their bits. In the total order of IEEE 754 positive
//! numbers rise with their bits and negative ones fall, so two maxima know both ends of a block of both signs, and
//! one end of the few others takes a second look at the block:
//!
//! ```text
//! largest signed integer     the maximum, if it is not negative      else all are, and the maximum is the least unsigned integer
//! largest unsigned integer   the minimum, if it is negative          else none is, and the minimum is the least unsigned integer
//! ```

use crate::lanes::{CHUNK, LANES, Lanes, apart};
use crate::widen::{Half, PAIR};

/// `N` vectors that stand for the values seen so far, and `M` results in the end.
trait Reduction<L: Lanes, const N: usize, const M: usize>: Copy {
    /// What changes nothing that it is joined with.
    fn none(self, l: L) -> [L::U; N];
    fn of(self, l: L, bits: L::U) -> [L::U; N];
    fn join(self, l: L, a: [L::U; N], b: [L::U; N]) -> [L::U; N];
    fn results(self, l: L, seen: [L::U; N]) -> [L::U; M];
}

#[derive(Clone, Copy)]
struct Magnitude;

impl<L: Lanes> Reduction<L, 1, 1> for Magnitude {
    #[inline(always)]
    fn none(self, l: L) -> [L::U; 1] {
        [l.splat_bits(0)]
    }
    #[inline(always)]
    fn of(self, l: L, bits: L::U) -> [L::U; 1] {
        [bits & l.splat_bits(u32::MAX >> 1)]
    }
    #[inline(always)]
    fn join(self, l: L, [a]: [L::U; 1], [b]: [L::U; 1]) -> [L::U; 1] {
        [l.max(a, b)]
    }
    #[inline(always)]
    fn results(self, _: L, seen: [L::U; 1]) -> [L::U; 1] {
        seen
    }
}

/// Largest unsigned and largest signed integer: the least and the largest value where a block has both signs.
#[derive(Clone, Copy)]
struct Ends;

impl<L: Lanes> Reduction<L, 2, 2> for Ends {
    #[inline(always)]
    fn none(self, l: L) -> [L::U; 2] {
        [l.splat_bits(0), l.splat_bits(i32::MIN as u32)]
    }
    #[inline(always)]
    fn of(self, _: L, bits: L::U) -> [L::U; 2] {
        [bits; 2]
    }
    #[inline(always)]
    fn join(self, l: L, a: [L::U; 2], b: [L::U; 2]) -> [L::U; 2] {
        [l.max_unsigned(a[0], b[0]), l.max(a[1], b[1])]
    }
    #[inline(always)]
    fn results(self, _: L, seen: [L::U; 2]) -> [L::U; 2] {
        seen
    }
}

/// `max |x|` of each block.
#[inline(always)]
pub(crate) fn absmax<L: Lanes>(l: L, x: &[f32], block: usize, out: &mut [f32]) {
    match block {
        // Code of its own for the block lengths of NVFP4, the MX formats and NF4 pays.
        16 => apart!(l, short::<_, 16>(l, x, out)),
        32 => apart!(l, short::<_, 32>(l, x, out)),
        64 if !l.is_compact() => apart!(l, short::<_, 64>(l, x, out)),
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
            |i| [seen(l, &x[i], Magnitude), seen(l, &x[i + 1], Magnitude)],
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

#[inline(always)]
fn reduce<L: Lanes, const N: usize, const M: usize>(
    l: L,
    x: &[f32],
    block: usize,
    of: impl Reduction<L, N, M>,
    mut out: [&mut [f32]; M],
) {
    let group = block.saturating_mul(LANES);
    let mut groups = x.chunks_exact(group);
    let mut at = 0;
    for x in &mut groups {
        let mut v = [[l.splat_bits(0); N]; LANES];
        for (x, v) in x.chunks_exact(block).zip(&mut v) {
            *v = seen(l, x, of);
        }
        for (out, result) in out.iter_mut().zip(of_vectors(l, v, of)) {
            l.store(l.float(result), out[at..].first_chunk_mut().unwrap());
        }
        at += LANES;
    }
    let rest = groups.remainder();
    if !rest.is_empty() {
        let mut v = [[l.splat_bits(0); N]; LANES];
        for (x, v) in rest.chunks(block).zip(&mut v) {
            *v = seen(l, x, of);
        }
        for (out, result) in out.iter_mut().zip(of_vectors(l, v, of)) {
            let mut results = [0.0; LANES];
            l.store(l.float(result), &mut results);
            let out = &mut out[at..];
            out.copy_from_slice(&results[..out.len()]);
        }
    }
}

/// Halves to f32, and `max |x|` of each block, of one vector or of whole pairs: what is widened is looked at before it is stored.
/// Leaves the last few of short blocks and a block that is not whole, and returns how many it has done.
#[inline(always)]
pub(crate) fn widened<L: Lanes>(
    l: L,
    half: Half,
    x: &[u16],
    block: usize,
    wide: &mut [f32],
    out: &mut [f32],
) -> usize {
    let group = match block {
        // The same lengths have code of their own as above.
        16 | 32 => 16 * block,
        _ => block,
    };
    let whole = x.len() - x.len() % group;
    let (x, wide, out) = (&x[..whole], &mut wide[..whole], &mut out[..whole / block]);
    match half {
        Half::Bf16 => widened_blocks(
            l,
            x,
            block,
            #[inline(always)]
            |x| l.load_bf16(x),
            wide,
            out,
        ),
        Half::F16 => widened_blocks(
            l,
            x,
            block,
            #[inline(always)]
            |x| l.load_f16(x),
            wide,
            out,
        ),
    }
    out.len()
}

#[inline(always)]
fn widened_blocks<L: Lanes>(
    l: L,
    x: &[u16],
    block: usize,
    load: impl Fn(&[u16; PAIR]) -> [L::F; 2] + Copy,
    wide: &mut [f32],
    out: &mut [f32],
) {
    match block {
        16 => apart!(l, widened_short::<_, 256>(l, x, load, wide, out)),
        32 => apart!(l, widened_short::<_, 512>(l, x, load, wide, out)),
        _ => apart!(l, widened_long(l, x, block, load, wide, out)),
    }
}

/// Blocks of any number of pairs.
#[inline(always)]
fn widened_long<L: Lanes>(
    l: L,
    x: &[u16],
    block: usize,
    load: impl Fn(&[u16; PAIR]) -> [L::F; 2] + Copy,
    wide: &mut [f32],
    out: &mut [f32],
) {
    let group = block.saturating_mul(LANES);
    for ((x, wide), out) in x.chunks(group).zip(wide.chunks_mut(group)).zip(out.chunks_mut(LANES)) {
        let mut v = [[l.splat_bits(0)]; LANES];
        let blocks = x.chunks_exact(block).zip(wide.chunks_exact_mut(block));
        for ((x, wide), v) in blocks.zip(&mut v) {
            let mut seen = [l.splat_bits(0); 2];
            for (x, wide) in x.as_chunks().0.iter().zip(wide.as_chunks_mut().0) {
                let [a, b] = widened_pair(l, load(x), wide);
                seen = [l.max(seen[0], a), l.max(seen[1], b)];
            }
            *v = [l.max(seen[0], seen[1])];
        }
        let [amax] = of_vectors(l, v, Magnitude);
        let mut results = [0.0; LANES];
        l.store(l.float(amax), &mut results);
        out.copy_from_slice(&results[..out.len()]);
    }
}

/// Sixteen blocks at a time.
#[inline(always)]
fn widened_short<L: Lanes, const GROUP: usize>(
    l: L,
    x: &[u16],
    load: impl Fn(&[u16; PAIR]) -> [L::F; 2] + Copy,
    wide: &mut [f32],
    out: &mut [f32],
) {
    let groups = x.as_chunks::<GROUP>().0.iter().zip(wide.as_chunks_mut::<GROUP>().0);
    for ((x, wide), out) in groups.zip(out.as_chunks_mut().0) {
        let (x, wide) = (x.as_chunks().0, wide.as_chunks_mut().0);
        let [amax] = folded(
            l,
            Magnitude,
            #[inline(always)]
            |i| {
                if GROUP == LANES * LANES {
                    let [a, b] = widened_pair(l, load(&x[i / 2]), &mut wide[i / 2]);
                    return [[a], [b]];
                }
                let mut both = [[l.splat_bits(0)]; 2];
                for (at, seen) in (i..).zip(&mut both) {
                    let [a, b] = widened_pair(l, load(&x[at]), &mut wide[at]);
                    *seen = [l.max(a, b)];
                }
                both
            },
        );
        l.store(l.float(amax), out);
    }
}

/// Stores two vectors and returns their magnitudes.
#[inline(always)]
fn widened_pair<L: Lanes>(l: L, [a, b]: [L::F; 2], wide: &mut [f32; PAIR]) -> [L::U; 2] {
    let magnitude = l.splat_bits(u32::MAX >> 1);
    let [low, high] = wide.as_chunks_mut().0 else { unreachable!() };
    l.store(a, low);
    l.store(b, high);
    [l.bits(a) & magnitude, l.bits(b) & magnitude]
}

/// Lane `i` of each result is that of block `i`; `two` is asked for blocks `i` and `i + 1`, in order.
#[inline(always)]
fn folded<L: Lanes, const N: usize, const M: usize>(
    l: L,
    of: impl Reduction<L, N, M>,
    mut two: impl FnMut(usize) -> [[L::U; N]; 2],
) -> [L::U; M] {
    let halves = [eight(l, of, 0, &mut two), eight(l, of, 8, &mut two)];
    of.results(l, joined(l, 3, of, halves))
}

#[inline(always)]
fn eight<L: Lanes, const N: usize, const M: usize>(
    l: L,
    of: impl Reduction<L, N, M>,
    i: usize,
    two: &mut impl FnMut(usize) -> [[L::U; N]; 2],
) -> [L::U; N] {
    let fours = [four(l, of, i, two), four(l, of, i + 4, two)];
    joined(l, 2, of, fours)
}

#[inline(always)]
fn four<L: Lanes, const N: usize, const M: usize>(
    l: L,
    of: impl Reduction<L, N, M>,
    i: usize,
    two: &mut impl FnMut(usize) -> [[L::U; N]; 2],
) -> [L::U; N] {
    let twos = [joined(l, 0, of, two(i)), joined(l, 0, of, two(i + 2))];
    joined(l, 1, of, twos)
}

/// [`folded`], of vectors that are there already.
#[inline(always)]
fn of_vectors<L: Lanes, const N: usize, const M: usize>(
    l: L,
    v: [[L::U; N]; LANES],
    of: impl Reduction<L, N, M>,
) -> [L::U; M] {
    folded(
        l,
        of,
        #[inline(always)]
        |i| [v[i], v[i + 1]],
    )
}

/// Two vectors to one, round by round.
#[inline(always)]
fn joined<L: Lanes, const N: usize, const M: usize>(
    l: L,
    round: usize,
    of: impl Reduction<L, N, M>,
    [mut a, mut b]: [[L::U; N]; 2],
) -> [L::U; N] {
    for (a, b) in a.iter_mut().zip(&mut b) {
        (*a, *b) = l.part(round, *a, *b);
    }
    of.join(l, a, b)
}

/// What there is to know of each lane of one block.
#[inline(always)]
fn seen<L: Lanes, const N: usize, const M: usize>(l: L, x: &[f32], of: impl Reduction<L, N, M>) -> [L::U; N] {
    let (vectors, rest) = x.as_chunks::<LANES>();
    let mut seen = of.none(l);
    for x in vectors {
        seen = of.join(l, seen, of.of(l, l.bits(l.load(x))));
    }
    if !rest.is_empty() {
        // Idle lanes repeat a value of the block.
        let mut last = [rest[0]; LANES];
        last[..rest.len()].copy_from_slice(rest);
        seen = of.join(l, seen, of.of(l, l.bits(l.load(&last))));
    }
    seen
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
