//! AVX-512 with what Ice Lake has: VBMI, VNNI, BITALG and more.

mod decode;
mod encode;
mod lanes;
mod planes;
mod product;
