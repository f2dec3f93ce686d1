//! Slices of numbers to slices of low-bit codes and back, bit-exact on every SIMD level.
