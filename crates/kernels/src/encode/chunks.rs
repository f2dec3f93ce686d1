//! `code = RNE(x / scale + zero)` over whole chunks: divide, hand the quotients to the element's encoder, pack.
//!
//! ```text
//! one block, or blocks of whole chunks    one scale for a run of chunks
//! blocks of 16 or 32                      four or two scales for each chunk, read where they are
//! any other                               laid out tile by tile (scales.rs)
//! ```
//!
//! Encoders may take a NaN for a number, whatever comes out: each chunk is asked once whether it holds one, and the few that do
//! get the codes of their NaNs put right.

use crate::codecs::Encoder;
use crate::lanes::{CHUNK, LANES, LINE, Lanes, apart};
use crate::scales::{Scales, TILE};
use crate::{Blocks, Element};

/// Chunks to encode, of which the first begins with value `at` of the blocks; `codes` is `8 * e.bits()` bytes per chunk.
pub(crate) struct Chunks<'a> {
    pub(crate) x: &'a [[f32; CHUNK]],
    pub(crate) blocks: Blocks<'a>,
    pub(crate) at: usize,
    pub(crate) codes: &'a mut [u8],
    /// What to bring into the cache meanwhile.
    pub(crate) next: &'a [u8],
}

impl Chunks<'_> {
    #[inline(always)]
    pub(crate) fn encode<L: Lanes>(self, l: L, e: Element, encoder: impl Encoder<L>) {
        let Self { x, blocks, at, codes, next } = self;
        let Blocks { len, scales, .. } = blocks;
        let one = One { encoder, bits: e.bits(), nan: nan_code(e) };
        let whole = at.is_multiple_of(len) && at + CHUNK * x.len() <= len.saturating_mul(scales.len());
        let first = if scales.len() == 1 { 0 } else { at / len };
        let (of_all, blocks) = (blocks, blocks.from(first));
        let ahead = next.as_chunks().0.iter();
        let (per_chunk, run) = match len {
            _ if scales.len() == 1 => (1, x.len()),
            LANES if whole => (4, 1),
            32 if whole => (2, 1),
            _ if whole && len.is_multiple_of(CHUNK) => (1, len / CHUNK),
            _ => return apart!(l, tiles(l, one, x, Scales::starting(of_all, at), codes)),
        };
        match per_chunk {
            _ if L::COMPACT => apart!(l, runs(l, one, x, per_chunk, run, blocks, codes, ahead)),
            4 => apart!(l, short::<_, 4>(l, one, x, blocks, codes, ahead)),
            2 => apart!(l, short::<_, 2>(l, one, x, blocks, codes, ahead)),
            _ => apart!(l, runs(l, one, x, 1, run, blocks, codes, ahead)),
        }
    }
}

/// Looked up: computing it takes as long as a chunk.
fn nan_code(e: Element) -> u8 {
    match e.float_format() {
        Some(format) => format.nan_code().unwrap_or(0),
        None => e.encode_one(f32::NAN),
    }
}

/// What to bring into the cache, as much as a chunk at a time.
type Ahead<'a> = core::slice::Iter<'a, [u8; 4 * LINE]>;

#[inline(always)]
fn prefetch<L: Lanes>(l: L, ahead: &mut Ahead<'_>) {
    if let Some(lines) = ahead.next() {
        for line in lines.as_chunks::<LINE>().0 {
            l.prefetch(&line[0]);
        }
    }
}

/// Runs of chunks that hold `per_chunk` blocks each, or all together one.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "all that there is to know of a slice")]
fn runs<L: Lanes>(
    l: L,
    one: One<impl Encoder<L>>,
    x: &[[f32; CHUNK]],
    per_chunk: usize,
    run: usize,
    Blocks { scales, zeros, .. }: Blocks<'_>,
    mut codes: &mut [u8],
    mut ahead: Ahead<'_>,
) {
    for (block, x) in x.chunks(run).enumerate() {
        let scale = of_vectors(&scales[block * per_chunk..][..per_chunk]);
        let zero = zeros.map(|zeros| of_vectors(&zeros[block * per_chunk..][..per_chunk]));
        for x in x {
            let mut quotients = divided(l, x, scale);
            if let Some(zero) = zero {
                quotients = added(l, quotients, zero);
            }
            codes = one.encode(l, quotients, codes);
            prefetch(l, &mut ahead);
        }
    }
}

/// Blocks of which each chunk holds `N`, two or four.
#[inline(always)]
fn short<L: Lanes, const N: usize>(
    l: L,
    one: One<impl Encoder<L>>,
    x: &[[f32; CHUNK]],
    Blocks { scales, zeros, .. }: Blocks<'_>,
    mut codes: &mut [u8],
    mut ahead: Ahead<'_>,
) {
    let zeros = zeros.map(|zeros| zeros.as_chunks::<N>().0);
    // The formats with powers of two for scales have blocks of 32.
    let powers = N == 2 && are_powers(scales);
    for (chunk, (x, scales)) in x.iter().zip(scales.as_chunks::<N>().0).enumerate() {
        let mut quotients = match powers {
            true => divided_by_powers(l, x, of_vectors(scales)),
            false => divided(l, x, of_vectors(scales)),
        };
        if let Some(zeros) = zeros {
            quotients = added(l, quotients, of_vectors(&zeros[chunk]));
        }
        codes = one.encode(l, quotients, codes);
        prefetch(l, &mut ahead);
    }
}

