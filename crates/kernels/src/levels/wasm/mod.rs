//! WebAssembly with simd128: everything in portable operations.

use super::simd::{Instructions, Simd, SumInstructions};
use crate::decode::Decode;
use crate::encode::Encode;
use fearless_simd::wasm32::WasmSimd128;

impl Instructions for WasmSimd128 {}
impl Encode for Simd<WasmSimd128> {}
impl Decode for Simd<WasmSimd128> {}
impl SumInstructions for WasmSimd128 {}
