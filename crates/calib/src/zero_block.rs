//! What a block stores as its scale when the computation gives zero.
//!
//! ```text
//!                zero block                  scale that underflows             who
//! One            1.0                         smallest positive of its type     ours; ModelOpt NVFP4
//! OneNormal(d)   1.0                         amax raised to the smallest       ModelOpt INT and FP8, d the type in which
//!                                            normal of d                       it keeps a calibrated amax
//! Epsilon        machine epsilon of its      the same                          compressed-tensors
//!                type: 0.125 in E4M3
//! Least          byte 0 of E8M0, 2^-127      the same                          OCP MX, every tool
//! Keep           0                           0                                 bitsandbytes
//! ```
//!
//! Codes of a zero block decode to zeros under each of them.

use serde::{Deserialize, Serialize};

use crate::arithmetic::Arithmetic;

/// The scale of a zero block, and of one whose scale underflows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ZeroBlock {
    /// 1.0 for a zero block, the smallest positive number of the scale's type where a scale underflows.
    One,
    /// 1.0 for a zero block; another amax counts as the smallest normal number of this type at least.
    OneNormal(Arithmetic),
    /// The machine epsilon of the scale's type: 0.125 for E4M3, 2^-7 for bf16, 1 for E8M0 (only where 2^-127 underflows in f16).
    Epsilon,
    /// The smallest power of two, byte 0: E8M0 scales.
    Least,
    /// Zero itself; one for a short last block of a flat format, which bitsandbytes raises to 1e-38.
    Keep,
}
