//! Scales of rows: f32, or as files store them, which become f32 a few at a time, just before sums are multiplied with them.
//!
//! ```text
//! stored, of one row -> f32 (* or / the scale of the tensor, rounded) -> a buffer in the first cache -> a vector of sixteen blocks
//! ```
//!
//! Reading stored scales by themselves is a pass that waits for memory, and codes are not on their way meanwhile: so little is read at a time
//! that the processor looks past it.

pub(super) mod groups;
pub(super) mod stored;
mod widen;

use super::lanes::SumLanes;
use super::prefetch::SCALES_AHEAD;
use crate::lanes::{CHUNK, LANES};
use crate::level::Level;
use crate::scales::repeat;
use groups::{ScaleGroups, Shared};
use stored::{SEGMENT, StoredScales};

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
pub(super) struct ScaleRange {
    pub(super) start: usize,
    pub(super) run: usize,
    pub(super) first: usize,
    /// At most [`SEGMENT`].
    pub(super) blocks: usize,
}

/// The memory of a [`ScaleBuffer`] for `S` scales. Vectors that cross cache lines take twice as long to load.
#[repr(align(64))]
pub(super) struct ScaleMemory<const S: usize> {
    per_block: [f32; S],
    window: [f32; S],
}

impl<const S: usize> ScaleMemory<S> {
    pub(super) const ZEROS: Self = Self { per_block: [0.0; S], window: [0.0; S] };

    pub(super) fn buffer(&mut self) -> ScaleBuffer<'_> {
        let window = ScaleWindow { values: &mut self.window, from: 0, to: 0 };
        ScaleBuffer { per_block: &mut self.per_block, window }
    }
}

/// Scales as f32 on their way to a loop.
pub(super) struct ScaleBuffer<'a> {
    /// One for each block, where each is that of several.
    per_block: &'a mut [f32],
    pub(super) window: ScaleWindow<'a>,
}

/// The scales `from..to` of all rows, which short rows share.
pub(super) struct ScaleWindow<'a> {
    values: &'a mut [f32],
    from: usize,
    to: usize,
}

impl<'a> Scales<'a> {
    /// One f32 for each block: where they are, or laid out. What follows them can be anything. By reference: a copy for each row would be read before it
    /// is written.
    #[inline(always)]
    pub(super) fn lay_out<'r, L: SumLanes>(
        &self,
        l: L,
        level: Level,
        range: ScaleRange,
        ScaleBuffer { per_block, window }: &'r mut ScaleBuffer<'_>,
    ) -> &'r [f32]
    where
        'a: 'r,
    {
        let ScaleRange { start, run, first, blocks } = range;
        if run == 1 {
            if let Some(some) = self.consecutive(l, level, start + first, blocks, window) {
                return some;
            }
        } else if let Some(some) = self.shared(l, level, range, window) {
            let shared = Shared::new(l, some, 0);
            for (group, out) in per_block.as_chunks_mut().0[..blocks.div_ceil(LANES)].iter_mut().enumerate() {
                l.store(shared.group(l, group), out);
            }
            return per_block;
        }
        if let Self::F32(all) = *self
            && run >= first + blocks
        {
            let scale = l.splat(all[start]);
            for out in &mut per_block.as_chunks_mut().0[..blocks.div_ceil(LANES)] {
                l.store(scale, out);
            }
        } else {
            self.copy(level, range, per_block);
        }
        per_block
    }

    /// f32 of which each is that of a run of blocks, where eight can be read for each vector; and the logarithm of the run.
    #[inline(always)]
    pub(super) fn shared<'r, L: SumLanes>(
        &self,
        l: L,
        level: Level,
        range: ScaleRange,
        window: &'r mut ScaleWindow<'_>,
    ) -> Option<(&'r [f32], u32)>
    where
        'a: 'r,
    {
        let ScaleRange { start, run, first, blocks } = range;
        // A power of two, so that nothing is divided for each row.
        let shift = run.trailing_zeros();
        if !matches!(run, 2 | 4 | 8) || first >> shift << shift != first {
            return None;
        }
        let some =
            self.consecutive(l, level, start + (first >> shift), (blocks + run - 1) >> shift, window)?;
        let vectors = blocks.div_ceil(LANES);
        if some.len() >= ((vectors * LANES) >> shift) + LANES / 2 { Some((some, shift)) } else { None }
    }

    /// `count` of them from `at` on and what follows: where they are, or in the window.
    #[inline(always)]
    fn consecutive<'r, L: SumLanes>(
        &self,
        l: L,
        level: Level,
        at: usize,
        count: usize,
        ScaleWindow { values, from, to }: &'r mut ScaleWindow<'_>,
    ) -> Option<&'r [f32]>
    where
        'a: 'r,
    {
        match *self {
            Self::F32(all) => {
                let next = all.get(at + SCALES_AHEAD..).unwrap_or(&[]);
                for line in next.iter().step_by(LANES).take(count / LANES) {
                    l.prefetch(line);
                }
                Some(&all[at..])
            }
            Self::Stored(ref all) => {
                if at < *from || at + count > *to {
                    let most = count.next_multiple_of(CHUNK).max(FEW);
                    (*from, *to) = (at, at + all.widen_many(level, at, most, values));
                }
                // Fewer than a chunk are left, in the last rows.
                if at + count <= *to { Some(&values[at - *from..]) } else { None }
            }
        }
    }

    /// One f32 for each of up to sixteen blocks, then zeros.
    pub(super) fn of_sixteen_blocks(self, level: Level, range: ScaleRange) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        match self {
            Self::F32(all) if range.run == 1 && range.blocks == LANES => {
                out.copy_from_slice(&all[range.start + range.first..][..LANES]);
            }
            Self::F32(all) => spread(&all[range.start..], range.run, range.first, range.blocks, &mut out),
            Self::Stored(_) => {
                let mut buffer = [0.0; CHUNK];
                self.copy(level, range, &mut buffer);
                out.copy_from_slice(&buffer[..LANES]);
            }
        }
        out
    }

    #[inline(never)]
    fn copy(self, level: Level, ScaleRange { start, run, first, blocks }: ScaleRange, out: &mut [f32]) {
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
            let mut tail = &mut out[..blocks];
            while !tail.is_empty() {
                let (one_run, next) = tail.split_at_mut(left.min(tail.len()));
                one_run.fill(values[index]);
                (index, left, tail) = (index + 1, run, next);
            }
        }
    }
    out[blocks..blocks.next_multiple_of(16)].fill(0.0);
}
