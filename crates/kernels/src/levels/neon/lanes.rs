//! Operations of NEON: the portable ones.

use crate::levels::simd::Instructions;
use fearless_simd::aarch64::Neon;

impl Instructions for Neon {}
