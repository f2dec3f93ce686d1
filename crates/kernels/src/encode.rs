//! `code = RNE(x / scale + zero)` over whole chunks: divide, hand the quotients to the element's encoder, pack.

use crate::Element;
use crate::codes::pack;
use crate::int::IntEncoder;
use crate::lanes::{CHUNK, Lanes};
use crate::minifloat::{Layout, MinifloatEncoder};
use crate::scales::{Scales, TILE};
use crate::table::TableEncoder;

/// What a family of elements adds: one vector of quotients to one vector of codes.
pub(crate) trait Encoder<L: Lanes>: Copy {
    fn encode(self, l: L, x: L::F) -> L::U;
}

/// Encodes chunks with consecutive scales; `codes` is `8 * e.bits()` bytes per chunk.
#[inline(always)]
pub(crate) fn encode<L: Lanes>(
    l: L,
    e: Element,
    x: &[[f32; CHUNK]],
    scales: &mut Scales<'_>,
    codes: &mut [u8],
) {
    let bits = e.bits();
    match e.float_format() {
        Some(format) => chunks(l, MinifloatEncoder::new(l, Layout::of(format)), bits, x, scales, codes),
        None if matches!(e, Element::Nf4 | Element::Fp4) => {
            chunks(l, TableEncoder::new(l, e), bits, x, scales, codes);
        }
        None => chunks(l, IntEncoder::new(l, e), bits, x, scales, codes),
    }
}

#[inline(always)]
fn chunks<L: Lanes>(
    l: L,
    encoder: impl Encoder<L>,
    bits: u32,
    x: &[[f32; CHUNK]],
    scales: &mut Scales<'_>,
    codes: &mut [u8],
) {
    let has_zeros = scales.has_zeros();
    let bytes = CHUNK / 8 * bits as usize;
    for (x, codes) in x.chunks(TILE).zip(codes.chunks_mut(TILE * bytes)) {
        scales.next_tile(x.len());
        for (chunk, (x, codes)) in x.iter().zip(codes.chunks_exact_mut(bytes)).enumerate() {
            let mut vectors = [l.splat_bits(0); 4];
            for (i, (x, codes)) in x.as_chunks().0.iter().zip(&mut vectors).enumerate() {
                let vector = 4 * chunk + i;
                let quotient = l.load(x) / scales.scale(l, vector);
                *codes =
                    encoder.encode(l, if has_zeros { quotient + scales.zero(l, vector) } else { quotient });
            }
            pack(l, bits, l.narrow(vectors), codes);
        }
    }
}
