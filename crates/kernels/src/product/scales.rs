//! Scales of rows: f32, or as files store them, which become f32 a few at a time, just before sums are multiplied with them.
//!
//! ```text
//! stored 256 at a time -> f32 (* or / the scale of the tensor, rounded) -> a buffer in the first cache -> a vector of sixteen blocks
//! ```
//!
//! Reading stored scales by themselves is a pass that waits for memory, and codes are not on their way meanwhile: so little is read at a time
//! that the processor looks past it.

use super::lanes::SumLanes;
use super::later::SCALES;
use super::plan::spread;
use crate::lanes::{CHUNK, LANES, LINE, Lanes};
use crate::level::Level;
use crate::widen;

/// Blocks whose scales become f32 at a time.
pub(super) const PIECE: usize = 256;
/// Bytes of stored scales to look ahead.
const AHEAD: usize = 2048;
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
}

impl ScaleType {
    /// Bytes of a scale.
    pub const fn bytes(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::E4m3 | Self::E8m0 => 1,
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

/// Scales as files store them, one after the other: what [`Kernels::dot_stored`](crate::Kernels::dot_stored) reads in place of f32.
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
    pub(crate) fn from(self, index: usize) -> &'a [u8] {
        &self.bytes[index * self.kind.bytes()..]
    }

    /// The scales from `first` on, as many whole chunks as there are, up to `most`; returns how many.
    #[inline(always)]
    fn widen_many<L: SumLanes>(
        self,
        l: L,
        level: Level,
        inline: bool,
        first: usize,
        most: usize,
        out: &mut [f32],
    ) -> usize {
        let (bytes, each) = (self.from(first), self.kind.bytes());
        let count = (bytes.len() / each).min(most) / CHUNK * CHUNK;
        let later = bytes.get(AHEAD..).unwrap_or(&[]);
        let (bytes, out) = (&bytes[..count * each], out.as_chunks_mut().0);
        if L::WIDE && inline {
            widen_stored(l, self, bytes, later, out);
        } else {
            // Where registers are few, what is in them and what this needs are better kept apart; and it is long code.
            level.widen_stored(self, bytes, later, out);
        }
        count
    }

    /// The scales from `first` on to the beginning of `out`, with a call, wherever they are; other numbers after them.
    #[inline(always)]
    fn widen(self, level: Level, first: usize, count: usize, out: &mut [f32; PIECE]) {
        let (bytes, whole) = (self.from(first), count.next_multiple_of(CHUNK));
        let (each, out) = (self.kind.bytes(), out[..whole].as_chunks_mut().0);
        match bytes.get(..whole * each) {
            Some(some) => level.widen_stored(self, some, bytes.get(AHEAD..).unwrap_or(&[]), out),
            None => level.widen_stored(self, &padded(&bytes[..count * each])[..whole * each], &[], out),
        }
    }
}

/// Each of `N` scales for as many lanes.
#[inline(always)]
fn repeat<L: Lanes, const N: usize>(l: L, some: &[f32], out: &mut [[f32; LANES]]) {
    for (some, out) in some.as_chunks::<N>().0.iter().zip(out) {
        let mut lanes = [0.0; LANES];
        for (lane, value) in lanes.iter_mut().enumerate() {
            *value = some[lane * N / LANES];
        }
        l.store(l.load(&lanes), out);
    }
}

/// For the last row, and kept apart, so that no other row stores zeros.
#[cold]
#[inline(never)]
fn padded(some: &[u8]) -> [u8; 2 * PIECE] {
    let mut all = [0; 2 * PIECE];
    all[..some.len()].copy_from_slice(some);
    all
}

