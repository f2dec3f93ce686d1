//! Sixty-four codes, one a byte, to and from the dense stream.
//!
//! Bytes and nibbles are vector operations. Codes of any other width are read by a shuffle, a product and a shift, sixteen at a time:
//!
//! ```text
//! .. hhhggg fffeeedd dcccbbba aa     two bytes that contain a code, for each lane
//! dcccbbba aa......                  times a power of two, in 16 bits: what is above the code drops out
//! 0000000000000ccc                   down to the bottom
//! ```
//!
//! They are written by closing the gaps between them in three steps, on eight codes in a u64 at a time, here for 3 bits:
//!
//! ```text
//! .....ccc .....bbb ....  ->  ..........cccbbb ...  ->  ....dddcccbbbaaa ...  ->  hhhgggfffeeedddcccbbbaaa
//!  one code per byte           two per 16 bits           four per 32 bits          eight in `bits` bytes
//! ```

use crate::lanes::{CHUNK, Lanes};

/// Writes 64 codes of `bits` bits to the start of `out`, which is at least `8 * bits` bytes long. What lies beyond may be overwritten.
#[inline(always)]
pub(crate) fn pack<L: Lanes>(l: L, bits: u32, codes: L::B, out: &mut [u8]) {
    match bits {
        8 => l.store_bytes(codes, out.first_chunk_mut().unwrap()),
        4 => l.join_nibbles(codes, out.first_chunk_mut().unwrap()),
        _ => match out.first_chunk_mut() {
            Some(out) => l.close_gaps(bits, codes, out),
            None => {
                let mut closed = [0; CHUNK];
                l.close_gaps(bits, codes, &mut closed);
                let bytes = CHUNK / 8 * bits as usize;
                out[..bytes].copy_from_slice(&closed[..bytes]);
            }
        },
    }
}

/// How the gaps between codes of a width are closed, for levels that are found at run time.
pub(crate) struct Closing {
    /// The lower of two neighbours, in each step.
    pub(crate) low: [u64; 3],
    /// From eight bytes each to the first `bits` of them, without those between.
    pub(crate) order: [u8; CHUNK],
}

/// For widths of 1 to 8.
pub(crate) static CLOSING: [Closing; 8] = {
    let mut all = [const { Closing { low: [0; 3], order: [0; CHUNK] } }; 8];
    let mut bits = 1;
    while bits < 8 {
        let closing = &mut all[bits as usize - 1];
        closing.low = [low_bits(bits, 16), low_bits(2 * bits, 32), low_bits(4 * bits, 64)];
        let mut i = 0;
        while i < 8 * bits {
            closing.order[i as usize] = (8 * (i / bits) + i % bits) as u8;
            i += 1;
        }
        bits += 1;
    }
    all
};

/// Reads 64 codes of `bits` bits from `bytes`, which is `8 * bits` bytes long, each to its own byte.
#[inline(always)]
pub(crate) fn unpack<L: Lanes>(l: L, bits: u32, bytes: &[u8]) -> L::B {
    match bits {
        8 => l.load_bytes(bytes.try_into().unwrap()),
        4 => l.split_nibbles(bytes.try_into().unwrap()),
        _ => l.in_order(l.bytes_at(unpack_lanes(l, bits, bytes), 0)),
    }
}

/// Reads 64 codes of any width but 4, each to its own lane. `bytes` begins with them; what follows is read and ignored.
#[inline(always)]
pub(crate) fn unpack_lanes<L: Lanes>(l: L, bits: u32, bytes: &[u8]) -> [L::U; 4] {
    let padded;
    let bytes = match bytes.first_chunk() {
        Some(bytes) => bytes,
        None => {
            padded = pad(bytes);
            &padded
        }
    };
    if bits == 8 {
        return l.widen(l.load_bytes(bytes));
    }
    let at = 2 * bits as usize;
    [
        l.spread(bits, bytes.first_chunk().unwrap()),
        l.spread(bits, bytes[at..].first_chunk().unwrap()),
        l.spread(bits, bytes[2 * at..].first_chunk().unwrap()),
        l.spread(bits, bytes[3 * at..].first_chunk().unwrap()),
    ]
}

/// Fewer than 64 bytes, and then zeros. Apart and out of the way: a buffer that is cleared for each chunk, used or not, costs a third
/// of the speed of FP8 where its address happens to look like that of the codes.
#[cold]
#[inline(never)]
pub(crate) fn pad(bytes: &[u8]) -> [u8; CHUNK] {
    let mut padded = [0; CHUNK];
    padded[..bytes.len()].copy_from_slice(bytes);
    padded
}

/// The lowest `count` bits of each `period` bits of a u64.
pub(crate) const fn low_bits(count: u32, period: u32) -> u64 {
    let ones = u64::MAX / (u64::MAX >> (64 - period)); // the lowest bit of each period
    ones * ((1 << count) - 1)
}
