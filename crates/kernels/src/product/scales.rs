//! Scales of rows: f32, or as files store them, which become f32 a few at a time, just before sums are multiplied with them.
//!
//! ```text
//! stored, of one row -> f32 (* or / the scale of the tensor, rounded) -> a buffer in the first cache -> a vector of sixteen blocks
//! ```
//!
//! Reading stored scales by themselves is a pass that waits for memory, and codes are not on their way meanwhile: so little is read at a time
//! that the processor looks past it.

use super::groups::{AHEAD, Groups, Shared};
use super::integer::SEGMENT;
use super::lanes::SumLanes;
use super::later::SCALES;
use super::plan::spread;
use crate::lanes::{CHUNK, LANES, LINE, Lanes, apart};
use crate::level::Level;
use crate::widen;

/// Stored scales that become f32 at least where they are: those of a few short rows.
const FEW: usize = 2 * CHUNK;

/// The type of a stored scale of fewer bits than an f32.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScaleType {
    /// IEEE half precision, little endian.
    F16,
    /// The upper half of an f32, little endian.
    Bf16,
    /// OCP FP8 E4M3.
    E4m3,
    /// `2^(byte - 127)`, 255 is NaN.
    E8m0,
    /// The byte itself, as zero points are stored.
    U8,
}

impl ScaleType {
    /// Bytes of a scale.
    pub const fn bytes(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::E4m3 | Self::E8m0 | Self::U8 => 1,
        }
    }
}

/// What all scales of a tensor are multiplied with or divided by; the result is rounded.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Factor {
    /// Scales are what is stored.
    None,
    /// `stored * factor`.
    Multiply(f32),
    /// `stored / factor`.
    Divide(f32),
}

/// Scales, or zero points, as files store them, one after the other: what [`Kernels::dot_stored`](crate::Kernels::dot_stored) reads in place of f32.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct StoredScales<'a> {
    /// Their type.
    pub kind: ScaleType,
    /// `kind.bytes()` for each scale, of all rows. What follows them, if more are given, is asked for as what is read next.
    pub bytes: &'a [u8],
    /// The second level.
    pub factor: Factor,
}

impl<'a> StoredScales<'a> {
    /// Bytes of the scale at `index` and of all after it.
    #[inline(always)]
    pub(crate) fn from(&self, index: usize) -> &'a [u8] {
        &self.bytes[index * self.kind.bytes()..]
    }

    /// The scales from `first` on, as many whole chunks as there are, up to `most`; returns how many.
    #[inline(always)]
    fn widen_many(&self, level: Level, first: usize, most: usize, out: &mut [f32]) -> usize {
        let (bytes, each) = (self.from(first), self.kind.bytes());
        let count = (bytes.len() / each).min(most) / CHUNK * CHUNK;
        let later = bytes.get(AHEAD..).unwrap_or(&[]);
        level.widen_stored(self.kind, self.factor, &bytes[..count * each], later, out.as_chunks_mut().0);
        count
    }

    /// The scales from `first` on to the beginning of `out`, with a call, wherever they are; other numbers after them.
    #[inline(always)]
    fn widen(self, level: Level, first: usize, count: usize, out: &mut [f32]) {
        let (bytes, whole) = (self.from(first), count.next_multiple_of(CHUNK));
        let (each, out) = (self.kind.bytes(), out[..whole].as_chunks_mut().0);
        match bytes.get(..whole * each) {
            Some(some) => {
                level.widen_stored(self.kind, self.factor, some, bytes.get(AHEAD..).unwrap_or(&[]), out);
            }
            None => {
                let some = &padded(&bytes[..count * each])[..whole * each];
                level.widen_stored(self.kind, self.factor, some, &[], out);
            }
        }
    }
}

/// For the last row, and kept apart, so that no other row stores zeros.
#[cold]
#[inline(never)]
fn padded(some: &[u8]) -> [u8; 2 * SEGMENT] {
    let mut all = [0; 2 * SEGMENT];
    all[..some.len()].copy_from_slice(some);
    all
}

