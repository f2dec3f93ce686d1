//! The SIMD levels, a folder each: what a level has a file for, it does in instructions of its own.
//!
//! ```text
//!           lanes                 encode                   decode                    product               instructions
//! wide      arrays of `wide`      portable                 portable                  arrays                what the target is compiled for
//! sse       portable              portable                 portable                  portable              SSE4.2
//! avx2      packing, lookups      E2M1, NF4, FP4, floats   by way of f16             pmaddubsw, E4M3       AVX2, F16C
//! avx512    permutations, masks   E2M1, NF4, FP4           bytes of values looked up vpdpbusd, E4M3, sums  AVX-512 with VBMI, VNNI
//! neon      portable              portable                 portable                  portable, unrolled    NEON
//! wasm      portable              portable                 portable                  portable              simd128
//! ```

#[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
pub(crate) mod avx2;
#[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
pub(crate) mod avx512;
#[cfg(all(feature = "std", target_arch = "aarch64"))]
pub(crate) mod neon;
#[cfg(feature = "std")]
pub(crate) mod simd;
#[cfg(all(feature = "std", any(target_arch = "x86", target_arch = "x86_64")))]
pub(crate) mod sse;
#[cfg(all(feature = "std", target_arch = "wasm32", target_feature = "simd128"))]
pub(crate) mod wasm;
#[cfg(feature = "wide")]
pub(crate) mod wide;
