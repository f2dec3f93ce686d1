//! Products of quantized weights with activations: nothing but the scales of some rows is ever decoded to memory.
//!
//! ```text
//! f32 activations         y[c][r] = sum over j of restored weight[r][j] * x[c][j]
//! quantized activations   y[c][r] = sum over blocks k of ((sum over j in k of code[r][j] * code of x[c][j]) * scale[r][k]) * scale of x[c][k]
//! ```
//!
//! x is columns x cols and y is columns x rows, both row-major: a token has a row in either. A stack of matrices multiplies the same x
//! with each: its rows follow one another in y. [`QLinear`](crate::QLinear) permutes and scales x before and adds its bias at the end;
//! [`QTensor`](crate::QTensor) is the weight alone.
//!
//! The order of a sum is that of [`Kernels::dot`](lowbit_kernels::Kernels::dot) (32 lanes over the values) and of
//! [`Kernels::dot_prepared`](lowbit_kernels::Kernels::dot_prepared) (values within a block, 16 lanes over the blocks), so a result is a
//! matter of one row and one column: not of the SIMD level, of threads, or of what else is in the batch.
//!
//! Products in blocks need rows that start with a block and on a byte (only `Flat` blocks may not), block lengths of which one divides the
//! other, weights without an added bias, and activations without zero points. Everything else is taken as the f32 product of both restored
//! values: slower, and with other roundings than in blocks.

mod activations;
mod layer;
mod matmul;
mod rows;

pub use activations::Activations;
