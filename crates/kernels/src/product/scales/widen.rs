//! Stored scales to f32.

use super::stored::{Factor, SEGMENT, ScaleType, StoredScales};
use crate::decode::Decode;
use crate::lanes::{CHUNK, LANES, LINE, Lanes, apart};
use crate::level::{Level, on};
use crate::product::prefetch::STORED_AHEAD;
use crate::widen;

impl StoredScales<'_> {
    /// The scales from `first` on, as many whole chunks as there are, up to `most`; returns how many.
    #[inline(always)]
    pub(super) fn widen_many(&self, level: Level, first: usize, most: usize, out: &mut [f32]) -> usize {
        let (bytes, each) = (self.from(first), self.kind.bytes());
        let count = (bytes.len() / each).min(most) / CHUNK * CHUNK;
        let next = bytes.get(STORED_AHEAD..).unwrap_or(&[]);
        widen_chunks(level, self.kind, self.factor, &bytes[..count * each], next, out);
        count
    }

    /// The scales from `first` on to the beginning of `out`, with a call, wherever they are; other numbers after them.
    #[inline(always)]
    pub(super) fn widen(&self, level: Level, first: usize, count: usize, out: &mut [f32]) {
        let (bytes, whole) = (self.from(first), count.next_multiple_of(CHUNK));
        let (each, out) = (self.kind.bytes(), &mut out[..whole]);
        match bytes.get(..whole * each) {
            Some(some) => {
                let next = bytes.get(STORED_AHEAD..).unwrap_or(&[]);
                widen_chunks(level, self.kind, self.factor, some, next, out);
            }
            None => {
                let some = &padded(&bytes[..count * each])[..whole * each];
                widen_chunks(level, self.kind, self.factor, some, &[], out);
            }
        }
    }
}

/// Fewer bytes than whole chunks, then zeros. The last row needs it: it is kept apart, so that no other row stores zeros.
#[cold]
#[inline(never)]
fn padded(some: &[u8]) -> [u8; 2 * SEGMENT] {
    let mut all = [0; 2 * SEGMENT];
    all[..some.len()].copy_from_slice(some);
    all
}

/// Whole chunks of stored scales to f32. Prefetches some of what is read `next`.
fn widen_chunks(level: Level, kind: ScaleType, factor: Factor, bytes: &[u8], next: &[u8], out: &mut [f32]) {
    on!(level, l => widen(l, kind, factor, bytes, next, out.as_chunks_mut().0));
}

#[inline(always)]
fn widen<L: Decode>(
    l: L,
    kind: ScaleType,
    factor: Factor,
    bytes: &[u8],
    next: &[u8],
    out: &mut [[f32; CHUNK]],
) {
    for line in next.iter().step_by(LINE).take(bytes.len() / LINE) {
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
