//! FP8 with scales per matrix, per row or per 128x128 tile.
//!
//! ```text
//! codes   rows x cols                            one byte each
//! scales  1 | rows | ceil(rows/128) x ceil(cols/128)   f32 (ModelOpt, DeepSeek) or bf16 (compressed-tensors)
//! ```
//!
//! value = FP8 * scale. Tiles at the right and bottom edges are smaller if the matrix ends within
//! them.
//!
//! Sources: OCP 8-bit Floating Point Specification 1.0; ModelOpt `FP8`,
//! `FP8_PER_CHANNEL_PER_TOKEN`, `fp8_pb_wo`; compressed-tensors `float-quantized`; DeepSeek-V3
//! `weight_scale_inv`.

use lowbit_kernels::Element;

use super::{Block, Format, PLAIN};

/// The tile of DeepSeek-V3, also used by other tools.
const TILE: Block = Block::Tile { rows: 128, cols: 128 };

/// FP8 E4M3, one f32 scale per matrix.
pub const FP8: Format = Format { element: Element::E4m3, ..PLAIN };

/// FP8 E4M3, one f32 scale per row.
pub const FP8_CHANNEL: Format = Format { block: Block::Channel, ..FP8 };

/// FP8 E4M3, one f32 scale per 128x128 tile.
///
/// ```
/// use lowbit_blocks::{FP8_BLOCK, Shape};
/// assert_eq!(FP8_BLOCK.scale_grid(Shape::matrix(129, 256)), (2, 2));
/// ```
pub const FP8_BLOCK: Format = Format { block: TILE, ..FP8 };

/// FP8 E5M2, one f32 scale per matrix.
pub const FP8_E5M2: Format = Format { element: Element::E5m2, ..PLAIN };

/// FP8 E5M2, one f32 scale per row.
pub const FP8_E5M2_CHANNEL: Format = Format { block: Block::Channel, ..FP8_E5M2 };

/// FP8 E5M2, one f32 scale per 128x128 tile.
pub const FP8_E5M2_BLOCK: Format = Format { block: TILE, ..FP8_E5M2 };
