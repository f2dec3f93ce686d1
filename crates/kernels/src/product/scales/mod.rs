//! Scales of rows: f32, or as files store them, which become f32 a few at a time, just before sums are multiplied with them.
//!
//! ```text
//! stored, of one row -> f32 (* or / the scale of the tensor, rounded) -> a buffer in the first cache -> a vector of sixteen blocks
//! ```
//!
//! Reading stored scales by themselves is a pass that waits for memory, and codes are not on their way meanwhile: so little is read at a time
//! that the processor looks past it.

mod room;
mod stored;
mod widen;

pub(super) use room::{Laid, Room};
pub use stored::{Factor, ScaleType, StoredScales};
pub(super) use widen::widen_stored;

use super::groups::{Groups, Shared};
use super::integer::SEGMENT;
use super::lanes::SumLanes;
use super::later::SCALES;
use super::plan::spread;
use crate::lanes::{CHUNK, LANES};
use crate::level::Level;
use room::Window;

/// Stored scales that become f32 at least where they are: those of a few short rows.
const FEW: usize = 2 * CHUNK;

/// The scales of rows, one row after the other.
#[derive(Clone, Copy)]
pub(crate) enum Scales<'a> {
    F32(&'a [f32]),
    Stored(StoredScales<'a>),
}

/// Scales and zero points.
#[derive(Clone, Copy)]
pub(crate) struct AllScales<'a> {
    pub(crate) scales: Scales<'a>,
    pub(crate) zeros: Option<Scales<'a>>,
}

/// Which scales: those of `blocks` blocks from `first` on of the row whose scales begin at `start`, where each is that of `run` blocks.
#[derive(Clone, Copy)]
pub(super) struct Which {
    pub(super) start: usize,
    pub(super) run: usize,
    pub(super) first: usize,
    /// At most [`SEGMENT`].
    pub(super) blocks: usize,
}

impl<'a> Scales<'a> {
    /// One f32 for each block: where they are, or laid out. What follows them can be anything. By reference: a copy for each row would be read before it
    /// is written.
    #[inline(always)]
    pub(super) fn lay_out<'r, L: SumLanes>(
        &self,
        l: L,
        level: Level,
        which: Which,
        Room { window, wide }: &'r mut Room<'_>,
    ) -> &'r [f32]
    where
        'a: 'r,
    {
        let Which { start, run, first, blocks } = which;
        if run == 1 {
            if let Some(some) = self.several(l, level, start + first, blocks, window) {
                return some;
            }
        } else if let Some(some) = self.shared(l, level, which, window) {
            let shared = Shared::new(l, some, 0);
            for (group, out) in wide.as_chunks_mut().0[..blocks.div_ceil(LANES)].iter_mut().enumerate() {
                l.store(shared.group(l, group), out);
            }
            return wide;
        }
        if let Self::F32(all) = *self
            && run >= first + blocks
        {
            let scale = l.splat(all[start]);
            for out in &mut wide.as_chunks_mut().0[..blocks.div_ceil(LANES)] {
                l.store(scale, out);
            }
        } else {
            self.copy(level, which, wide);
        }
        wide
    }

    /// f32 of which each is that of a run of blocks, where eight can be read for each vector; and the logarithm of the run.
    #[inline(always)]
    pub(super) fn shared<'r, L: SumLanes>(
        &self,
        l: L,
        level: Level,
        which: Which,
        window: &'r mut Window<'_>,
    ) -> Option<(&'r [f32], u32)>
    where
        'a: 'r,
    {
        let Which { start, run, first, blocks } = which;
        // A power of two, so that nothing is divided for each row.
        let shift = run.trailing_zeros();
        if !matches!(run, 2 | 4 | 8) || first >> shift << shift != first {
            return None;
        }
        let some = self.several(l, level, start + (first >> shift), (blocks + run - 1) >> shift, window)?;
        let vectors = blocks.div_ceil(LANES);
        if some.len() >= ((vectors * LANES) >> shift) + LANES / 2 { Some((some, shift)) } else { None }
    }

    /// `count` of them from `at` on and what follows: where they are, or in the window.
    #[inline(always)]
    fn several<'r, L: SumLanes>(
        &self,
        l: L,
        level: Level,
        at: usize,
        count: usize,
        Window { room, from, to }: &'r mut Window<'_>,
    ) -> Option<&'r [f32]>
    where
        'a: 'r,
    {
        match *self {
            Self::F32(all) => {
                let later = all.get(at + SCALES..).unwrap_or(&[]);
                for line in later.iter().step_by(LANES).take(count / LANES) {
                    l.prefetch(line);
                }
                Some(&all[at..])
            }
            Self::Stored(ref all) => {
                if at < *from || at + count > *to {
                    let most = count.next_multiple_of(CHUNK).max(FEW);
                    (*from, *to) = (at, at + all.widen_many(level, at, most, room));
                }
                // Fewer than a chunk are left, in the last rows.
                if at + count <= *to { Some(&room[at - *from..]) } else { None }
            }
        }
    }

    /// One f32 for each of up to sixteen blocks, then zeros.
    pub(super) fn sixteen(self, level: Level, which: Which) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        match self {
            Self::F32(all) if which.run == 1 && which.blocks == LANES => {
                out.copy_from_slice(&all[which.start + which.first..][..LANES]);
            }
            Self::F32(all) => spread(&all[which.start..], which.run, which.first, which.blocks, &mut out),
            Self::Stored(_) => {
                let mut buffer = [0.0; CHUNK];
                self.copy(level, which, &mut buffer);
                out.copy_from_slice(&buffer[..LANES]);
            }
        }
        out
    }

    #[inline(never)]
    fn copy(self, level: Level, Which { start, run, first, blocks }: Which, out: &mut [f32]) {
        match self {
            Self::F32(all) => spread(&all[start..], run, first, blocks, out),
            Self::Stored(all) if run == 1 => {
                all.widen(level, start + first, blocks, out);
                out[blocks..blocks.next_multiple_of(16)].fill(0.0);
            }
            Self::Stored(all) => {
                let from = first / run;
                let count = (first + blocks).div_ceil(run) - from;
                let (mut few, mut many);
                let some = if count <= CHUNK {
                    few = [0.0; CHUNK];
                    &mut few[..]
                } else {
                    many = [0.0; SEGMENT];
                    &mut many[..]
                };
                all.widen(level, start + from, count, some);
                spread(some, run, first - from.saturating_mul(run), blocks, out);
            }
        }
    }
}
