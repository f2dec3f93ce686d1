//! AVX-512 with what Ice Lake has: VBMI, VNNI, BITALG and more.

mod decode;
mod encode;
mod lanes;
mod planes;

pub(crate) use decode::{FNUZ, PlaneDecoder, SIGNED};
pub(crate) use planes::Planes;
