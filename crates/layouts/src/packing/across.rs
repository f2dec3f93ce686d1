//! The words of [`words`](super::words), turned: word w of row i is element [w, i] of the file. GPTQ's `qweight` `[in * b / 32, out]`.

use super::{WORD, turned, words};

pub(super) fn pack(kind: (u32, bool), rows: usize, cols: usize, memory: &[u8], file: &mut [u8]) {
    let mut straight = vec![0; file.len()];
    words::pack(kind, cols, memory, &mut straight);
    turned::turn((rows, straight.len() / WORD / rows.max(1)), WORD, &straight, file);
}

pub(super) fn unpack(kind: (u32, bool), rows: usize, cols: usize, file: &[u8], memory: &mut [u8]) {
    let mut straight = vec![0; file.len()];
    turned::turn((file.len() / WORD / rows.max(1), rows), WORD, file, &mut straight);
    words::unpack(kind, cols, &straight, memory);
}
