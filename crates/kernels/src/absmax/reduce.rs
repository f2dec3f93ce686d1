//! Sixteen blocks are reduced together: lane by lane to one vector per block, and then four rounds of pairwise maxima turn
//! sixteen vectors into one, whose lanes are the results in order. No block is reduced alone, which would cost as much
//! as the rest of the work. Vectors are joined as soon as there are two, so that few are in registers at a time.
//!
//! ```text
//! a0 … a15, b0 … b15  ->  max(a0, a1) … max(a14, a15), max(b0, b1) … max(b14, b15)       one of 8 + 4 + 2 + 1 steps
//! ```
//!
//! Which lanes are joined in a step is the level's choice ([`Lanes::part`]).

use crate::lanes::{LANES, Lanes};

/// A reduction of values, lane by lane: `N` vectors of partial results, and `M` results in the end.
pub(super) trait Reduction<L: Lanes, const N: usize, const M: usize>: Copy {
    /// The identity of the reduction.
    fn identity(self, l: L) -> [L::U; N];
    /// The partial result of sixteen values.
    fn of(self, l: L, bits: L::U) -> [L::U; N];
    /// The partial result of the values of both.
    fn join(self, l: L, a: [L::U; N], b: [L::U; N]) -> [L::U; N];
    fn results(self, l: L, partial: [L::U; N]) -> [L::U; M];
}

#[derive(Clone, Copy)]
pub(super) struct Magnitude;

impl<L: Lanes> Reduction<L, 1, 1> for Magnitude {
    #[inline(always)]
    fn identity(self, l: L) -> [L::U; 1] {
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
    fn results(self, _: L, partial: [L::U; 1]) -> [L::U; 1] {
        partial
    }
}

/// Largest unsigned and largest signed integer: the least and the largest value where a block has both signs.
#[derive(Clone, Copy)]
pub(super) struct Ends;

impl<L: Lanes> Reduction<L, 2, 2> for Ends {
    #[inline(always)]
    fn identity(self, l: L) -> [L::U; 2] {
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
    fn results(self, _: L, partial: [L::U; 2]) -> [L::U; 2] {
        partial
    }
}

#[inline(always)]
pub(super) fn reduce<L: Lanes, const N: usize, const M: usize>(
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
            *v = of_block(l, x, of);
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
            *v = of_block(l, x, of);
        }
        for (out, result) in out.iter_mut().zip(of_vectors(l, v, of)) {
            let mut results = [0.0; LANES];
            l.store(l.float(result), &mut results);
            let out = &mut out[at..];
            out.copy_from_slice(&results[..out.len()]);
        }
    }
}

/// The partial results of one block.
#[inline(always)]
pub(super) fn of_block<L: Lanes, const N: usize, const M: usize>(
    l: L,
    x: &[f32],
    of: impl Reduction<L, N, M>,
) -> [L::U; N] {
    let (vectors, rest) = x.as_chunks::<LANES>();
    let mut partial = of.identity(l);
    for x in vectors {
        partial = of.join(l, partial, of.of(l, l.bits(l.load(x))));
    }
    if !rest.is_empty() {
        // Idle lanes repeat a value of the block.
        let mut last = [rest[0]; LANES];
        last[..rest.len()].copy_from_slice(rest);
        partial = of.join(l, partial, of.of(l, l.bits(l.load(&last))));
    }
    partial
}

/// The results of sixteen blocks, block `i` in lane `i`. `two` gives the partial results of blocks `i` and `i + 1`, in order.
#[inline(always)]
pub(super) fn folded<L: Lanes, const N: usize, const M: usize>(
    l: L,
    of: impl Reduction<L, N, M>,
    mut two: impl FnMut(usize) -> [[L::U; N]; 2],
) -> [L::U; M] {
    let halves = [eight(l, of, 0, &mut two), eight(l, of, 8, &mut two)];
    of.results(l, joined(l, 3, of, halves))
}

/// [`folded`] of partial results in memory.
#[inline(always)]
pub(super) fn of_vectors<L: Lanes, const N: usize, const M: usize>(
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
