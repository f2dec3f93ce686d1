//! The kernel of blocks of f32 products: sixteen blocks at a time, from register to register.
//!
//! ```text
//! 64 codes -> four vectors of values -> * x -> sixteen lanes of each block, those of 16-31 added to those of 0-15
//! sixteen blocks -> folded together -> * scale -> * x scale -> sixteen lanes of the row
//! ```
//!
//! Lanes of a block start with their first product: adding it to +0.0 would only make +0.0 of -0.0, and the lanes of the row, which the sum of the block
//! is added to, are never -0.0.

use super::groups::{Groups, LaidOut};
use super::lanes::{SumLanes, WithDecoder};
use super::later::Later;
use super::plan::Plan;
use super::scales::{Room, Which};
use super::sums::up_to;
use super::{Rows, Scales};
use crate::codecs::Decoder;
use crate::lanes::{CHUNK, LANES};
use crate::level::Level;

/// Blocks at a time.
pub(super) const PIECE: usize = 256;
/// Values of blocks of which a chunk has two.
pub(super) const SHORT: usize = CHUNK / 2;
/// Chunks of sixteen such blocks.
pub(super) const GROUP: usize = LANES * SHORT / CHUNK;

/// Lanes of sixteen rows, or the sums of sixteen blocks before they are folded.
pub(super) type Sixteen = [[f32; LANES]; LANES];

