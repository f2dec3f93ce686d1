//! The kernel of f32 products with weights of 4 and 8 bits: what is decoded goes from register to register.
//!
//! ```text
//! 64 codes -> four vectors of values (-> less zero) -> * scale -> * x -> lanes 0-15, 16-31, 0-15, 16-31
//! ```
//!
//! Where a block of 4 bits has many chunks, its zero point and scale go into the table. Rows end with a whole chunk here.

use super::Rows;
use super::lanes::{SumLanes, WithDecoder};
use super::later::Later;
use crate::Blocks;
use crate::codecs::{Affine, Decoder};
use crate::lanes::{CHUNK, LANES};
use crate::level::Level;
use core::ops::Range;

/// Lanes of 32 for each of sixteen rows of `C` columns.
pub(super) type RowLanes<const C: usize> = [[[f32; 2 * LANES]; LANES]; C];

/// Whether this kernel takes such rows, all but the ragged end of each.
pub(super) fn takes(level: Level, rows: &Rows<'_>) -> bool {
    let (len, nibbles) = (rows.blocks.len, rows.element.bits() == 4);
    level.takes_element(rows.element)
        && (len == 16 && nibbles || len == 32 || len.is_multiple_of(CHUNK) || len >= rows.len)
}

/// Adds the products of the whole chunks of up to sixteen rows.
#[inline(always)]
pub(super) fn add_rows<L: SumLanes, const C: usize>(
    l: L,
    rows: Rows<'_>,
    band: Range<usize>,
    x: &[&[f32]; C],
    lanes: &mut RowLanes<C>,
) {
    assert!(C == 1 || L::UNROLLED, "one column at a time");
    l.with_decoder(rows.element, Band { rows, band, x, lanes });
}

/// Some rows, and where their products go.
struct Band<'a, const C: usize> {
    rows: Rows<'a>,
    band: Range<usize>,
    x: &'a [&'a [f32]; C],
    lanes: &'a mut RowLanes<C>,
}

impl<L: SumLanes, const C: usize> WithDecoder<L> for Band<'_, C> {
    const FNUZ: bool = true;

    #[inline(always)]
    fn with<const BYTES: usize>(self, l: L, decoder: impl Decoder<L>) {
        let Self { rows, band, x, lanes } = self;
        let chunks = rows.len / CHUNK;
        let mut x_chunks = [&[][..]; C];
        for (out, x) in x_chunks.iter_mut().zip(x) {
            *out = &x.as_chunks::<CHUNK>().0[..chunks];
        }
        let strides = rows.strides();
        for (lane, row) in band.enumerate() {
            let (codes, blocks) = rows.row(row);
            let mut sums =
                Sums { later: Later::of_row(rows, row, strides, 0, 0), sums: [[l.splat(0.0); 2]; C] };
            let codes = &codes.as_chunks::<BYTES>().0[..chunks];
            // 8 bits never come in blocks of 16.
            match blocks.len {
                16 if blocks.scales.len() > 1 && BYTES < CHUNK => {
                    few::<L, C, 4, BYTES>(l, decoder, codes, blocks, &x_chunks, &mut sums);
                }
                32 if blocks.scales.len() > 1 => {
                    few::<L, C, 2, BYTES>(l, decoder, codes, blocks, &x_chunks, &mut sums);
                }
                len => {
                    let run = if blocks.scales.len() > 1 { len / CHUNK } else { chunks };
                    runs(l, decoder, codes, blocks, run, &x_chunks, &mut sums);
                }
            }
            for (lanes, sums) in lanes.iter_mut().zip(sums.sums) {
                let [low, high] = lanes[lane].as_chunks_mut().0 else { unreachable!() };
                l.store(sums[0], low);
                l.store(sums[1], high);
            }
        }
    }
}

/// Lanes of each column.
struct Sums<'a, L: SumLanes, const C: usize> {
    later: Later<'a>,
    sums: [[L::F; 2]; C],
}

impl<L: SumLanes, const C: usize> Sums<'_, L, C> {
    /// The next chunk, of so many bytes.
    #[inline(always)]
    fn add<const BYTES: usize>(
        &mut self,
        l: L,
        [w0, w1, w2, w3]: [L::F; 4],
        x: &[&[[f32; CHUNK]]; C],
        chunk: usize,
    ) {
        self.later.codes(l, chunk * BYTES);
        for (sums, x) in self.sums.iter_mut().zip(x) {
            let [x0, x1, x2, x3] = x[chunk].as_chunks().0 else { unreachable!() };
            let (low, high) = (sums[0] + w0 * l.load(x0), sums[1] + w1 * l.load(x1));
            *sums = [low + w2 * l.load(x2), high + w3 * l.load(x3)];
        }
    }
}

/// Blocks of `run` chunks.
#[inline(always)]
fn runs<L: SumLanes, const C: usize, const BYTES: usize>(
    l: L,
    decoder: impl Decoder<L>,
    codes: &[[u8; BYTES]],
    blocks: Blocks<'_>,
    run: usize,
    x: &[&[[f32; CHUNK]]; C],
    sums: &mut Sums<'_, L, C>,
) {
    let mut chunk = 0;
    for (block, codes) in codes.chunks(run.max(1)).enumerate() {
        let zero = blocks.zeros.map(
            #[inline(always)]
            |zeros| l.splat(zeros[block]),
        );
        let decode = decoder.in_block(l, Affine { zero, scale: l.splat(blocks.scales[block]) });
        for codes in codes {
            sums.add::<BYTES>(l, decode(codes), x, chunk);
            chunk += 1;
        }
    }
}

/// `N` blocks per chunk.
#[inline(always)]
fn few<L: SumLanes, const C: usize, const N: usize, const BYTES: usize>(
    l: L,
    decoder: impl Decoder<L>,
    codes: &[[u8; BYTES]],
    blocks: Blocks<'_>,
    x: &[&[[f32; CHUNK]]; C],
    sums: &mut Sums<'_, L, C>,
) {
    let scales = &blocks.scales.as_chunks::<N>().0[..codes.len()];
    for (chunk, (codes, scales)) in codes.iter().zip(scales).enumerate() {
        sums.later.scales(l, chunk * N);
        let mut values = decoder.decode(l, codes);
        if let Some(zeros) = blocks.zeros {
            let zeros = &zeros.as_chunks::<N>().0[chunk];
            for i in 0..4 {
                values[i] = values[i] - l.splat(zeros[i * N / 4]);
            }
        }
        for i in 0..4 {
            values[i] = values[i] * l.splat(scales[i * N / 4]);
        }
        sums.add::<BYTES>(l, values, x, chunk);
    }
}

/// The lanes of sixteen rows to sixteen numbers.
#[inline(always)]
pub(super) fn fold_rows<L: SumLanes>(l: L, rows: &[[f32; 2 * LANES]; LANES]) -> [f32; LANES] {
    let mut sums = [l.splat(0.0); LANES];
    for (sum, lanes) in sums.iter_mut().zip(rows) {
        let [low, high] = lanes.as_chunks().0 else { unreachable!() };
        *sum = l.load(low) + l.load(high);
    }
    let mut out = [0.0; LANES];
    l.store(l.add_neighbours(sums), &mut out);
    out
}