/// Whole chunks of stored scales to f32. What is read `later` is asked for.
#[inline(always)]
pub(super) fn widen_stored<L: Lanes>(
    l: L,
    stored: StoredScales<'_>,
    bytes: &[u8],
    later: &[u8],
    out: &mut [[f32; CHUNK]],
) {
    let StoredScales { kind, factor, .. } = stored;
    for line in later.iter().step_by(LINE).take(bytes.len() / LINE) {
        l.prefetch(line);
    }
    let factor = Apply::new(l, factor);
    match kind {
        ScaleType::E4m3 => {
            for (bytes, out) in bytes.as_chunks().0.iter().zip(out) {
                factor.store(l, l.decode_e4m3(bytes), out);
            }
        }
        ScaleType::E8m0 => {
            for (bytes, out) in bytes.as_chunks().0.iter().zip(out) {
                factor.store(l, widen::e8m0(l, bytes), out);
            }
        }
        ScaleType::F16 => {
            for (bytes, out) in bytes.as_chunks().0.iter().zip(out) {
                let [a, b, c, d] = halves(l, bytes);
                factor.store(l, [l.widen_f16(a), l.widen_f16(b), l.widen_f16(c), l.widen_f16(d)], out);
            }
        }
        ScaleType::Bf16 => {
            for (bytes, out) in bytes.as_chunks().0.iter().zip(out) {
                let [a, b, c, d] = halves(l, bytes);
                let upper = u16::BITS;
                let all =
                    [l.float(a << upper), l.float(b << upper), l.float(c << upper), l.float(d << upper)];
                factor.store(l, all, out);
            }
        }
    }
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

/// Room for scales on their way to a loop. Vectors that cross cache lines take twice as long to load.
#[repr(align(64))]
pub(super) struct Room {
    /// One for each block, where each is that of several.
    wide: [f32; PIECE],
    /// Those of `from..to` of all rows, as f32; short rows share it. Sixteen can be read from any of them on.
    window: [f32; PIECE + LANES],
    from: usize,
    to: usize,
}

impl Room {
    pub(super) const EMPTY: Self = Self { wide: [0.0; PIECE], window: [0.0; PIECE + LANES], from: 0, to: 0 };
}

/// The scales of rows, one row after the other.
#[derive(Clone, Copy)]
pub(crate) enum Scales<'a> {
    F32(&'a [f32]),
    Stored(StoredScales<'a>),
}

/// Which scales: those of `blocks` blocks from `first` on of the row whose scales begin at `start`, where each is that of `run` blocks.
#[derive(Clone, Copy)]
pub(super) struct Which {
    pub(super) start: usize,
    pub(super) run: usize,
    pub(super) first: usize,
    /// At most [`PIECE`].
    pub(super) blocks: usize,
}

impl<'a> Scales<'a> {
    /// One f32 for each block: where they are, or laid out with a call. What follows them can be anything.
    #[inline(always)]
    pub(super) fn lay_out(self, level: Level, which: Which, room: &'a mut Room) -> &'a [f32] {
        if let (Self::F32(all), 1) = (self, which.run) {
            return &all[which.start + which.first..];
        }
        self.copy(level, which, &mut room.wide);
        &room.wide
    }

    /// One f32 for each block, for a loop of a level's own: where they are, or laid out. What follows them can be anything.
    #[inline(always)]
    pub(super) fn lay_out_here<L: SumLanes>(
        self,
        l: L,
        level: Level,
        inline: bool,
        which: Which,
        Room { window, from, to, wide }: &'a mut Room,
    ) -> &'a [f32] {
        let Which { start, run, first, blocks } = which;
        let repeats = matches!(run, 2 | 4 | 8) && first.is_multiple_of(run);
        if run == 1 || repeats {
            let at = start + first / run;
            let count = blocks.div_ceil(run);
            let some = match self {
                Self::F32(all) => {
                    let later = all.get(at + SCALES..).unwrap_or(&[]);
                    for line in later.iter().step_by(LANES).take(count / LANES) {
                        l.prefetch(line);
                    }
                    &all[at..]
                }
                Self::Stored(all) => {
                    if at < *from || at + count > *to {
                        let most = count.next_multiple_of(CHUNK).max(FEW);
                        (*from, *to) = (at, at + all.widen_many(l, level, inline, at, most, window));
                    }
                    // Fewer than a chunk are left, in the last rows.
                    if at + count > *to { &[] } else { &window[at - *from..] }
                }
            };
            if run == 1 && !some.is_empty() {
                return some;
            }
            let vectors = blocks.div_ceil(LANES);
            if let (true, Some(some)) = (repeats, some.get(..vectors * LANES / run)) {
                let out = wide.as_chunks_mut().0;
                match run {
                    2 => repeat::<L, 8>(l, some, out),
                    4 => repeat::<L, 4>(l, some, out),
                    _ => repeat::<L, 2>(l, some, out),
                }
                return wide;
            }
        }
        if let Self::F32(all) = self
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

    /// One f32 for each of up to sixteen blocks, then zeros.
    pub(super) fn sixteen(self, level: Level, which: Which) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        match self {
            Self::F32(all) if which.run == 1 && which.blocks == LANES => {
                out.copy_from_slice(&all[which.start + which.first..][..LANES]);
            }
            Self::F32(all) => spread(&all[which.start..], which.run, which.first, which.blocks, &mut out),
            Self::Stored(_) => {
                let mut buffer = [0.0; PIECE];
                self.copy(level, which, &mut buffer);
                out.copy_from_slice(&buffer[..LANES]);
            }
        }
        out
    }

    #[inline(never)]
    fn copy(self, level: Level, Which { start, run, first, blocks }: Which, out: &mut [f32; PIECE]) {
        match self {
            Self::F32(all) => spread(&all[start..], run, first, blocks, out),
            Self::Stored(all) if run == 1 => {
                all.widen(level, start + first, blocks, out);
                out[blocks..blocks.next_multiple_of(16)].fill(0.0);
            }
            Self::Stored(all) => {
                let (from, mut some) = (first / run, [0.0; PIECE]);
                let count = (first + blocks).div_ceil(run) - from;
                all.widen(level, start + from, count, &mut some);
                spread(&some, run, first - from.saturating_mul(run), blocks, out);
            }
        }
    }
}