/// Up to sixteen rows, up to [`PIECE`] blocks of each, and `C` columns there.
pub(super) struct Band<'a, 'r, const C: usize> {
    pub(super) level: Level,
    pub(super) rows: Rows<'a>,
    /// Of all rows, in place of those of `rows`.
    pub(super) scales: Scales<'a>,
    pub(super) plan: Plan,
    pub(super) first_row: usize,
    pub(super) count: usize,
    /// Which of the sixteen lanes of rows is that of the first row.
    pub(super) lane: usize,
    pub(super) first_block: usize,
    pub(super) blocks: usize,
    /// The whole chunks of those blocks.
    pub(super) x: [&'a [[f32; CHUNK]]; C],
    /// The last group, if it ends with a part of a chunk, with zeros after it.
    pub(super) last: [&'a [[f32; CHUNK]]; C],
    /// One for each block, then zeros.
    pub(super) x_scales: &'a [[f32; PIECE]; C],
    pub(super) room: &'a mut Room<'r>,
    pub(super) lanes: &'a mut [Sixteen; C],
}

/// Adds the terms of all blocks to the lanes of each row.
#[inline(always)]
pub(super) fn add_groups<L: SumLanes, const C: usize>(l: L, band: Band<'_, '_, C>) {
    if L::UNROLLED {
        l.with_decoder(band.rows.element, band);
    }
}

impl<L: SumLanes, const C: usize> WithDecoder<L> for Band<'_, '_, C> {
    const FNUZ: bool = false;

    #[inline(always)]
    fn with<const BYTES: usize>(self, l: L, decoder: impl Decoder<L>) {
        let Self { level, rows, scales, plan, first_block, blocks, room, lanes, .. } = self;
        let first = first_block * plan.block;
        let values = (rows.len - first).min(blocks * plan.block);
        let (skip, bytes) = (rows.element.packed_len(first), rows.element.packed_len(values));
        let strides = rows.strides();
        let is_whole = values.is_multiple_of(CHUNK);
        let per_group = LANES * plan.block / CHUNK;
        let mut last_codes = [[0; BYTES]; GROUP];
        for row in 0..self.count {
            let (place, lane) = (self.first_row + row, self.lane + row);
            let later = Later::new(&rows.codes[place * strides.0 + skip..], &[]);
            let codes = &later.all_codes()[..bytes];
            let which = Which { start: place * strides.1, run: plan.run, first: first_block, blocks };
            let scales = LaidOut::new(scales.lay_out(l, level, which, room), blocks / LANES);
            let mut sum = [l.splat(0.0); C];
            for c in 0..C {
                sum[c] = l.load(&lanes[c][lane]);
            }
            for group in 0..blocks.div_ceil(LANES) {
                let (left, start) = (blocks - group * LANES, group * per_group);
                let later = Later::new(later.all_codes().get(start * BYTES..).unwrap_or(&[]), &[]);
                let chunks = if is_whole || left > LANES {
                    Chunks::<C, BYTES>::from(codes, self.x, start, per_group, later)
                } else {
                    let rest = &codes[start * BYTES..];
                    last_codes.as_flattened_mut()[..rest.len()].copy_from_slice(rest);
                    Chunks::<C, BYTES>::from(last_codes.as_flattened(), self.last, 0, left.div_ceil(2), later)
                };
                let mut quarters = [[l.splat(0.0); 4]; C];
                for quarter in 0..left.min(LANES).div_ceil(4) {
                    let sums = if plan.block == SHORT {
                        chunks.short(l, decoder, 2 * quarter)
                    } else {
                        chunks.long(l, decoder, plan.block / CHUNK, 4 * quarter)
                    };
                    for c in 0..C {
                        quarters[c][quarter % 4] = sums[c];
                    }
                }
                let scales = if left < LANES {
                    // What follows them may be infinite.
                    up_to(l, scales.last(l), left)
                } else {
                    scales.group(l, group)
                };
                for c in 0..C {
                    let x_scales = l.load(&self.x_scales[c].as_chunks().0[group]);
                    sum[c] = sum[c] + (l.add_quarters(quarters[c]) * scales) * x_scales;
                }
            }
            for c in 0..C {
                l.store(sum[c], &mut lanes[c][lane]);
            }
        }
    }
}

/// Up to sixteen blocks in whole chunks.
struct Chunks<'a, const C: usize, const BYTES: usize> {
    codes: &'a [[u8; BYTES]],
    x: [&'a [[f32; CHUNK]]; C],
    /// From the first of them on.
    later: Later<'a>,
}

impl<'a, const C: usize, const BYTES: usize> Chunks<'a, C, BYTES> {
    /// The `count` chunks from `first` on, as far as there are any.
    #[inline(always)]
    fn from(
        codes: &'a [u8],
        x: [&'a [[f32; CHUNK]]; C],
        first: usize,
        count: usize,
        later: Later<'a>,
    ) -> Self {
        let codes = &codes.as_chunks().0[first..];
        let codes = &codes[..count.min(codes.len())];
        let mut some = [&[][..]; C];
        for c in 0..C {
            some[c] = &x[c][first..][..codes.len()];
        }
        Self { codes, x: some, later }
    }

    /// Four blocks of half a chunk each, from chunk `first` on, as far as there are any.
    #[inline(always)]
    fn short<L: SumLanes>(&self, l: L, decoder: impl Decoder<L>, first: usize) -> [L::F; C] {
        let mut sums = [[l.splat(0.0); 4]; C];
        for half in 0..2 {
            let i = first + half;
            let Some(codes) = self.codes.get(i) else { break };
            self.later.codes(l, i * BYTES);
            let [w0, w1, w2, w3] = decoder.decode(l, codes);
            for (sums, x) in sums.iter_mut().zip(&self.x) {
                let [x0, x1, x2, x3] = x[i].as_chunks().0 else { unreachable!() };
                sums[2 * half] = w0 * l.load(x0) + w1 * l.load(x1);
                sums[2 * half + 1] = w2 * l.load(x2) + w3 * l.load(x3);
            }
        }
        fold(l, sums)
    }

    /// Four blocks of `run` chunks each, from block `first` on, as far as there are any.
    #[inline(always)]
    fn long<L: SumLanes>(&self, l: L, decoder: impl Decoder<L>, run: usize, first: usize) -> [L::F; C] {
        let mut sums = [[l.splat(0.0); 4]; C];
        let codes = &self.codes[first * run..];
        for (block, codes) in codes.chunks(run).enumerate().take(4) {
            let mut lanes = [[l.splat(0.0); 2]; C];
            for (i, codes) in codes.iter().enumerate() {
                self.later.codes(l, ((first + block) * run + i) * BYTES);
                let [w0, w1, w2, w3] = decoder.decode(l, codes);
                for (lanes, x) in lanes.iter_mut().zip(&self.x) {
                    let [x0, x1, x2, x3] = x[(first + block) * run + i].as_chunks().0 else { unreachable!() };
                    let (low, high) = (lanes[0] + w0 * l.load(x0), lanes[1] + w1 * l.load(x1));
                    *lanes = [low + w2 * l.load(x2), high + w3 * l.load(x3)];
                }
            }
            for (sums, lanes) in sums.iter_mut().zip(lanes) {
                sums[block % 4] = lanes[0] + lanes[1];
            }
        }
        fold(l, sums)
    }
}

/// Four vectors of each column to one.
#[inline(always)]
fn fold<L: SumLanes, const C: usize>(l: L, sums: [[L::F; 4]; C]) -> [L::F; C] {
    let mut folded = [l.splat(0.0); C];
    for c in 0..C {
        folded[c] = l.add_four(sums[c]);
    }
    folded
}
