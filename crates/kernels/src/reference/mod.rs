//! The definition of every kernel: one value after the other, with the codecs of `lowbit-scalar`.
//!
//! No level may differ from these loops in a bit (a NaN agrees with any NaN). They are written to be read, not to be fast.

mod absmax;
mod codec;
mod distances;
mod product;
mod widen;

pub(crate) use absmax::{absmax, first_non_finite, magnitude_range, min_max};
pub(crate) use codec::{decode, decode_bf16, decode_f16, encode};
pub(crate) use distances::e2m1_errors;
pub(crate) use product::{add_biases, dot, dot_f32, dot_prepared, expand, quantize_int8};
pub(crate) use widen::{divide, narrow_bf16, narrow_f16, widen_bf16, widen_e8m0, widen_f16};
