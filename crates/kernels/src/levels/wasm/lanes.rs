//! Operations of WASM: the portable ones.

use crate::levels::simd::Instructions;
use fearless_simd::wasm32::WasmSimd128;

impl Instructions for WasmSimd128 {}
