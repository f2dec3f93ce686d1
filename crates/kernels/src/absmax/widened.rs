//! 16-bit floats to f32 and the largest magnitude of each block, in one pass.

use super::reduce::{Magnitude, folded, of_vectors};
use crate::lanes::{LANES, Lanes, apart};
use crate::widen::{Half, PAIR};

/// Halves to f32, and `max |x|` of each block, of one vector or of whole pairs.
/// Leaves the last few of short blocks and a block that is not whole, and returns how many it has done: none where code would be large.
#[inline(always)]
pub(crate) fn widened<L: Lanes>(
    l: L,
    half: Half,
    x: &[u16],
    block: usize,
    wide: &mut [f32],
    out: &mut [f32],
) -> usize {
    if L::COMPACT {
        return 0;
    }
    let group = match block {
        // The lengths that have code of their own in `absmax`, too.
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
            let mut largest = [l.splat_bits(0); 2];
            for (x, wide) in x.as_chunks().0.iter().zip(wide.as_chunks_mut().0) {
                let [a, b] = widened_pair(l, load(x), wide);
                largest = [l.max(largest[0], a), l.max(largest[1], b)];
            }
            *v = [l.max(largest[0], largest[1])];
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
                for (at, largest) in (i..).zip(&mut both) {
                    let [a, b] = widened_pair(l, load(&x[at]), &mut wide[at]);
                    *largest = [l.max(a, b)];
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
