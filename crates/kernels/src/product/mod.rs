//! Sums of products of weights, as they are stored, and activations.
//!
//! Two kinds, each with one order of summation, which every level keeps:
//!
//! ```text
//! f32 activations       w_j = decode(code_j)    lane[j mod 32] += w_j * x_j                         fold 32 lanes
//! prepared activations  s_k = sum of block k    lane[k mod 16] += (s_k * scale_k) * x_scale_k       fold 16 lanes
//! ```
//!
//! Lanes start at +0.0, are added to in ascending order, and fold so: of 32 lanes, `l` and `l + 16` are added; then
//! neighbours, `2i` and `2i + 1`, until one number is left. Every product and every sum is rounded on its own.
//!
//! A result depends on its row and its column alone: not on the level, on other rows and columns, on threads.
//!
//! # Loops
//!
//! A product has one loop, chosen once from the element, the block length, the activations and the level. *Unrolled* levels are
//! AVX2, AVX-512 and NEON. Blocks are the shorter of those of the two sides.
//!
//! ```text
//! activations        weights                             blocks                     levels         loop
//! f32                4 bits                              16, 32, 64n, a row         all            float_registers
//! f32                8 bits, but MXINT8, UE5M3           32, 64n, a row             unrolled       float_registers
//! f32                other                               any                        all            float_tiles
//! integers, exact    E2M1, INT4, UINT4                   16 (no zeros), 32          unrolled       integer::groups
//! integers, exact    INT8, UINT8, MXINT8                 32                         unrolled       integer::groups
//! integers, exact    NF4, no zeros                       32                         unrolled       integer::groups, one column
//! integers, exact    E4M3, no zeros; no -128             32                         AVX2, AVX-512  integer::groups
//! integers, exact    other                               16, 32, 64, 128n, a row    all            integer::vectors
//! floats             any                                 a row                      all            float, whose sums are scaled
//! any, not exact     4 and 8 bits as for f32, but FNUZ;  32; 64n in rows of whole   unrolled       block_registers
//!                    no zeros                            chunks (integers: to 128)
//! any, not exact     other                               16, 32, 64, 128n, a row    all            block_tiles
//! any                any                                 other                      all            the reference
//! ```
//!
//! Sums are exact where both sides are whole numbers of steps ([`Element::exact_step`](crate::Element::exact_step)).
//!
//! Scales are laid out as f32, a row at a time. For one column of `integer::groups` on AVX2 and AVX-512, stored scales of one block each become f32 in
//! registers instead: E4M3 for 4 bits in 16; E8M0 without a factor for 4 bits and E4M3 in 32; BF16 and F16 without a factor for 4 bits and integers of 8 bits in
//! 32. Scales that blocks share become f32 once and are repeated in registers for INT4 and UINT4 with zero points.

mod bias;
mod block_registers;
mod block_tiles;
mod columns;
mod expand;
mod float;
mod float_registers;
mod float_tiles;
mod integer;
mod kernels;
pub(crate) mod lanes;
mod plan;
mod prefetch;
pub(crate) mod prepared;
pub(crate) mod rows;
pub(crate) mod scales;
pub(crate) mod tables;
mod tile;
mod weights;

pub(crate) use plan::LONGEST_BLOCK;
pub use prepared::{Prepared, Values};
pub use rows::Rows;
pub use scales::stored::{Factor, ScaleType, StoredScales};