/// One of one, two or four numbers for each of four vectors.
#[inline(always)]
fn of_vectors(of: &[f32]) -> [f32; 4] {
    let n = of.len();
    [of[0], of[n / 4], of[n / 2], of[3 * n / 4]]
}

#[inline(always)]
fn divided<L: Lanes>(l: L, x: &[f32; CHUNK], by: [f32; 4]) -> [L::F; 4] {
    let [a, b, c, d] = x.as_chunks().0 else { unreachable!() };
    [
        l.load(a) / l.splat(by[0]),
        l.load(b) / l.splat(by[1]),
        l.load(c) / l.splat(by[2]),
        l.load(d) / l.splat(by[3]),
    ]
}

/// Whether all are powers of two of which the reciprocal is one, too: not below 2^-126, nor above 2^126.
#[inline(always)]
fn are_powers(scales: &[f32]) -> bool {
    const UNIT: u32 = 1 << (f32::MANTISSA_DIGITS - 1);
    // An exponent field that leaves 1 to 253 reaches the sign.
    let other = |bits: u32| bits | bits.wrapping_sub(UNIT) | bits.wrapping_add(2 * UNIT);
    let others = scales.iter().fold(0, |others, scale| others | other(scale.to_bits()));
    others & (1 << 31 | (UNIT - 1)) == 0
}

/// The same numbers as [`divided`]: reciprocals are exact, and so one product is rounded as the quotient is.
#[inline(always)]
fn divided_by_powers<L: Lanes>(l: L, x: &[f32; CHUNK], by: [f32; 4]) -> [L::F; 4] {
    // The exponents of a number and of its reciprocal add up to this.
    let sum = l.splat_bits(2 * 1f32.to_bits());
    let [a, b, c, d] = x.as_chunks().0 else { unreachable!() };
    [
        l.load(a) * l.float(sum - l.bits(l.splat(by[0]))),
        l.load(b) * l.float(sum - l.bits(l.splat(by[1]))),
        l.load(c) * l.float(sum - l.bits(l.splat(by[2]))),
        l.load(d) * l.float(sum - l.bits(l.splat(by[3]))),
    ]
}

#[inline(always)]
fn added<L: Lanes>(l: L, x: [L::F; 4], y: [f32; 4]) -> [L::F; 4] {
    [x[0] + l.splat(y[0]), x[1] + l.splat(y[1]), x[2] + l.splat(y[2]), x[3] + l.splat(y[3])]
}

/// Blocks of any length.
#[inline(always)]
fn tiles<L: Lanes>(
    l: L,
    one: One<impl Encoder<L>>,
    x: &[[f32; CHUNK]],
    mut scales: Scales<'_>,
    codes: &mut [u8],
) {
    let mut codes = codes;
    let has_zeros = scales.has_zeros();
    for x in x.chunks(TILE) {
        scales.next_tile(x.len());
        for (chunk, x) in x.iter().enumerate() {
            let mut quotients = [l.splat(0.0); 4];
            for (i, (x, quotient)) in x.as_chunks().0.iter().zip(&mut quotients).enumerate() {
                let vector = 4 * chunk + i;
                *quotient = l.load(x) / scales.scale(l, vector);
                if has_zeros {
                    *quotient = *quotient + scales.zero(l, vector);
                }
            }
            codes = one.encode(l, quotients, codes);
        }
    }
}

/// One chunk at a time.
#[derive(Clone, Copy)]
struct One<E> {
    encoder: E,
    bits: u32,
    nan: u8,
}

impl<E> One<E> {
    /// Writes the codes of a chunk; returns what is left of `out`.
    #[inline(always)]
    fn encode<L: Lanes>(self, l: L, x: [L::F; 4], out: &mut [u8]) -> &mut [u8]
    where
        E: Encoder<L>,
    {
        // Asked first: whatever is needed later takes registers until then.
        let mut nans = 0;
        if l.any_nan(x) {
            let mut values = [[0.0; LANES]; 4];
            for (x, values) in x.into_iter().zip(&mut values) {
                l.store(x, values);
            }
            nans = nans_of(&values);
        }
        self.encoder.write(l, self.bits, self.encoder.encode(l, x), out);
        if nans != 0 {
            replace_nan(nans, self.bits, self.nan, out);
        }
        &mut out[CHUNK / 8 * self.bits as usize..]
    }
}

/// One bit for each value, the first the lowest: whether it is NaN. Few chunks have any.
#[cold]
#[inline(never)]
fn nans_of(x: &[[f32; LANES]; 4]) -> u64 {
    x.as_flattened().iter().rev().fold(0, |nans, x| nans << 1 | u64::from(x.is_nan()))
}

/// The code of NaN where one was.
#[cold]
#[inline(never)]
fn replace_nan(nans: u64, bits: u32, nan: u8, out: &mut [u8]) {
    for i in (0..CHUNK).filter(|i| nans >> i & 1 != 0) {
        lowbit_scalar::pack::set(bits, out, i, nan);
    }
}
