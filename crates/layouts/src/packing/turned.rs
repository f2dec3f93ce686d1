//! A matrix of elements turned: element (i, j) of the one is element (j, i) of the other. Scales of GPTQ and AWQ are `[groups, out]`.

/// Edge of the squares in which elements are moved, so that both sides stay in the cache.
const EDGE: usize = 32;

/// Turns `from`, `[rows, cols]` elements of `bytes` bytes, into `to`, `[cols, rows]`.
pub(super) fn turn((rows, cols): (usize, usize), bytes: usize, from: &[u8], to: &mut [u8]) {
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
