//! Slices of any length to the whole chunks that a level's kernels take: what is left over goes through a padded chunk.
//!
//! So the kernels have no second loop for the end, and this code is compiled once, not once per level.

use crate::decode::Chunks;
use crate::lanes::{CHUNK, LANES};
use crate::level::Level;
use crate::widen::Half;
use crate::{Blocks, Element, encode, reference};

pub(crate) fn first_non_finite(level: Level, x: &[f32]) -> Option<usize> {
    let (chunks, _) = x.as_chunks::<CHUNK>();
    let start = CHUNK * level.first_non_finite(chunks).unwrap_or(chunks.len());
    x[start..].iter().position(|x| !x.is_finite()).map(|i| start + i)
}

pub(crate) fn magnitude_range(level: Level, x: &[f32]) -> (f32, f32) {
    let (vectors, rest) = x.as_chunks::<LANES>();
    let (least, largest) = level.magnitude_range(vectors);
    let (least_left, largest_left) = reference::magnitude_range(rest);
    (f32::from_bits(least).min(least_left), f32::from_bits(largest.max(largest_left.to_bits())))
}

pub(crate) fn encode(level: Level, e: Element, x: &[f32], blocks: Blocks<'_>, codes: &mut [u8], next: &[u8]) {
    let (chunks, rest) = x.as_chunks::<CHUNK>();
    let at = chunks.len() * CHUNK;
    let (whole, last) = codes.split_at_mut(e.packed_len(at));
    if !chunks.is_empty() {
        level.encode(e, encode::Chunks { x: chunks, blocks, at: 0, codes: whole, next });
    }
    if !rest.is_empty() {
        let mut padded = [[0.0; CHUNK]];
        padded[0][..rest.len()].copy_from_slice(rest);
        let mut packed = [0; CHUNK];
        let codes = &mut packed[..e.packed_len(CHUNK)];
        level.encode(e, encode::Chunks { x: &padded, blocks, at, codes, next: &[] });
        last.copy_from_slice(&packed[..last.len()]);
        // The padding was encoded, too, and zero need not be code 0.
        let used = rest.len() * e.bits() as usize % 8;
        if let (Some(byte), 1..) = (last.last_mut(), used) {
            *byte &= (1 << used) - 1;
        }
    }
}

/// Hands chunks to `work`, what is left over in a padded one.
pub(crate) fn decode<T: Copy + Default, O: Copy>(
    e: Element,
    codes: &[u8],
    blocks: Blocks<'_>,
    out: &mut [T],
    output: O,
    work: impl Fn(Chunks<'_, T, O>),
) {
    let (chunks, rest) = out.as_chunks_mut::<CHUNK>();
    let at = chunks.len() * CHUNK;
    let (whole, last) = codes.split_at(e.packed_len(at));
    if !chunks.is_empty() {
        work(Chunks { codes: whole, blocks, at: 0, out: chunks, output });
    }
    if !rest.is_empty() {
        let mut packed = [0; CHUNK];
        packed[..last.len()].copy_from_slice(last);
        let mut padded = [[T::default(); CHUNK]];
        work(Chunks { codes: &packed, blocks, at, out: &mut padded, output });
        rest.copy_from_slice(&padded[0][..rest.len()]);
    }
}

pub(crate) fn widen(level: Level, half: Half, x: &[u16], out: &mut [f32]) {
    convert(x, out, |x, out| level.widen_halves(half, x, out));
}

/// Blocks that the level leaves are widened first.
pub(crate) fn widen_absmax(
    level: Level,
    half: Half,
    x: &[u16],
    block: usize,
    out: &mut [f32],
    amax: &mut [f32],
) {
    let blocks = level.widen_absmax(half, x, block, out, amax);
    let (x, out, amax) = (&x[blocks * block..], &mut out[blocks * block..], &mut amax[blocks..]);
    widen(level, half, x, out);
    level.absmax(out, block, amax);
}

/// Applies a conversion of whole runs of `N` values to a slice of any length.
pub(crate) fn convert<const N: usize, T: Copy + Default, U: Copy + Default>(
    x: &[T],
    out: &mut [U],
    work: impl Fn(&[[T; N]], &mut [[U; N]]),
) {
    let ((x, x_rest), (out, out_rest)) = (x.as_chunks(), out.as_chunks_mut());
    work(x, out);
    if !x_rest.is_empty() {
        let (mut padded, mut converted) = ([[T::default(); N]], [[U::default(); N]]);
        padded[0][..x_rest.len()].copy_from_slice(x_rest);
        work(&padded, &mut converted);
        out_rest.copy_from_slice(&converted[0][..x_rest.len()]);
    }
}
