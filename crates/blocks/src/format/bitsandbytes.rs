//! NF4 and FP4 of bitsandbytes: sixteen table values, one f32 scale for every 64 values of the
//! flattened matrix.
//!
//! ```text
//! codes   ceil(rows*cols/2)    low nibble first (bitsandbytes writes the high nibble first:
//!                              its layout converts)
//! scales  ceil(rows*cols/64)   f32, the largest magnitude of the block
//! ```
//!
//! value = table[code] * scale: 4.5 bits per weight. Blocks cross row ends, and the last block may
//! be short.
//!
//! Sources: bitsandbytes `functional.py` (`get_4bit_type`, `quantize_4bit`) and `csrc/kernels.cu`;
//! QLoRA, Dettmers et al. 2023.

use lowbit_kernels::Element;

use super::{Block, Format, PLAIN};

/// The default block size (`blocksize` of `quantize_4bit`).
const BLOCKSIZE: usize = 64;

/// NF4: quantiles of the normal distribution, one f32 scale per 64 values of the flat matrix; 4.5
/// bits per weight.
///
/// ```
/// use lowbit_blocks::{NF4, Shape};
/// // 3 * 33 = 99 values: 50 bytes of codes, two blocks, of 64 and of 35 values.
/// let shape = Shape::matrix(3, 33);
/// assert_eq!((NF4.codes_len(shape), NF4.scales_per_matrix(shape)), (50, 2));
/// ```
pub const NF4: Format = Format { element: Element::Nf4, block: Block::Flat(BLOCKSIZE), ..PLAIN };

/// FP4 of bitsandbytes, named `fp4`: its own sixteen values (not E2M1, the element of MXFP4 and
/// NVFP4), with blocks as in [`NF4`]; 4.5 bits per weight.
pub const BNB_FP4: Format = Format { element: Element::Fp4, ..NF4 };
