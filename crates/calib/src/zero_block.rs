//! Zero blocks: the scale that a block stores if the computed scale is zero.
//!
//! ```text
//!                zero block                  scale that underflows             who
//! One            1.0                         smallest positive of its type     ours; ModelOpt NVFP4
//! OneNormal(d)   1.0                         amax raised to the smallest       ModelOpt INT and FP8; d is the
//!                                            normal of d                       type of its calibrated amax
//! Epsilon        machine epsilon of its      the same                          compressed-tensors
//!                type: 0.125 in E4M3
//! Least          byte 0 of E8M0, 2^-127      the same                          OCP MX, every tool
//! Keep           0                           0                                 bitsandbytes
//! ```
//!
//! In each case the codes of a zero block decode to zeros.

use serde::{Deserialize, Serialize};

use crate::arithmetic::Arithmetic;

/// The scale of a zero block, and of a block whose scale underflows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ZeroBlock {
    /// 1.0 for a zero block; the smallest positive number of the scale's type if a scale
    /// underflows.
    One,
    /// 1.0 for a zero block; any other amax is raised to the smallest normal number of this type.
    OneNormal(Arithmetic),
    /// The machine epsilon of the scale's type: 0.125 for E4M3, 2^-7 for bf16, 1 for E8M0 (used
    /// only if 2^-127 underflows in f16).
    Epsilon,
    /// The smallest power of two, byte 0 of E8M0.
    Least,
    /// Zero itself. A short last block of a flat format stores 1e-38 instead, as in bitsandbytes.
    Keep,
}
