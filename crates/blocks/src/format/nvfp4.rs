//! NVFP4: E2M1 codes, an E4M3 scale per 16 values, one f32 scale per matrix.
//!
//! ```text
//! codes        rows x cols/2     low nibble first: byte j of a row holds columns 2j (bits 0-3) and 2j+1 (bits 4-7)
//! scales       rows x cols/16    E4M3
//! tensor scale 1                 f32: multiplies (ModelOpt weight_scale_2) or divides (compressed-tensors weight_global_scale)
//! ```
//!
//! value = E2M1 * (E4M3 * tensor scale): 4.5 bits per weight, and 32 bits per matrix. There are two
//! levels because E4M3 only covers 2^-9 .. 448: the tensor scale moves the largest block to the top
//! of that range.
//!
//! Sources: cuBLASLt block scaling `VEC16_UE4M3`; ModelOpt `nvfp4_tensor.py`; compressed-tensors
//! `nvfp4-pack-quantized`.

use lowbit_kernels::Element;

use super::{Block, Format, PLAIN};
use crate::levels::{Outer, Scale};
use crate::scale::ScaleKind;

/// NVFP4: E2M1, E4M3 scales per 16 values, one f32 per matrix.
///
/// ```
/// use lowbit_blocks::{NVFP4, Shape};
/// let shape = Shape::matrix(2, 32);
/// assert_eq!((NVFP4.codes_len(shape), NVFP4.scales_len(shape)), (32, 4));
/// ```
pub const NVFP4: Format = Format {
    element: Element::E2m1,
    block: Block::Group(16),
    scale: Scale { kind: ScaleKind::E4m3, outer: Outer::Matrix },
    ..PLAIN
};

/// E2M1 in blocks of 16 as in [`NVFP4`], with UE5M3 scales. These cover 2^-17 to 114688, so no
/// tensor scale is needed; 4.5 bits per weight.
///
/// ```
/// use lowbit_blocks::{E2M1_UE5M3, Shape};
/// assert_eq!(E2M1_UE5M3.bits_per_weight(Shape::matrix(4, 32)), 4.5);
/// ```
pub const E2M1_UE5M3: Format =
    Format { element: Element::E2m1, block: Block::Group(16), scale: Scale::new(ScaleKind::Ue5m3), ..PLAIN };
