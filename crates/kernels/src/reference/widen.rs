//! The 16-bit floats to f32 and back, as `half` converts them; E8M0 to f32.

use half::{bf16, f16};
use lowbit_scalar::E8M0;

/// Exact.
pub(crate) fn widen_f16(x: &[f16], out: &mut [f32]) {
    for (x, out) in x.iter().zip(out) {
        *out = x.to_f32();
    }
}

/// Exact.
pub(crate) fn widen_bf16(x: &[bf16], out: &mut [f32]) {
    for (x, out) in x.iter().zip(out) {
        *out = x.to_f32();
    }
}

/// To nearest even; what is too large becomes infinity.
pub(crate) fn narrow_f16(x: &[f32], out: &mut [f16]) {
    for (x, out) in x.iter().zip(out) {
        *out = f16::from_f32(*x);
    }
}

/// To nearest even; what is too large becomes infinity.
pub(crate) fn narrow_bf16(x: &[f32], out: &mut [bf16]) {
    for (x, out) in x.iter().zip(out) {
        *out = bf16::from_f32(*x);
    }
}

/// Exact.
pub(crate) fn widen_e8m0(x: &[u8], out: &mut [f32]) {
    for (x, out) in x.iter().zip(out) {
        *out = E8M0::from_bits(*x).to_f32();
    }
}

pub(crate) fn divide(x: &mut [f32], by: f32) {
    for x in x {
        *x /= by;
    }
}
