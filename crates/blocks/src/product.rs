//! Products of quantized weights with activations. Only the scales of some rows at a time are
//! decoded to memory.
//!
//! ```text
//! f32 activations         y[c][r] = sum over j of dequantized weight[r][j] * x[c][j]
//! quantized activations   y[c][r] = sum over blocks k of
//!                             ((sum over j in k of code[r][j] * code of x[c][j])
//!                              * scale[r][k]) * scale of x[c][k]
//! ```
//!
//! x is columns x cols and y is columns x rows, both row-major: each token is a row of both. A
//! stack of matrices multiplies the same x with each matrix, and the rows of all matrices are
//! concatenated in y. [`QLinear`](crate::QLinear) permutes and scales x first and adds its bias at
//! the end; [`QTensor`](crate::QTensor) is the weight alone.
//!
//! Sums are in the order of [`Kernels::dot`](lowbit_kernels::Kernels::dot) (32 lanes over the
//! values) and of [`Kernels::dot_prepared`](lowbit_kernels::Kernels::dot_prepared) (values within a
//! block, 16 lanes over the blocks). So a result depends on one row and one column only, not on the
//! SIMD level, on threads, or on the rest of the batch.
//!
//! Block products have four requirements: rows start with a block and on a byte (only `Flat` blocks
//! may not), one block length divides the other, weights have no added bias, and activations have
//! no zero points. Otherwise both sides are dequantized and multiplied in f32, which is slower and
//! rounds differently.

mod activations;
mod layer;
mod matmul;
mod rows;

pub use activations::Activations;
