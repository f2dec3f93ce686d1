//! Values to codes and back, with scales given.

use crate::{Blocks, Element};
use half::{bf16, f16};
use lowbit_scalar::pack;

/// `code = RNE_saturating(x / scale)`, or `RNE_saturating(x / scale + zero)`.
pub(crate) fn encode(e: Element, x: &[f32], blocks: Blocks<'_>, codes: &mut [u8]) {
    codes.fill(0);
    for (i, x) in x.iter().enumerate() {
        let block = i / blocks.len;
        let mut quotient = x / blocks.scales[block];
        if let Some(zeros) = blocks.zeros {
            quotient += zeros[block];
        }
        // IEEE 754 leaves the sign of a computed NaN open (0/0 is -NaN on x86, +NaN on ARM), so it is not looked at.
        let quotient = if quotient.is_nan() { f32::NAN } else { quotient };
        pack::set(e.bits(), codes, i, e.encode_one(quotient));
    }
}

/// `value(code) * scale`, or `(value(code) - zero) * scale`.
pub(crate) fn decode(e: Element, codes: &[u8], blocks: Blocks<'_>, out: &mut [f32]) {
    for (i, out) in out.iter_mut().enumerate() {
        *out = decode_at(e, codes, blocks, i);
    }
}

/// The same, rounded to nearest even.
pub(crate) fn decode_f16(e: Element, codes: &[u8], blocks: Blocks<'_>, out: &mut [f16]) {
    for (i, out) in out.iter_mut().enumerate() {
        *out = f16::from_f32(decode_at(e, codes, blocks, i));
    }
}

/// The same, rounded to nearest even.
pub(crate) fn decode_bf16(e: Element, codes: &[u8], blocks: Blocks<'_>, out: &mut [bf16]) {
    for (i, out) in out.iter_mut().enumerate() {
        *out = bf16::from_f32(decode_at(e, codes, blocks, i));
    }
}

/// Value `i` of a slice.
pub(super) fn decode_at(e: Element, codes: &[u8], blocks: Blocks<'_>, i: usize) -> f32 {
    value_at(e, codes, blocks, i) * blocks.scales[i / blocks.len]
}

/// Value `i` of a slice before it is multiplied by its scale.
pub(super) fn value_at(e: Element, codes: &[u8], blocks: Blocks<'_>, i: usize) -> f32 {
    let value = e.decode_one(pack::get(e.bits(), codes, i));
    match blocks.zeros {
        Some(zeros) => value - zeros[i / blocks.len],
        None => value,
    }
}
