//! Sixty-four codes, one a byte, to and from the dense stream.
//!
//! Bytes and nibbles are vector operations. Any other width closes the gaps between codes in three steps, on eight codes
//! in a u64 at a time, here for 3 bits:
//!
//! ```text
//! .....ccc .....bbb ....  ->  ..........cccbbb ...  ->  ....dddcccbbbaaa ...  ->  hhhgggfffeeedddcccbbbaaa
//!  one code per byte           two per 16 bits           four per 32 bits          eight in `bits` bytes
//! ```

use crate::lanes::{CHUNK, Lanes};

/// Writes 64 codes of `bits` bits into `out`, which is `8 * bits` bytes long.
#[inline(always)]
pub(crate) fn pack<L: Lanes>(l: L, bits: u32, codes: L::B, out: &mut [u8]) {
    match bits {
        8 => l.store_bytes(codes, out.try_into().unwrap()),
        4 => l.join_nibbles(codes, out.try_into().unwrap()),
        _ => {
            let mut bytes = [0; CHUNK];
            l.store_bytes(codes, &mut bytes);
            close_gaps(bits, &bytes, out);
        }
    }
}

/// Reads 64 codes of `bits` bits from `bytes`, which is `8 * bits` bytes long.
#[inline(always)]
pub(crate) fn unpack<L: Lanes>(l: L, bits: u32, bytes: &[u8]) -> L::B {
    match bits {
        8 => l.load_bytes(bytes.try_into().unwrap()),
        4 => l.split_nibbles(bytes.try_into().unwrap()),
        _ => {
            let mut codes = [0; CHUNK];
            open_gaps(bits, bytes, &mut codes);
            l.load_bytes(&codes)
        }
    }
}

/// The lowest `count` bits of each `period` bits of a u64.
const fn low_bits(count: u32, period: u32) -> u64 {
    let ones = u64::MAX / (u64::MAX >> (64 - period)); // the lowest bit of each period
    ones * ((1 << count) - 1)
}

// Scalar code on u64, compiled once and not once per level; the width is known in the loops, so copies are not calls.

#[inline(never)]
fn close_gaps(bits: u32, codes: &[u8; CHUNK], out: &mut [u8]) {
    match bits {
        1 => close::<1>(codes, out),
        2 => close::<2>(codes, out),
        3 => close::<3>(codes, out),
        5 => close::<5>(codes, out),
        6 => close::<6>(codes, out),
        _ => close::<7>(codes, out),
    }
}

#[inline(never)]
fn open_gaps(bits: u32, bytes: &[u8], codes: &mut [u8; CHUNK]) {
    match bits {
        1 => open::<1>(bytes, codes),
        2 => open::<2>(bytes, codes),
        3 => open::<3>(bytes, codes),
        5 => open::<5>(bytes, codes),
        6 => open::<6>(bytes, codes),
        _ => open::<7>(bytes, codes),
    }
}

#[inline(always)]
fn close<const BITS: usize>(codes: &[u8; CHUNK], out: &mut [u8]) {
    for (codes, out) in codes.as_chunks::<8>().0.iter().zip(out.as_chunks_mut::<BITS>().0) {
        let mut word = u64::from_le_bytes(*codes);
        for merged in [1, 2, 4] {
            let low = word & low_bits(merged * BITS as u32, 2 * merged * 8);
            word = low | (word ^ low) >> (merged * (8 - BITS as u32));
        }
        out.copy_from_slice(&word.to_le_bytes()[..BITS]);
    }
}

#[inline(always)]
fn open<const BITS: usize>(bytes: &[u8], codes: &mut [u8; CHUNK]) {
    for (bytes, codes) in bytes.as_chunks::<BITS>().0.iter().zip(codes.as_chunks_mut::<8>().0) {
        let mut word = [0; 8];
        word[..BITS].copy_from_slice(bytes);
        let mut word = u64::from_le_bytes(word);
        for merged in [4, 2, 1] {
            let low = word & low_bits(merged * BITS as u32, 2 * merged * 8);
            word = low | (word ^ low) << (merged * (8 - BITS as u32));
        }
        *codes = word.to_le_bytes();
    }
}
