//! OCP Microscaling: a power-of-two scale for every 32 values of a row.
//!
//! ```text
//! scales  rows x cols/32   E8M0: 2^(byte - 127), 255 is NaN
//! codes   rows x cols/2    MXFP4: low nibble first
//!         rows x cols*3/4  MXFP6: four codes in three bytes, code i in bits 6i .. 6i+5 of the 24, least
//!                          significant first
//!         rows x cols      MXFP8 and MXINT8: one byte each; an MXINT8 code is a two's complement integer times 2^-6
//! ```
//!
//! value = element * 2^(byte - 127): 4.25, 6.25 or 8.25 bits per weight.
//!
//! Source: OCP Microscaling Formats (MX) Specification 1.0, tables 1 to 5. The specification
//! defines values, not the order of bytes; the order is that of torchao, compressed-tensors and
//! Quark.

use lowbit_kernels::Element;

use super::{Block, Format, PLAIN};
use crate::levels::Scale;
use crate::scale::ScaleKind;

/// The block size of every MX format (specification, section 5.1).
const MX_BLOCK: usize = 32;

const MX: Format = Format { block: Block::Group(MX_BLOCK), scale: Scale::new(ScaleKind::E8m0), ..PLAIN };

/// MXFP4: E2M1, E8M0 scales per 32 values; 4.25 bits per weight.
///
/// ```
/// use lowbit_blocks::{MXFP4, Shape};
/// assert_eq!(MXFP4.bits_per_weight(Shape::matrix(8, 64)), 4.25);
/// ```
pub const MXFP4: Format = Format { element: Element::E2m1, ..MX };

/// MXFP6 with E3M2 elements (largest 28), E8M0 scales per 32 values; 6.25 bits per weight.
pub const MXFP6_E3M2: Format = Format { element: Element::E3m2, ..MX };

/// MXFP6 with E2M3 elements (largest 7.5), E8M0 scales per 32 values; 6.25 bits per weight.
pub const MXFP6_E2M3: Format = Format { element: Element::E2m3, ..MX };

/// MXFP8 with E4M3 elements (largest 448), E8M0 scales per 32 values; 8.25 bits per weight.
pub const MXFP8: Format = Format { element: Element::E4m3, ..MX };

/// MXFP8 with E5M2 elements (largest 57344), E8M0 scales per 32 values; 8.25 bits per weight.
pub const MXFP8_E5M2: Format = Format { element: Element::E5m2, ..MX };

/// MXINT8: `i8 * 2^-6`, E8M0 scales per 32 values; 8.25 bits per weight.
pub const MXINT8: Format = Format { element: Element::MxInt8, ..MX };