/// Whole chunks of stored scales to f32. What is read `later` is asked for.
#[inline(always)]
pub(super) fn widen_stored<L: Lanes>(
    l: L,
    kind: ScaleType,
    factor: Factor,
    bytes: &[u8],
    later: &[u8],
    out: &mut [[f32; CHUNK]],
) {
    for line in later.iter().step_by(LINE).take(bytes.len() / LINE) {
        l.prefetch(line);
    }
    let factor = Apply::new(l, factor);
    match kind {
        ScaleType::E4m3 => apart!(
            l,
            for (bytes, out) in bytes.as_chunks().0.iter().zip(out) {
                factor.store(l, l.decode_e4m3(bytes), out);
            }
        ),
        ScaleType::E8m0 => apart!(
            l,
            for (bytes, out) in bytes.as_chunks().0.iter().zip(out) {
                factor.store(l, widen::e8m0(l, bytes), out);
            }
        ),
        ScaleType::U8 => apart!(
            l,
            for (bytes, out) in bytes.as_chunks().0.iter().zip(out) {
                factor.store(l, wholes(l, bytes), out);
            }
        ),
        ScaleType::F16 => apart!(
            l,
            for (bytes, out) in bytes.as_chunks().0.iter().zip(out) {
                let [a, b, c, d] = halves(l, bytes);
                factor.store(l, [l.widen_f16(a), l.widen_f16(b), l.widen_f16(c), l.widen_f16(d)], out);
            }
        ),
        ScaleType::Bf16 => apart!(
            l,
            for (bytes, out) in bytes.as_chunks().0.iter().zip(out) {
                let [a, b, c, d] = halves(l, bytes);
                let upper = u16::BITS;
                let all =
                    [l.float(a << upper), l.float(b << upper), l.float(c << upper), l.float(d << upper)];
                factor.store(l, all, out);
            }
        ),
    }
}

/// Bytes as numbers: the mantissa of 2^23 plus the byte, less that.
#[inline(always)]
fn wholes<L: Lanes>(l: L, bytes: &[u8; CHUNK]) -> [L::F; 4] {
    let magic = l.splat((1 << (f32::MANTISSA_DIGITS - 1)) as f32);
    let [a, b, c, d] = l.widen(l.load_bytes(bytes));
    let bits = l.bits(magic);
    [
        l.float(a | bits) - magic,
        l.float(b | bits) - magic,
        l.float(c | bits) - magic,
        l.float(d | bits) - magic,
    ]
}

/// 16 bits each.
#[inline(always)]
fn halves<L: Lanes>(l: L, bytes: &[u8; 2 * CHUNK]) -> [L::U; 4] {
    let mut halves = [0; CHUNK];
    for (half, bytes) in halves.iter_mut().zip(bytes.as_chunks().0) {
        *half = u16::from_le_bytes(*bytes);
    }
    let [low, high] = halves.as_chunks::<{ 2 * LANES }>().0 else { unreachable!() };
    let ([a, b], [c, d]) = (l.load_u16(low), l.load_u16(high));
    [a, b, c, d]
}

/// A [`Factor`] in a vector.
#[derive(Clone, Copy)]
enum Apply<L: Lanes> {
    None,
    Multiply(L::F),
    Divide(L::F),
}

impl<L: Lanes> Apply<L> {
    #[inline(always)]
    fn new(l: L, factor: Factor) -> Self {
        match factor {
            Factor::None => Self::None,
            Factor::Multiply(by) => Self::Multiply(l.splat(by)),
            Factor::Divide(by) => Self::Divide(l.splat(by)),
        }
    }

    #[inline(always)]
    fn store(self, l: L, [a, b, c, d]: [L::F; 4], out: &mut [f32; CHUNK]) {
        let all = match self {
            Self::None => [a, b, c, d],
            Self::Multiply(by) => [a * by, b * by, c * by, d * by],
            Self::Divide(by) => [a / by, b / by, c / by, d / by],
        };
        for (x, out) in all.into_iter().zip(out.as_chunks_mut().0) {
            l.store(x, out);
        }
    }
}

/// What a [`Room`] for `S` scales lies in. Vectors that cross cache lines take twice as long to load.
#[repr(align(64))]
pub(super) struct Laid<const S: usize> {
    wide: [f32; S],
    window: [f32; S],
}

impl<const S: usize> Laid<S> {
    pub(super) const EMPTY: Self = Self { wide: [0.0; S], window: [0.0; S] };

    pub(super) fn room(&mut self) -> Room<'_> {
        Room { wide: &mut self.wide, window: Window { room: &mut self.window, from: 0, to: 0 } }
    }
}

/// Room for scales on their way to a loop.
pub(super) struct Room<'a> {
    /// One for each block, where each is that of several.
    wide: &'a mut [f32],
    pub(super) window: Window<'a>,
}

/// Those of `from..to` of all rows, as f32; short rows share it.
pub(super) struct Window<'a> {
    room: &'a mut [f32],
    from: usize,
    to: usize,
}

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
