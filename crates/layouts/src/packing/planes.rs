//! Words of 32 codes split into bit planes, so that no field crosses a word boundary: GPTQModel's
//! planar arrangement (`gptq_p`).
//!
//! ```text
//! bits 2: (2)   3: (2, 1)   4: (4)   5: (4, 1)   6: (4, 2)   7: (4, 2, 1)   8: (8)        widths of the planes, lowest bits first
//! 32 codes are b words: w words for each plane of width w; word i of a plane has w bits of each of the codes i * 32/w ..
//! ```
//!
//! The planes replace the dense streams of [`words`] and [`columns`]. Everything else is as there.

use super::{WORD, columns, transposed, words};

/// The widths of the planes in bits. Their sum is the width of a code.
const fn widths(bits: u32) -> &'static [u32] {
    match bits {
        1 => &[1],
        2 => &[2],
        3 => &[2, 1],
        4 => &[4],
        5 => &[4, 1],
        6 => &[4, 2],
        7 => &[4, 2, 1],
        _ => &[8],
    }
}

pub(super) fn pack(kind: (u32, bool), rows: usize, cols: usize, memory: &[u8], file: &mut [u8]) {
    let mut words = vec![0; file.len()];
    words::pack(kind, cols, memory, &mut words);
    from_streams(kind.0, &mut words);
    transposed::transpose((rows, words.len() / WORD / rows.max(1)), WORD, &words, file);
}

pub(super) fn unpack(kind: (u32, bool), rows: usize, cols: usize, file: &[u8], memory: &mut [u8]) {
    let mut words = vec![0; file.len()];
    transposed::transpose((words.len() / WORD / rows.max(1), rows), WORD, file, &mut words);
    to_streams(kind.0, &mut words);
    words::unpack(kind, cols, &words, memory);
}

pub(super) fn pack_columns(bits: u32, cols: usize, memory: &[u8], file: &mut [u8]) {
    columns::pack((bits, false), cols, memory, file);
    from_streams(bits, file);
}

pub(super) fn unpack_columns(bits: u32, cols: usize, file: &[u8], memory: &mut [u8]) {
    let mut words = file.to_vec();
    to_streams(bits, &mut words);
    columns::unpack((bits, false), cols, &words, memory);
}

/// Converts dense streams of 32 codes into planes, in place.
fn from_streams(bits: u32, words: &mut [u8]) {
    each_32(bits, words, |stream, planes| {
        move_bits(bits, |plane, at| copy_bit(stream, at, planes, plane));
    });
}

/// Converts planes into dense streams, in place.
fn to_streams(bits: u32, words: &mut [u8]) {
    each_32(bits, words, |planes, stream| {
        move_bits(bits, |plane, at| copy_bit(planes, plane, stream, at));
    });
}

/// Calls `change(bytes, zeroed destination)` for every 32 codes.
fn each_32(bits: u32, words: &mut [u8], change: impl Fn(&[u8], &mut [u8])) {
    let mut to = vec![0; bits as usize * WORD];
    for from in words.chunks_exact_mut(bits as usize * WORD) {
        to.fill(0);
        change(from, &mut to);
        from.copy_from_slice(&to);
    }
}

/// Calls `visit(bit in the planes, bit in the stream)` for every bit of 32 codes.
fn move_bits(bits: u32, mut visit: impl FnMut(usize, usize)) {
    let mut low = 0;
    for &width in widths(bits) {
        for code in 0..32 {
            for bit in 0..width {
                visit((low * 32 + code * width + bit) as usize, (code * bits + low + bit) as usize);
            }
        }
        low += width;
    }
}

fn copy_bit(from: &[u8], at: usize, to: &mut [u8], place: usize) {
    to[place / 8] |= (from[at / 8] >> (at % 8) & 1) << (place % 8);
}
