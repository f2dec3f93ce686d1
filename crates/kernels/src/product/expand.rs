//! Codes of activations to the form that products read, in loops that compilers turn into vectors on any machine.
//!
//! It is done once per column and serves every row, so it is compiled once and not once per level.

use super::prepared::SUM;
use crate::Element;
use lowbit_scalar::pack;

/// Values whose halves of bytes lie apart: two vectors of 64 bytes.
const PAIR: usize = 128;

/// Whole numbers of steps in order, padded with zeros, the same with the halves of bytes apart, and the sum of each 16.
pub(super) fn expand(e: Element, codes: &[u8], len: usize, out: &mut [i8], sums: &mut [i32]) {
    let (in_order, apart) = out.split_at_mut(out.len() / 2);
    let (values, padding) = in_order.split_at_mut(len);
    steps(e, codes, values);
    padding.fill(0);
    let (in_order, apart) = (in_order.as_chunks::<PAIR>().0, apart.as_chunks_mut::<PAIR>().0);
    for (values, apart) in in_order.iter().zip(apart) {
        let (even, odd) = apart.split_at_mut(PAIR / 2);
        for ((even, odd), [low, high]) in even.iter_mut().zip(odd).zip(values.as_chunks().0) {
            (*even, *odd) = (*low, *high);
        }
    }
    for (values, sum) in in_order.as_flattened().as_chunks::<SUM>().0.iter().zip(sums) {
        *sum = values.iter().map(|&value| i32::from(value)).sum();
    }
}

/// The values of codes in steps.
fn steps(e: Element, codes: &[u8], out: &mut [i8]) {
    let Some(step) = e.step() else { return };
    let of = |code: u8| (e.decode_one(code) / step) as i8;
    match e.bits() {
        8 => {
            // Two's complement with or without a factor is its own number of steps; `check_expand` refuses unsigned bytes.
            out.iter_mut().zip(codes).for_each(|(out, &code)| *out = code as i8);
        }
        4 => {
            let table: [i8; 16] = core::array::from_fn(|code| of(code as u8));
            let of = |code: u8| table[usize::from(code)];
            let (pairs, last) = out.as_chunks_mut::<2>();
            for (pair, code) in pairs.iter_mut().zip(codes) {
                *pair = [of(code & 0xf), of(code >> 4)];
            }
            if let ([out], Some(code)) = (last, codes.last()) {
                *out = of(code & 0xf);
            }
        }
        bits => {
            for (i, out) in out.iter_mut().enumerate() {
                *out = of(pack::get(bits, codes, i));
            }
        }
    }
}
