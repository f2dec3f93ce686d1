//! AVX2 with F16C, FMA and BMI.

mod decode;
mod encode;
mod lanes;
mod product;
