//! Blocks of a product of two quantized sides: the shorter of the two, and which scales belong to each.

use super::{LONGEST_BLOCK, Prepared, Rows};
use crate::scales::repeat;

/// Blocks of equal length, the last of which may be short.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// Values per block.
    pub(super) block: usize,
    /// Blocks per row.
    pub(super) blocks: usize,
    /// Blocks per scale of the weights.
    pub(super) run: usize,
    /// Blocks per scale of the activations.
    pub(super) x_run: usize,
}

impl Plan {
    /// `None` where blocks do not follow one another at equal distances that are whole vectors' parts: 16, 32 or 64 values, or multiples of 128. Such
    /// blocks are no format's, and the reference takes care of them.
    pub(super) fn new(rows: &Rows<'_>, x: &Prepared<'_>) -> Option<Self> {
        let len = rows.len;
        let shorter = rows.blocks.len.min(x.block);
        let block = match shorter {
            // One block, which may be as long as its padding.
            _ if shorter >= len => len.next_multiple_of(128).min(LONGEST_BLOCK),
            _ if shorter > LONGEST_BLOCK && shorter.is_multiple_of(LONGEST_BLOCK) => LONGEST_BLOCK,
            16 | 32 | 64 => shorter,
            _ if shorter <= LONGEST_BLOCK && shorter.is_multiple_of(128) => shorter,
            _ => return None,
        };
        let run = |of: usize| if of >= len { usize::MAX } else { of / block };
        Some(Self {
            block: block.max(1),
            blocks: len.div_ceil(block.max(1)),
            run: run(rows.blocks.len),
            x_run: run(x.block),
        })
    }
}

/// Scale (or zero point) of each block from `first` on, where each is that of `run` blocks; zeros after the last one.
#[inline(never)]
pub(super) fn spread(values: &[f32], run: usize, first: usize, blocks: usize, out: &mut [f32]) {
    let aligned = first.is_multiple_of(run) && blocks.is_multiple_of(run);
    match run {
        1 => out[..blocks].copy_from_slice(&values[first..][..blocks]),
        usize::MAX => out[..blocks].fill(values[0]),
        2 if aligned => repeat::<2>(&values[first / 2..], &mut out[..blocks]),
        4 if aligned => repeat::<4>(&values[first / 4..], &mut out[..blocks]),
        8 if aligned => repeat::<8>(&values[first / 8..], &mut out[..blocks]),
        _ => {
            let (mut index, mut left) = (first / run, run - first % run);
            let mut rest = &mut out[..blocks];
            while !rest.is_empty() {
                let (now, later) = rest.split_at_mut(left.min(rest.len()));
                now.fill(values[index]);
                (index, left, rest) = (index + 1, run, later);
            }
        }
    }
    out[blocks..blocks.next_multiple_of(16)].fill(0.0);
}
