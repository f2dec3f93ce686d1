//! Transposed matrices: element (i, j) in memory is element (j, i) in the file. The scales of GPTQ
//! and AWQ are `[groups, out]`; the words of GPTQ's `qweight` are `[in * b / 32, out]`.

use super::{WORD, words};

/// The side length of the square tiles of the transposition, so that both sides stay in the cache.
const EDGE: usize = 32;

/// Transposes `from`, a `[rows, cols]` matrix of elements of `bytes` bytes, into `to`, `[cols,
/// rows]`.
pub(super) fn transpose((rows, cols): (usize, usize), bytes: usize, from: &[u8], to: &mut [u8]) {
    match bytes {
        1 => squares::<1>(rows, cols, from, to),
        2 => squares::<2>(rows, cols, from, to),
        _ => squares::<4>(rows, cols, from, to),
    }
}

fn squares<const N: usize>(rows: usize, cols: usize, from: &[u8], to: &mut [u8]) {
    let (from, to) = (from.as_chunks::<N>().0, to.as_chunks_mut::<N>().0);
    for top in (0..rows).step_by(EDGE) {
        for left in (0..cols).step_by(EDGE) {
            for i in top..rows.min(top + EDGE) {
                for j in left..cols.min(left + EDGE) {
                    to[j * rows + i] = from[i * cols + j];
                }
            }
        }
    }
}

/// Packs rows as [`words`] and transposes the words: word w of row i is element [w, i] of the file.
pub(super) fn pack_words(kind: (u32, bool), rows: usize, cols: usize, memory: &[u8], file: &mut [u8]) {
    let mut straight = vec![0; file.len()];
    words::pack(kind, cols, memory, &mut straight);
    transpose((rows, straight.len() / WORD / rows.max(1)), WORD, &straight, file);
}

pub(super) fn unpack_words(kind: (u32, bool), rows: usize, cols: usize, file: &[u8], memory: &mut [u8]) {
    let mut straight = vec![0; file.len()];
    transpose((file.len() / WORD / rows.max(1), rows), WORD, file, &mut straight);
    words::unpack(kind, cols, &straight, memory);
}
